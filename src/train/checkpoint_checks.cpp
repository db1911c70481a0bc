#include "train/checkpoint_checks.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "dpll/core/check.h"
#include "dpll/ops/pll_objective.h"
#include "dpll/ops/sgd.h"
#include "io/text.h"
#include "train/checkpoint_history.h"

namespace dpll {
namespace {

constexpr std::int64_t kMostEpochs = 1'000'000;  // of run.epochs
constexpr int kMostRollbacks = 100;              // of guard.retries
// A row of targets is rounded to float32, or comes from a softmax in float32 over up to 65,536 classes.
constexpr double kTargetSumTolerance = 1e-3;

const std::string& text_of(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) {
    fail(ExitCode::data, "{}: not a checkpoint: it has no '{}'", file.path(), key);
  }
  return found->second;
}

template <typename T>
T number_within(const SafetensorsFile& file, const std::string& key, T least, T most) {
  const std::string& text = text_of(file, key);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // The comparison also refuses NaN.
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= least && value <= most)) {
    fail(ExitCode::data, "{}: '{}' is '{}', expected a number from {} to {}", file.path(), key,
         printable(text), least, most);
  }
  return value;
}

void check_values(const SafetensorsFile& file, const std::string& name, float least) {
  const std::vector<float> values = file.get<float>(name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && values[i] >= least) continue;
    fail(ExitCode::data, "{}: tensor '{}' holds {} at element {}, expected {}", file.path(), printable(name),
         values[i], i, least == 0 ? "a finite number that is not negative" : "a finite number");
  }
}

void check_targets(const SafetensorsFile& file, const CandidateSets& candidates) {
  const std::vector<float> targets = file.get<float>("targets", {candidates.count, candidates.classes});
  std::size_t at = 0;
  for (std::int64_t i = 0; i < candidates.count; ++i) {
    double sum = 0;
    for (int c = 0; c < candidates.classes; ++c, ++at) {
      const float value = targets[at];
      if (!(value >= 0 && value <= 1 + kTargetSumTolerance)) {
        fail(ExitCode::data, "{}: tensor 'targets' holds {} for class {} of sample {}, expected 0 to 1",
             file.path(), value, c, i);
      }
      if (value > 0 && !candidates.contains(i, c)) {
        fail(ExitCode::data,
             "{}: tensor 'targets' holds {} for class {} of sample {}, which is not its candidate: expected "
             "0",
             file.path(), value, c, i);
      }
      sum += double{value};
    }
    if (!(std::abs(sum - 1) <= kTargetSumTolerance)) {
      fail(ExitCode::data, "{}: tensor 'targets' sums to {} for sample {}, expected 1", file.path(), sum, i);
    }
  }
}

// Sums over samples of the unfinished epoch.
void check_sums(const SafetensorsFile& file, double samples_of_an_epoch) {
  const std::vector<double> sums = file.get<double>("total_metrics");
  static_assert(kObjectiveMetricsFields == 12 + kMethodMetrics);
  // Earlier versions had no metrics of a method.
  if (sums.size() != kObjectiveMetricsFields && sums.size() != kObjectiveMetricsFields - kMethodMetrics) {
    fail(ExitCode::data, "{}: tensor 'total_metrics' has {} elements, expected {}", file.path(), sums.size(),
         kObjectiveMetricsFields);
  }
  constexpr std::array<const char*, kObjectiveMetricsFields> kNames = {
      "samples",        "total",          "supervised",   "consistency",    "labelled",
      "train_correct",  "pseudo_correct", "covered",      "target_entropy", "target_max",
      "target_changed", "nonfinite",      "of_method[0]", "of_method[1]"};
  constexpr std::array<bool, kObjectiveMetricsFields> kCounts = {
      true, false, false, false, true, true, true, true, false, false, true, true, false, false};
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (!std::isfinite(sums[i])) {
      fail(ExitCode::data, "{}: tensor 'total_metrics' holds {} for {}, expected a finite number",
           file.path(), sums[i], kNames[i]);
    }
    const double most = i == 0 ? samples_of_an_epoch : sums[0];
    if (kCounts[i] && !(sums[i] >= 0 && sums[i] <= most)) {
      fail(ExitCode::data, "{}: tensor 'total_metrics' holds {} for {}, expected 0 to {}", file.path(),
           sums[i], kNames[i], most);
    }
  }
}

}  // namespace

void check_digest(const SafetensorsFile& file) {
  const auto digest = file.metadata().find(kDigestKey);
  if (digest != file.metadata().end() && digest->second != file.digest()) {
    fail(ExitCode::data, "{}: damaged: its contents do not match its SHA-256", file.path());
  }
}

void check_parameters(const SafetensorsFile& file, const std::string& prefix) {
  for (const auto& [name, entry] : file.entries()) {
    if (!name.starts_with(prefix)) continue;
    if (entry.dtype == DType::f32) {
      check_values(file, name, name.ends_with(".running_var") ? 0 : -std::numeric_limits<float>::infinity());
    } else if (name.ends_with(".num_batches_tracked") && entry.dtype == DType::i64) {
      const std::vector<std::int64_t> counts = file.get<std::int64_t>(name);
      if (counts.size() != 1 || counts[0] < 0) {
        fail(ExitCode::data, "{}: tensor '{}' holds {}, expected one number that is not negative",
             file.path(), printable(name),
             counts.size() == 1 ? std::to_string(counts[0]) : fmt::format("{} numbers", counts.size()));
      }
    }
  }
}

void check_checkpoint(const SafetensorsFile& file, const CheckpointLimits& limits) {
  constexpr double kLongest = 1e12;  // seconds
  for (const char* prefix : {"model/", "velocity/", "square/", "average/"}) check_parameters(file, prefix);
  const auto epoch = number_within<std::int64_t>(file, "epoch", 0, kMostEpochs);
  // If a signal came before the evaluation, all steps of the epoch are done.
  const auto step = number_within<std::int64_t>(file, "step_in_epoch", 0, limits.steps_per_epoch);
  number_within<double>(file, "epoch_seconds", 0, kLongest);
  number_within<double>(file, "total_seconds", 0, kLongest);
  if (file.metadata().contains("loss_scale")) {  // earlier versions did not write it
    number_within<std::int64_t>(file, "skipped_steps", 0, step);
    number_within<float>(file, "loss_scale", kLeastLossScale, kMostLossScale);
    number_within<std::uint32_t>(file, "good_steps", 0, std::numeric_limits<std::uint32_t>::max());
  }
  if (file.metadata().contains("updates")) {
    number_within<std::uint64_t>(file, "updates", 0, std::uint64_t{1} << 62);
  }
  for (const char* count : {"rollbacks", "failures_here"}) {
    if (file.metadata().contains(count)) number_within<int>(file, count, 0, kMostRollbacks);
  }
  if (file.contains("selected_model")) number_within<std::int64_t>(file, "selected_epoch", 1, epoch);
  check_targets(file, limits.candidates);
  if (limits.keeps_rows) check_values(file, "kept", -std::numeric_limits<float>::infinity());
  check_sums(file, static_cast<double>(limits.candidates.count));
  read_history(file, epoch);
}

}  // namespace dpll
