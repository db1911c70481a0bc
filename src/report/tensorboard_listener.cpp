// The TensorBoard event file of a run.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <system_error>

#include "dpll/files.h"
#include "report/listeners.h"

namespace dpll {
namespace {

constexpr const char* kEventFilePrefix = "events.out.tfevents.";  // TensorBoard recognises its files by this
constexpr const char* kEventFileSuffix = ".dpll";                 // marks the files of this program

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "host";
  std::string host = name;
  const auto unusual = [](char c) {
    return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-');
  };
  std::replace_if(host.begin(), host.end(), unusual, '_');
  return host;
}

class TensorboardListener final : public RunListener {
 public:
  TensorboardListener(const std::string& folder, const std::optional<EventImage>& views)
      : folder_(folder), views_(views) {}

  std::string name() const override { return "tensorboard"; }

  void start(const RunState& state) override { write(state.history); }

  void epoch_done(const EpochFigures&, const RunState& state) override {
    if (!whole_ || !append_to_file(path_, record_of(state.history, state.history.rows.size() - 1,
                                                    seconds_since_1970()))) {
      write(state.history);
    }
  }

  void finish(const RunState& state) override {
    if (!whole_) write(state.history);
  }
  void stop(const RunState& state) override { finish(state); }

 private:
  // Writes the whole file and replaces existing ones. The times of earlier epochs are not known, so they are
  // dated as if the run had had no pause.
  void write(const History& history) {
    whole_ = false;
    const std::size_t column = static_cast<std::size_t>(
        std::find(history.columns.begin(), history.columns.end(), "seconds") - history.columns.begin());
    const auto seconds = [&](const std::vector<double>& row) {
      return column < row.size() && std::isfinite(row[column]) ? row[column] : 0.0;
    };
    double time = seconds_since_1970();
    const double now = time;
    for (const std::vector<double>& row : history.rows) time -= seconds(row);
    std::string text = version_record(time);
    if (views_) text += image_record(time, 0, *views_);
    for (std::size_t i = 0; i < history.rows.size(); ++i) {
      time += seconds(history.rows[i]);
      text += record_of(history, i, time);
    }
    path_ = fmt::format("{}/{}{:010.0f}.{}.{}.{}{}", folder_, kEventFilePrefix, std::floor(now), host_name(),
                        getpid(), written_++, kEventFileSuffix);
    write_file_atomically(path_, text);
    whole_ = true;
    remove_others();
  }

  static std::string record_of(const History& history, std::size_t row, double wall_time) {
    std::vector<std::pair<std::string, double>> scalars;
    double epoch = static_cast<double>(row + 1);
    for (std::size_t i = 0; i < history.columns.size(); ++i) {
      const double value = history.rows[row][i];
      if (history.columns[i] == "epoch") epoch = value;
      const std::string tag = tensorboard_tag(history.columns[i]);
      // There is no such metric, or not in this epoch.
      if (!tag.empty() && !std::isnan(value)) scalars.emplace_back(tag, value);
    }
    return scalars_record(wall_time, static_cast<std::int64_t>(epoch), scalars);
  }

  void remove_others() const {
    const std::string own = std::filesystem::path(path_).filename().string();
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
      const std::string name = entry.path().filename().string();
      if (name != own && name.starts_with(kEventFilePrefix) && name.ends_with(kEventFileSuffix)) {
        unlink(entry.path().c_str());
      }
    }
  }

  std::string folder_;
  std::optional<EventImage> views_;
  std::string path_;
  int written_ = 0;
  bool whole_ = false;  // the file has every epoch except the newest
};

}  // namespace

std::unique_ptr<RunListener> make_tensorboard_listener(const std::string& folder,
                                                       const std::optional<EventImage>& views) {
  return std::make_unique<TensorboardListener>(folder, views);
}

}  // namespace dpll
