#include "train/checkpoint.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "dpll/safetensors.h"
#include "io/text.h"
#include "train/checkpoint_checks.h"
#include "train/checkpoint_history.h"

namespace dpll {
namespace {

constexpr const char* kFormat = "dpll checkpoint 2";
constexpr const char* kFormatWithoutMethod = "dpll checkpoint 1";    // PLCR was the only method
constexpr const char* kWeightsKey = "candidates.weights (SHA-256)";  // of the identity
constexpr const char* kMethodKey = "objective.method";               // of the identity
constexpr const char* kOptimiserKey = "optimiser.kind";              // whose moments it has
constexpr const char* kModelPrefix = "model/";
constexpr const char* kVelocityPrefix = "velocity/";
constexpr const char* kSquarePrefix = "square/";
constexpr const char* kAveragePrefix = "average/";

constexpr const char* kSelectedModel = "selected_model";

// "section.key" -> value of every line of INI text that to_ini() wrote.
std::map<std::string, std::string> settings_of(const std::string& ini) {
  std::map<std::string, std::string> settings;
  std::istringstream lines(ini);
  std::string line, section;
  while (std::getline(lines, line)) {
    if (line.starts_with('[')) {
      section = line.substr(1, line.find(']') - 1);
    } else if (const std::size_t equals = line.find('=');
               equals != std::string::npos && !line.starts_with('#')) {
      settings[section + "." + line.substr(0, line.find_last_not_of(' ', equals - 1) + 1)] =
          line.substr(equals + 1);
    }
  }
  return settings;
}

const std::string& required(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end())
    fail(ExitCode::data, "{}: not a checkpoint: it has no '{}'", file.path(), key);
  return found->second;
}

template <typename T>
T number(const SafetensorsFile& file, const std::string& key) {
  const std::string& text = required(file, key);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    fail(ExitCode::data, "{}: '{}' is '{}', not a number", file.path(), key, text);
  }
  return value;
}

}  // namespace

std::int64_t integer_metadata(const SafetensorsFile& file, const std::string& key) {
  return number<std::int64_t>(file, key);
}

void add_training_state(SafetensorsWriter& writer, const ModelState& model, const TrainingStep& step) {
  model.save(writer, ModelState::Array::value, kModelPrefix);
  model.save_buffers(writer, kModelPrefix);
  model.save(writer, ModelState::Array::velocity, kVelocityPrefix);
  if (model.has_squares()) model.save(writer, ModelState::Array::square, kSquarePrefix);
  if (model.has_average()) model.save(writer, ModelState::Array::average, kAveragePrefix);
  if (model.has_network_of_average()) {
    model.save_buffers(writer, kAveragePrefix, ModelState::Array::average);
  }
  const ObjectiveMetrics metrics = step.total_metrics();
  writer.add("total_metrics", DType::f64, {kObjectiveMetricsFields}, &metrics);
  writer.set_metadata("loss_scale", fmt::format("{}", step.loss_scale()));
  writer.set_metadata("good_steps", std::to_string(step.health().good_steps));
  writer.set_metadata("updates", std::to_string(step.health().updates));
}

void restore_training_state(const SafetensorsFile& file, ModelState& model, TrainingStep& step) {
  model.refuse_unknown(file, kModelPrefix);
  model.load(file, ModelState::Array::value, kModelPrefix);
  model.load_buffers(file, kModelPrefix);
  model.load(file, ModelState::Array::velocity, kVelocityPrefix);
  if (model.has_squares()) model.load(file, ModelState::Array::square, kSquarePrefix);
  if (model.has_average()) model.load(file, ModelState::Array::average, kAveragePrefix);
  if (model.has_network_of_average()) {
    model.load_buffers(file, kAveragePrefix, ModelState::Array::average);
  }
  // Earlier versions had no metrics of a method.
  const std::vector<double> sums = file.get<double>("total_metrics");
  std::array<double, kObjectiveMetricsFields> fields{};
  std::copy(sums.begin(), sums.end(), fields.begin());
  step.set_total_metrics(std::bit_cast<ObjectiveMetrics>(fields));
  if (file.metadata().contains("loss_scale")) {  // earlier versions did not write it
    step.restore_loss_scale(number<float>(file, "loss_scale"), number<std::uint32_t>(file, "good_steps"));
  }
  if (file.metadata().contains("updates")) step.restore_updates(number<std::uint64_t>(file, "updates"));
}

