// Writes steps.csv during a run.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/write_all.h"
#include "report/listeners.h"
#include "report/metrics_files.h"
#include "train/run_folder.h"

namespace dpll {
namespace {

constexpr const char* kStepColumns = "step,epoch,loss,supervised_loss,consistency_loss,lr,lambda\n";

// The rows of the file at `path` up to step `done`; later ones are steps that will be done again.
std::string rows_until(const std::string& path, std::int64_t done) {
  std::string kept;
  std::ifstream old(path);
  std::string row;
  std::getline(old, row);  // the header
  while (done > 0 && std::getline(old, row)) {
    std::int64_t step = 0;
    const auto [end, error] = std::from_chars(row.data(), row.data() + row.size(), step);
    const bool whole = std::count(row.begin(), row.end(), ',') == 6;  // a killed process may leave half a row
    if (error == std::errc{} && whole && step <= done) kept += row + "\n";
  }
  return kept;
}

class StepsListener final : public RunListener {
 public:
  StepsListener(const std::string& folder, std::int64_t every)
      : path_(folder + "/" + run_files::kSteps), every_(every) {}

  std::string name() const override { return "steps"; }

  void start(const RunState& state) override {
    begun_ = false;
    first_ = state.steps;
    pending_.clear();
    if (every_ > 0 || (first_ > 0 && std::filesystem::exists(path_))) begin();
  }

  void steps(const std::vector<StepFigures>& done) override {
    if (every_ == 0) return;
    for (const StepFigures& step : done) {
      if (step.step % every_ != 0) continue;
      pending_ += fmt::format("{},{},{},{},{},{},{}\n", step.step, step.epoch, step.loss,
                              table_number(step.supervised), table_number(step.consistency),
                              step.learning_rate, table_number(step.lambda));
    }
    write_pending();
  }

  void finish(const RunState&) override { write_pending(); }
  void stop(const RunState&) override { write_pending(); }

 private:
  void begin() {
    const std::string text = kStepColumns + rows_until(path_, first_);
    write_file_atomically(path_, text);
    bytes_ = static_cast<off_t>(text.size());
    begun_ = true;
  }

  // Rows that could not be written, for example on a full disk, are kept and written after the complete rows.
  void write_pending() {
    if (pending_.empty()) return;
    if (!begun_) begin();
    const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) refuse();
    try {
      bytes_ = std::min(bytes_, ::lseek(file, 0, SEEK_END));  // the file may have been shortened
      ::lseek(file, bytes_, SEEK_SET);
      write_all(file, {reinterpret_cast<const std::uint8_t*>(pending_.data()), pending_.size()}, path_);
    } catch (...) {
      // Removes an incomplete row. If that fails, too, the next attempt overwrites it.
      [[maybe_unused]] const int ignored = ::ftruncate(file, bytes_);
      ::close(file);
      throw;
    }
    if (::close(file) != 0) refuse();
    bytes_ += static_cast<off_t>(pending_.size());
    pending_.clear();
  }

  [[noreturn]] void refuse() const {
    fail(ExitCode::run, "cannot write '{}': {}", path_, std::strerror(errno));
  }

  std::string path_;
  std::int64_t every_;
  std::int64_t first_ = 0;  // steps that were done at the start
  bool begun_ = false;      // the file holds the rows of these
  off_t bytes_ = 0;         // of complete rows in the file
  std::string pending_;     // rows that are not in the file yet
};

}  // namespace

std::unique_ptr<RunListener> make_steps_listener(const std::string& folder, std::int64_t every) {
  return std::make_unique<StepsListener>(folder, every);
}

}  // namespace dpll
