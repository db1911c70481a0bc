#include "objectives/fredis.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/core/philox.h"

namespace dpll {
namespace {

constexpr double kMostTheta = 0.9, kLeastDelta = 0.1;  // beyond them theta and delta stay
constexpr float kMostSteps = 16'777'216;               // float32 counts so far

// `count` of the entries, each as likely as any other; all of them where there are no more.
void choose(std::vector<std::size_t>& entries, std::size_t count, PhiloxStream stream) {
  if (entries.size() <= count) return;
  for (std::size_t i = 0; i < count; ++i) {
    const auto rest = static_cast<std::uint32_t>(entries.size() - i);
    std::swap(entries[i], entries[i + stream.next_below(rest)]);
  }
  entries.resize(count);
}

class Fusion final : public EpochHook {
 public:
  explicit Fusion(const Fredis& method) : method_(method) {}

  void end_epoch(int epoch, EpochTable& table) override {
    if ((epoch + 1) % method_.interval == 0) fuse(epoch, table);
    mean_size_ = table.candidates.mean_size();
  }

  void restart() override { theta_steps_ = delta_steps_ = 0; }

  std::map<std::string, std::vector<float>> state() const override {
    return {{"theta_steps", {theta_steps_}}, {"delta_steps", {delta_steps_}}};
  }

  void restore(const std::map<std::string, std::vector<float>>& state, const std::string& path) override {
    restart();
    for (const auto& [name, values] : state) {
      const bool known = name == "theta_steps" || name == "delta_steps";
      if (!known || values.size() != 1 || !(values[0] >= 0 && values[0] <= kMostSteps)) {
        fail(ExitCode::data, "{}: 'hook/{}' is no state of fredis", path, name);
      }
      (name == "theta_steps" ? theta_steps_ : delta_steps_) = std::floor(values[0]);
    }
  }

  std::vector<std::pair<std::string, double>> figures() const override {
    return {{"candidates", mean_size_}, {"theta", theta()}, {"delta", delta()}};
  }

 private:
  double theta() const { return method_.theta + method_.increase * static_cast<double>(theta_steps_); }
  double delta() const { return method_.delta - method_.decrease * static_cast<double>(delta_steps_); }

  static float* posterior(EpochTable& table, std::int64_t sample) {
    return table.kept.data() + sample * Fredis::kept_rows * table.candidates.classes;
  }

  // d of every sample and class.
  static std::vector<double> gaps(EpochTable& table) {
    const int classes = table.candidates.classes;
    std::vector<double> gaps;
    for (std::int64_t i = 0; i < table.candidates.count; ++i) {
      const float* const q = posterior(table, i);
      const auto largest = static_cast<double>(*std::max_element(q, q + classes));
      for (int k = 0; k < classes; ++k) gaps.push_back(largest - static_cast<double>(q[k]));
    }
    return gaps;
  }

  // Lowers delta until `least` of the candidates, given by their d, have d > delta, or all with d > 0.
  void lower_delta(std::vector<double> gaps_of_candidates, std::size_t least) {
    std::erase_if(gaps_of_candidates, [](double gap) { return gap <= 0; });
    least = std::min(least, gaps_of_candidates.size());
    if (least == 0) return;
    const auto last = gaps_of_candidates.begin() + static_cast<std::ptrdiff_t>(least - 1);
    std::nth_element(gaps_of_candidates.begin(), last, gaps_of_candidates.end(), std::greater<>());
    while (delta() >= *last && delta_steps_ < kMostSteps) delta_steps_ += 1;
  }

  void fuse(int epoch, EpochTable& table) {
    const CandidateSets before = table.candidates;
    const int classes = before.classes;
    const std::vector<double> gap = gaps(table);
    const auto is_candidate = [&](std::size_t entry) {
      const auto at = static_cast<std::int64_t>(entry);
      return before.contains(at / classes, static_cast<int>(at % classes));
    };
    const bool among_all = method_.variant == ObjectiveVariant::published;
    const auto change_size = static_cast<std::size_t>(method_.change_size);
    const auto times = static_cast<std::size_t>(method_.times);
    const auto stream = [&](std::uint32_t which) {
      return PhiloxStream(table.seed, Purpose::method, static_cast<std::uint32_t>(epoch), 0, which);
    };

    std::vector<std::size_t> joining;
    std::vector<double> gaps_of_candidates;
    std::size_t joined = 0;
    for (std::size_t at = 0; at < gap.size(); ++at) {
      if (is_candidate(at)) gaps_of_candidates.push_back(gap[at]);
      if (!(gap[at] < theta())) continue;
      if (!is_candidate(at)) ++joined;
      if (among_all || !is_candidate(at)) joining.push_back(at);
    }
    if (joined > change_size) {
      choose(joining, change_size, stream(0));
      joined = change_size;
    }
    lower_delta(std::move(gaps_of_candidates), joined * times);
    std::vector<std::size_t> leaving;
    std::size_t left = 0;
    for (std::size_t at = 0; at < gap.size(); ++at) {
      if (!(gap[at] > delta())) continue;
      if (is_candidate(at)) ++left;
      if (among_all || is_candidate(at)) leaving.push_back(at);
    }
    if (left > change_size * times) choose(leaving, change_size * times, stream(1));

    const auto row_of = [&](std::size_t entry) { return static_cast<std::int64_t>(entry) / classes; };
    const auto class_of = [&](std::size_t entry) {
      return static_cast<int>(static_cast<std::int64_t>(entry) % classes);
    };
    for (const std::size_t at : joining) table.candidates.insert(row_of(at), class_of(at));
    for (const std::size_t at : leaving) table.candidates.remove(row_of(at), class_of(at));
    std::size_t changed = 0;
    for (std::int64_t i = 0; i < before.count; ++i) changed += settle(table, before, i);
    if (theta() < kMostTheta && delta() > kLeastDelta && changed < change_size) {
      theta_steps_ += 1;
      delta_steps_ += 1;
    }
  }

  // The sample's set is not empty, its rows are of the set. How many classes joined or left it.
  std::size_t settle(EpochTable& table, const CandidateSets& before, std::int64_t sample) const {
    const int classes = before.classes;
    std::size_t changed = 0;
    if (table.candidates.size(sample) == 0) {
      for (int k = 0; k < classes; ++k) {
        if (before.contains(sample, k)) table.candidates.insert(sample, k);
      }
    }
    float* const q = posterior(table, sample);
    double sum = 0;
    for (int k = 0; k < classes; ++k) {
      const bool in_set = table.candidates.contains(sample, k);
      changed += in_set != before.contains(sample, k) ? 1 : 0;
      if (in_set) sum += static_cast<double>(q[k]);
      if (q[classes + k] > 0.5F) q[classes + k] = Fredis::kFresh;
    }
    for (int k = 0; k < classes; ++k) {
      const double share = sum > 0 ? static_cast<double>(q[k]) / sum : 1.0 / table.candidates.size(sample);
      table.targets[static_cast<std::size_t>(sample * classes + k)] =
          table.candidates.contains(sample, k) ? static_cast<float>(share) : 0;
    }
    return changed;
  }

  Fredis method_;
  float theta_steps_ = 0, delta_steps_ = 0;  // how often each has changed
  double mean_size_ = 0;
};

}  // namespace

std::unique_ptr<EpochHook> Fredis::make_hook(std::int64_t /*samples*/, int /*classes*/) const {
  return std::make_unique<Fusion>(*this);
}

}  // namespace dpll