namespace {

constexpr const char* kKept = "kept";
constexpr const char* kCandidates = "candidates";  // as the method has changed them
constexpr const char* kHookPrefix = "hook/";

// What methods have beside the table.
void add_method_state(SafetensorsWriter& writer, const TrainingStep& step) {
  if (step.kept_rows() > 0) {
    const std::vector<float> kept = step.kept();
    const std::int64_t classes = step.candidates().classes;
    writer.add(kKept, DType::f32, {step.samples(), step.kept_rows(), classes}, kept.data());
  }
  if (step.hook() == nullptr) return;
  const CandidateSets sets = step.candidates();
  writer.add(kCandidates, DType::u64, {sets.count, sets.words_per_row}, sets.words.data());
  for (const auto& [name, values] : step.hook()->state()) {
    writer.add(kHookPrefix + name, DType::f32, {static_cast<std::int64_t>(values.size())}, values.data());
  }
}

// The sets of a checkpoint: as the method left them, or those of the run.
CandidateSets candidates_in(const SafetensorsFile& file, const CandidateSets& of_the_run) {
  if (!file.contains(kCandidates)) return of_the_run;
  CandidateSets sets(of_the_run.count, of_the_run.classes);
  sets.words = file.get<std::uint64_t>(kCandidates, {sets.count, sets.words_per_row});
  for (std::int64_t i = 0; i < sets.count; ++i) {
    bool foreign = false;
    for (int c = sets.classes; c < 64 * sets.words_per_row; ++c) foreign = foreign || sets.contains(i, c);
    if (foreign || sets.size(i) == 0) {
      fail(ExitCode::data, "{}: tensor 'candidates' holds {} for sample {}, expected a set of the {} classes",
           file.path(), foreign ? "a class that there is not" : "no class", i, sets.classes);
    }
  }
  return sets;
}

void restore_method_state(const SafetensorsFile& file, const CandidateSets& candidates, TrainingStep& step) {
  if (step.kept_rows() > 0) {
    step.set_kept(file.get<float>(kKept, {step.samples(), step.kept_rows(), candidates.classes}));
  }
  if (step.hook() == nullptr) return;
  step.set_candidates(candidates);
  std::map<std::string, std::vector<float>> state;
  for (const auto& [name, entry] : file.entries()) {
    if (name.starts_with(kHookPrefix)) {
      state[name.substr(std::string(kHookPrefix).size())] = file.get<float>(name);
    }
  }
  step.hook()->restore(state, file.path());
}

}  // namespace

RunIdentity run_identity(const RunConfig& config, const Network& network, const DataSet& data,
                         const CandidateSets& candidates) {
  const InputShape& in = network.input();
  return {
      {"network", network.name()},
      {"network input", fmt::format("{}x{}x{}, {} classes", in.height, in.width, in.channels, in.classes)},
      {"training data (SHA-256)", fingerprint(data)},
      {"candidate sets (SHA-256)", candidates_sha256(candidates)},
      {kWeightsKey, weights_sha256(candidates)},
      {"run.seed", std::to_string(config.run.seed)},
      {kMethodKey, config.objective.method},
      {"views.strong", std::to_string(views_of(config) - 1)},
      {"optimiser.batch", std::to_string(config.optimiser.batch)},
      {"optimiser.drop_last", config.optimiser.drop_last ? "true" : "false"},
      {"optimiser.ema", config.optimiser.ema > 0 ? "on" : "off"},
      {kOptimiserKey, config.optimiser.kind == OptimiserKind::sgd ? "sgd" : "adam"},
      {"data.shuffle", config.data.shuffle ? "true" : "false"}};
}

