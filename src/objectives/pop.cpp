#include "objectives/pop.h"

#include <algorithm>
#include <utility>

#include "dpll/candidates.h"
#include "dpll/core/check.h"

namespace dpll {
namespace {

constexpr double kThetaMost = 0.4;        // theta no longer grows from here on
constexpr double kSettledShare = 0.0001;  // of the table's entries

class Purification final : public EpochHook {
 public:
  Purification(const Pop& method, std::int64_t samples, int classes)
      : method_(method),
        entries_(static_cast<std::size_t>(samples) * static_cast<std::size_t>(classes)),
        tables_(static_cast<std::size_t>(method.window)),
        theta_(static_cast<float>(method.theta)) {}

  void end_epoch(int epoch, EpochTable& table) override {
    tables_[static_cast<std::size_t>(epoch % method_.window)] = table.targets;
    if (epoch >= method_.warm_up && epoch % method_.window == 0) purify(table);
    mean_size_ = table.candidates.mean_size();
  }

  void restart() override {
    for (std::vector<float>& table : tables_) table.clear();
    theta_ = static_cast<float>(method_.theta);
  }

  std::map<std::string, std::vector<float>> state() const override {
    std::map<std::string, std::vector<float>> arrays = {{"theta", {theta_}}};
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      if (!tables_[i].empty()) arrays[fmt::format("window.{}", i)] = tables_[i];
    }
    return arrays;
  }

  void restore(const std::map<std::string, std::vector<float>>& state, const std::string& path) override {
    restart();
    for (const auto& [name, values] : state) {
      if (name == "theta" && values.size() == 1 && values[0] >= 0 && values[0] <= 1) {
        theta_ = values[0];
        continue;
      }
      std::size_t slot = 0;
      while (slot < tables_.size() && name != fmt::format("window.{}", slot)) ++slot;
      const bool good =
          slot < tables_.size() && values.size() == entries_ &&
          std::all_of(values.begin(), values.end(), [](float x) { return x >= 0 && x <= 1.001F; });
      if (!good) {
        fail(ExitCode::data, "{}: 'hook/{}' is no state of pop with a window of {}", path, name,
             method_.window);
      }
      tables_[slot] = values;
    }
  }

  std::vector<std::pair<std::string, double>> figures() const override {
    return {{"candidates", mean_size_}, {"theta", static_cast<double>(theta_)}};
  }

 private:
  void purify(EpochTable& table) {
    const int classes = table.candidates.classes;
    std::int64_t changed = 0;
    std::vector<double> mean(static_cast<std::size_t>(classes));
    for (std::int64_t i = 0; i < table.candidates.count; ++i) {
      const std::size_t row = static_cast<std::size_t>(i) * mean.size();
      double largest = 0, kept = 0;
      for (std::size_t k = 0; k < mean.size(); ++k) {
        mean[k] = 0;
        for (const std::vector<float>& past : tables_) {
          if (!past.empty()) mean[k] += static_cast<double>(past[row + k]);
        }
        largest = std::max(largest, mean[k]);
      }
      for (int k = 0; k < classes; ++k) {
        double& m = mean[static_cast<std::size_t>(k)];
        if (!table.candidates.contains(i, k)) {
          m = 0;
        } else if (m < static_cast<double>(theta_) * largest) {
          table.candidates.remove(i, k);
          ++changed;
          m = 0;
        }
        kept += m;
      }
      for (std::size_t k = 0; k < mean.size(); ++k) {
        table.targets[row + k] = static_cast<float>(mean[k] / kept);
      }
    }
    const bool settled = static_cast<double>(changed) < kSettledShare * static_cast<double>(entries_);
    if (static_cast<double>(theta_) < kThetaMost && settled) {
      theta_ *= static_cast<float>(1 + method_.increase);
    }
  }

  Pop method_;
  std::size_t entries_;
  std::vector<std::vector<float>> tables_;  // of the last epochs; empty: not yet
  float theta_;
  double mean_size_ = 0;
};

}  // namespace

std::unique_ptr<EpochHook> Pop::make_hook(std::int64_t samples, int classes) const {
  return std::make_unique<Purification>(*this, samples, classes);
}

}  // namespace dpll