void save_checkpoint(const RunFolder& folder, const RunConfig& config, const RunIdentity& identity,
                     const Progress& progress, const ModelState& model, const TrainingStep& step,
                     bool replaces) {
  SafetensorsWriter writer;
  add_training_state(writer, model, step);
  const std::vector<float> targets = step.targets();
  writer.add("targets", DType::f32,
             {step.samples(), static_cast<std::int64_t>(targets.size()) / step.samples()}, targets.data());
  add_method_state(writer, step);
  add_history(writer, progress.history);
  if (progress.selected.epoch > 0) {
    writer.add(kSelectedModel, DType::u8, {static_cast<std::int64_t>(progress.selected.bytes.size())},
               progress.selected.bytes.data());
    writer.set_metadata("selected_epoch", std::to_string(progress.selected.epoch));
  }

  writer.set_metadata("format", kFormat);
  writer.set_metadata("config", to_ini(config));
  for (const auto& [key, value] : identity) writer.set_metadata("identity/" + key, value);
  writer.set_metadata("epoch", std::to_string(progress.epoch));
  writer.set_metadata("step_in_epoch", std::to_string(progress.step_in_epoch));
  writer.set_metadata("epoch_seconds", fmt::format("{}", progress.epoch_seconds));
  writer.set_metadata("total_seconds", fmt::format("{}", progress.total_seconds));
  writer.set_metadata("skipped_steps", std::to_string(progress.skipped_steps));
  writer.set_metadata("rollbacks", std::to_string(progress.rollbacks));
  writer.set_metadata("failures_here", std::to_string(progress.failures_here));
  writer.set_metadata("ranks", std::to_string(step.ranks()));
  writer.set_metadata(kDigestKey, writer.digest());

  // The current file stays in place until the new one takes its name; a second name keeps its contents.
  const std::string current = folder.file(run_files::kCheckpoint);
  const std::string previous = folder.file(run_files::kPreviousCheckpoint);
  if (folder.has(run_files::kCheckpoint) && !replaces) {
    unlink(previous.c_str());
    // FAT, SMB and others have no hard links.
    std::error_code no_copy;
    if (link(current.c_str(), previous.c_str()) != 0 &&
        !std::filesystem::copy_file(current, previous, no_copy)) {
      fail(ExitCode::run, "cannot keep the previous checkpoint '{}': {}", previous, no_copy.message());
    }
  }
  writer.write(current);
}

namespace {

// Error(data) if it is damaged or has another format.
SafetensorsFile read_checkpoint(const std::string& path) {
  SafetensorsFile file = SafetensorsFile::read(path);
  const std::string format = required(file, "format");
  if (format != kFormat && format != kFormatWithoutMethod) {
    fail(ExitCode::data, "{}: format '{}', this version reads '{}' and '{}'", path, printable(format),
         kFormatWithoutMethod, kFormat);
  }
  required(file, kDigestKey);
  check_digest(file);
  return file;
}

SafetensorsFile read_newest_checkpoint(const RunFolder& folder, std::string& damage) {
  const std::string newest = folder.file(run_files::kCheckpoint);
  const bool is_there = folder.has(run_files::kCheckpoint);
  if (is_there) {
    try {
      return read_checkpoint(newest);
    } catch (const Error& error) {
      if (!folder.has(run_files::kPreviousCheckpoint)) throw;
      damage = error.what();
    }
  } else {
    damage = fmt::format("{} is missing", newest);
  }
  try {
    return read_checkpoint(folder.file(run_files::kPreviousCheckpoint));
  } catch (const Error& error) {
    fail(error.code(), "{}; and the one before it: {}", damage, error.what());
  }
}

}  // namespace

void set_damaged_checkpoint_aside(const RunFolder& folder) {
  if (!folder.has(run_files::kCheckpoint)) return;
  std::rename(folder.file(run_files::kCheckpoint).c_str(),
              folder.file(run_files::kDamagedCheckpoint).c_str());
}

LoadedCheckpoint load_checkpoint(const RunFolder& folder, const RunConfig& config,
                                 const RunIdentity& identity, Progress& progress, ModelState& model,
                                 TrainingStep& step, WhichCheckpoint which) {
  LoadedCheckpoint loaded;
  const SafetensorsFile file = which == WhichCheckpoint::previous
                                   ? read_checkpoint(folder.file(run_files::kPreviousCheckpoint))
                                   : read_newest_checkpoint(folder, loaded.damage);
  for (const auto& [key, ours] : identity) {
    // What there was one of when the version that wrote it was made.
    const std::map<std::string, std::string> only = {
        {kMethodKey, Plcr::about.name}, {kOptimiserKey, "sgd"}, {kWeightsKey, "none"}};
    const bool silent = only.contains(key) && !file.metadata().contains("identity/" + key);
    const std::string theirs = silent ? only.at(key) : required(file, "identity/" + key);
    if (theirs != ours) {
      fail(ExitCode::data, "{}: belongs to another run: {} is {} there and {} here", file.path(), key,
           printable(theirs), ours);
    }
  }

  const CandidateSets candidates = candidates_in(file, step.candidates());
  check_checkpoint(file, {step.steps_per_epoch(), candidates, step.kept_rows() > 0});
  restore_training_state(file, model, step);
  restore_method_state(file, candidates, step);
  step.set_targets(file.get<float>("targets"));

  progress.epoch = number<int>(file, "epoch");
  progress.step_in_epoch = number<std::int64_t>(file, "step_in_epoch");
  progress.epoch_seconds = number<double>(file, "epoch_seconds");
  progress.total_seconds = number<double>(file, "total_seconds");
  if (file.metadata().contains("skipped_steps")) {  // earlier versions did not write it
    progress.skipped_steps = number<std::int64_t>(file, "skipped_steps");
  }
  if (file.metadata().contains("rollbacks")) progress.rollbacks = number<int>(file, "rollbacks");
  if (file.metadata().contains("failures_here")) progress.failures_here = number<int>(file, "failures_here");
  progress.history = read_history(file, progress.epoch);
  if (file.contains(kSelectedModel)) {
    progress.selected = {number<int>(file, "selected_epoch"), file.get<std::uint8_t>(kSelectedModel)};
  }

  // Earlier versions knew one alone.
  const int ranks = file.metadata().contains("ranks") ? number<int>(file, "ranks") : 1;
  if (ranks != step.ranks()) {
    loaded.changes.push_back(
        fmt::format("it was written by {} {} and goes on with {}: sums are rounded in another order", ranks,
                    ranks == 1 ? "rank" : "ranks", step.ranks()));
  }
  const auto then = settings_of(required(file, "config")), now = settings_of(to_ini(config)),
             defaults = settings_of(to_ini(RunConfig{}));
  for (const auto& [key, value] : now) {
    const auto earlier = then.find(key);
    // The version that wrote the file did not have this key; it behaved like the default.
    if (earlier == then.end() && defaults.at(key) == value) continue;
    // The path of the folder and the start of this process do not matter.
    const bool of_the_start = key.starts_with("run.resume") || key.starts_with("run.name") ||
                              key.starts_with("run.out_dir") || key.starts_with("run.lock") ||
                              key == "run.max_hours";
    // An architecture's own depth was written as a number once; of the network the identity speaks.
    const bool of_the_network = key.ends_with(".depth") && value == " preset";
    if (of_the_start || of_the_network || (earlier != then.end() && earlier->second == value)) continue;
    loaded.changes.push_back(
        fmt::format("{} was{}, is now{}", key, earlier == then.end() ? " not set" : earlier->second, value));
  }
  return loaded;
}

namespace {

SafetensorsWriter model_file(const ModelState& model, ModelState::Array array,
                             const std::map<std::string, std::string>& metadata) {
  SafetensorsWriter writer;
  model.save(writer, array, "");
  model.save_buffers(writer, "", array);
  for (const auto& [key, value] : metadata) writer.set_metadata(key, value);
  writer.set_metadata(kDigestKey, writer.digest());
  return writer;
}

}  // namespace

std::vector<std::uint8_t> model_bytes(const ModelState& model, ModelState::Array array,
                                      const std::map<std::string, std::string>& metadata) {
  return model_file(model, array, metadata).bytes();
}

void save_model(const std::string& path, const ModelState& model, ModelState::Array array,
                const std::map<std::string, std::string>& metadata) {
  model_file(model, array, metadata).write(path);
}

void load_model(const std::string& path, ModelState& model) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  check_digest(file);
  model.refuse_unknown(file, "");
  check_parameters(file, "");
  model.load(file, ModelState::Array::value, "");
  model.load_buffers(file, "");
}

}  // namespace dpll
