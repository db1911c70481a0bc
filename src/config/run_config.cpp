#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/ini_file.h"
#include "config/keys.h"
#include "data/catalogue.h"
#include "dpll/config.h"
#include "dpll/core/check.h"
#include "io/text.h"

namespace dpll {
namespace {

constexpr std::size_t kLongestFile = 1 << 20;  // bytes; a configuration is a page of text

// A setting as it was given, for messages.
struct Given {
  std::string where;  // "file:line: section.key = value" or "--set section.key=value"
  int order = 0;      // a later setting has the greater number
};

// Applies settings to a RunConfig and remembers the origin of each.
class Settings {
 public:
  Settings(RunConfig& config, const std::string& path) : path_(path), keys_(bind_keys(config)) {}

  void set(const std::string& given_name, const std::string& value, const std::string& where) {
    const std::string name = present_name(given_name);
    const auto key = std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.name == name; });
    if (key == keys_.end()) fail(ExitCode::config, "{}: unknown key{}", where, suggestion(name));
    const std::string problem = key->parse(value);
    if (!problem.empty()) {
      fail(ExitCode::config, "{}: {}; expected: {} ({})", where, problem, key->accepts, key->doc);
    }
    given_[name] = {where, ++sets_};
  }

  void check_section(const std::string& name, int line) const {
    std::vector<std::string> known;
    for (const Key& key : keys_) {
      if (known.empty() || known.back() != key.section()) known.push_back(key.section());
    }
    for (const std::string& method : method_names()) {  // some have no keys
      if (std::find(known.begin(), known.end(), method) == known.end()) known.push_back(method);
    }
    if (std::find(known.begin(), known.end(), name) != known.end()) return;
    const std::string hint = did_you_mean(nearest(name, known));
    fail(ExitCode::config, "{}:{}: unknown section [{}]{}", path_, line, printable(name),
         hint.empty() ? fmt::format("; known sections: {}", fmt::join(known, ", ")) : hint);
  }

  // Reports a conflict between settings at the one that was given last.
  [[noreturn]] void blame(const std::vector<std::string>& names, const std::string& problem) const {
    Given last{path_, 0};
    for (const std::string& name : names) {
      const auto given = given_.find(name);
      if (given != given_.end() && given->second.order > last.order) last = given->second;
    }
    fail(ExitCode::config, "{}: {}", last.where, problem);
  }

 private:
  // When PLCR was the only method, its keys were in [objective].
  static std::string present_name(const std::string& name) {
    for (const char* key : {"variant", "lambda_max", "ramp_epochs"}) {
      if (name == fmt::format("objective.{}", key)) return fmt::format("plcr.{}", key);
    }
    return name;
  }

  // The same key of another section, else the nearest keys of this section, else the nearest of all.
  std::string suggestion(const std::string& name) const {
    const std::string section = name.substr(0, name.find('.'));
    const std::string local = name.substr(name.find('.') + 1);
    std::vector<std::string> elsewhere, here, all;
    const std::vector<std::string> methods = method_names();
    for (const Key& key : keys_) {
      all.push_back(key.name);
      if (key.section() == section) here.push_back(key.local_name());
      if (key.local_name() == local) elsewhere.push_back(key.name);
    }
    // Methods share the names of some keys, but a key of one method does not stand for a key of another.
    if (!here.empty()) {
      std::erase_if(elsewhere, [&](const std::string& key) {
        return std::find(methods.begin(), methods.end(), key.substr(0, key.find('.'))) != methods.end();
      });
    }
    if (!elsewhere.empty()) {
      const std::vector<std::string> nearer = nearest(name, elsewhere);
      return did_you_mean(nearer.empty() ? elsewhere : nearer);
    }
    std::vector<std::string> near = nearest(local, here);
    for (std::string& key : near) key = fmt::format("{}.{}", section, key);
    if (near.empty()) near = nearest(name, all);
    if (!near.empty() || here.empty()) return did_you_mean(near);
    return fmt::format("; known keys of [{}]: {}", section, fmt::join(here, ", "));
  }

  const std::string& path_;
  std::vector<Key> keys_;
  std::map<std::string, Given> given_;
  int sets_ = 0;
};

void check_run(const RunConfig& config, const Settings& settings) {
  const std::string& name = config.run.name;
  constexpr std::size_t kLongestName = 255;  // of a folder on Linux file systems, in bytes
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.size() > kLongestName) {
    settings.blame({"run.name"},
                   fmt::format("run.name \"{}\" cannot name a folder; expected: text without /, not empty, "
                               "not . or .., at most {} bytes",
                               printable(name), kLongestName));
  }
}

void check_precision(const RunConfig& config, const Settings& settings) {
  const RunConfig::Run& run = config.run;
  const bool maybe_on_gpu = run.device != DeviceChoice::cpu;  // `auto` is resolved later
  if (maybe_on_gpu || run.precision == Precision::automatic || run.precision == Precision::f32 ||
      run.precision == Precision::bf16) {
    return;
  }
  settings.blame(
      {"run.precision", "run.device"},
      fmt::format("precision {} is for device = cuda or check; the CPU has f32 and bf16, device is {}",
                  spell(run.precision), spell(run.device)));
}

// The names of the rows that `has`, as in "cifar100" or "safetensors or tabular".
template <typename Has>
std::string datasets_that(Has&& has) {
  std::vector<std::string> names;
  for (const DatasetRow& row : catalogue()) {
    if (has(row)) names.push_back(row.name);
  }
  if (names.size() < 2) return names.empty() ? "none" : names[0];
  const std::string last = names.back();
  names.pop_back();
  return fmt::format("{} or {}", fmt::join(names, ", "), last);
}

void check_data(const RunConfig& config, const Settings& settings) {
  const RunConfig::Data& data = config.data;
  const DatasetRow& row = dataset_row(data.dataset);
  if (data.coarse_labels && row.coarse_names.empty()) {
    settings.blame(
        {"data.coarse_labels", "data.dataset"},
        fmt::format("coarse_labels is for dataset = {}, not for {}",
                    datasets_that([](const DatasetRow& r) { return !r.coarse_names.empty(); }), row.name));
  }
  if (data.svhn_extra && row.more_train.name.empty()) {
    settings.blame(
        {"data.svhn_extra", "data.dataset"},
        fmt::format("svhn_extra is for dataset = {}, not for {}",
                    datasets_that([](const DatasetRow& r) { return !r.more_train.name.empty(); }), row.name));
  }
  if (row.is_own() && data.path.empty()) {
    settings.blame({"data.path", "data.dataset"},
                   fmt::format("dataset {} needs data.path, the {}", row.name, row.path_is));
  }
}

// Refuses keys for images with feature vectors, and keys for feature vectors with images.
void check_tabular(const RunConfig& config, const Settings& settings) {
  const RunConfig::Data& data = config.data;
  const RunConfig::Views& views = config.views;
  const DatasetRow& row = dataset_row(data.dataset);
  const RunConfig::Data defaults;
  if (!row.has_folds && (data.fold != defaults.fold || data.folds != defaults.folds)) {
    settings.blame({"data.fold", "data.folds", "data.dataset"},
                   fmt::format("folds are for dataset = {}; {} has a test set of its own",
                               datasets_that([](const DatasetRow& r) { return r.has_folds; }), row.name));
  }
  if (data.fold >= data.folds) {
    settings.blame({"data.fold", "data.folds"},
                   fmt::format("there is no fold {} of {}; the first is 0", data.fold, data.folds));
  }
  if (row.samples == SampleKind::images && (views.weak_noise || views.strong_noise ||
                                            views.weak_feature_dropout || views.strong_feature_dropout)) {
    settings.blame(
        {"views.weak_noise", "views.strong_noise", "views.weak_feature_dropout",
         "views.strong_feature_dropout", "data.dataset"},
        fmt::format("feature noise and feature dropout are for dataset = {}, not for {}",
                    datasets_that([](const DatasetRow& r) { return r.samples != SampleKind::images; }),
                    row.name));
  }
  if (row.samples != SampleKind::features) return;
  if (config.model.architecture != Architecture::mlp) {
    settings.blame({"model.architecture", "data.dataset"},
                   fmt::format("dataset = {} has no images for {}; expected architecture = mlp", row.name,
                               spell(config.model.architecture)));
  }
  if (views.weak_policy || views.strong_policy || views.policy || views.cutout || views.pad ||
      !views.mean.empty() || views.weak_crop != CropKind::shifted || views.strong_crop != CropKind::shifted ||
      views.weak_jitter > 0 || views.strong_jitter > 0 || views.weak_grey > 0 || views.strong_grey > 0) {
    settings.blame({"views.weak_policy", "views.strong_policy", "views.policy", "views.cutout", "views.pad",
                    "views.mean", "views.std", "views.weak_crop", "views.strong_crop", "views.weak_jitter",
                    "views.strong_jitter", "views.weak_grey", "views.strong_grey", "data.dataset"},
                   fmt::format("the views of dataset = {} have no image steps; expected weak_noise, "
                               "strong_noise, weak_feature_dropout and strong_feature_dropout",
                               row.name));
  }
  if (config.candidates.mode == CandidateMode::instance) {
    settings.blame(
        {"candidates.mode", "data.dataset"},
        fmt::format("mode instance trains its annotator on images; dataset = {} has none", row.name));
  }
}

void check_candidates(const RunConfig& config, const Settings& settings) {
  const RunConfig::Candidates& candidates = config.candidates;
  if (candidates.mode == CandidateMode::file && candidates.file.empty()) {
    settings.blame({"candidates.mode", "candidates.file"},
                   "mode file needs candidates.file, the CSV file of the sets");
  }
  if (candidates.mode == CandidateMode::class_dependent && candidates.matrix.empty()) {
    settings.blame({"candidates.mode", "candidates.matrix"},
                   "mode class_dependent needs candidates.matrix, the CSV file of the label matrix");
  }
  const DatasetRow& row = dataset_row(config.data.dataset);
  const bool superclasses_known = !row.coarse_names.empty() && !config.data.coarse_labels;
  if (candidates.mode == CandidateMode::hierarchical && candidates.superclasses.empty() &&
      !superclasses_known) {
    settings.blame({"candidates.mode", "candidates.superclasses", "data.dataset", "data.coarse_labels"},
                   "mode hierarchical needs candidates.superclasses, the CSV file of each class's "
                   "superclass; only those of cifar100 are known");
  }
  if (candidates.noise_rate > 0 &&
      (candidates.mode == CandidateMode::file || candidates.mode == CandidateMode::dataset)) {
    settings.blame({"candidates.mode", "candidates.noise_rate"},
                   fmt::format("noise_rate changes sets that are drawn; mode {} takes them as they are",
                               spell(candidates.mode)));
  }
  if (!candidates.weights.empty() && facts_of(method_of(config)).needs_labels) {
    settings.blame(
        {"candidates.weights", "objective.method"},
        fmt::format("weights are where targets start; method {} learns the true labels and has none",
                    config.objective.method));
  }
  if (candidates.mode == CandidateMode::dataset && !row.brings_candidates) {
    settings.blame(
        {"candidates.mode", "data.dataset"},
        fmt::format("candidate sets from the data set need data.dataset = {}; {} holds none",
                    datasets_that([](const DatasetRow& r) { return r.brings_candidates; }), row.name));
  }
}

// The two ends of an interval, or nothing for the default.
void check_interval(const std::string& name, const std::vector<double>& ends, const Settings& settings) {
  if (ends.empty() || (ends.size() == 2 && ends[0] <= ends[1])) return;
  settings.blame({"views." + name},
                 fmt::format("{} needs two numbers, the least and the greatest; here {}", name,
                             ends.size() == 2 ? fmt::format("{} is more than {}", ends[0], ends[1])
                                              : fmt::format("{} given", ends.size())));
}

bool has_crop(ViewPolicy policy) {
  return policy == ViewPolicy::flip_crop || policy == ViewPolicy::flip_crop_cutout;
}

void check_views(const RunConfig& config, const Settings& settings) {
  const RunConfig::Views& views = config.views;
  const ViewPreset& preset = dataset_row(config.data.dataset).views;
  check_interval("crop_scale", views.crop_scale, settings);
  check_interval("crop_ratio", views.crop_ratio, settings);
  const auto check_crop = [&](const std::string& kind, CropKind crop, ViewPolicy policy) {
    if (crop == CropKind::shifted || has_crop(policy)) return;
    settings.blame({"views." + kind + "_crop", "views." + kind + "_policy", "data.dataset"},
                   fmt::format("{0}_crop = {1} needs a {0}_policy with a crop, flip_crop or "
                               "flip_crop_cutout; {0}_policy is {2}",
                               kind, spell(crop), spell(policy)));
  };
  check_crop("weak", views.weak_crop, views.weak_policy.value_or(preset.weak));
  check_crop("strong", views.strong_crop, views.strong_policy.value_or(preset.strong));
  if ((views.weak_jitter > 0 || views.strong_jitter > 0) && views.jitter_brightness == 0 &&
      views.jitter_contrast == 0 && views.jitter_saturation == 0 && views.jitter_hue == 0) {
    settings.blame(
        {"views.weak_jitter", "views.strong_jitter", "views.jitter_brightness", "views.jitter_contrast",
         "views.jitter_saturation", "views.jitter_hue"},
        "colour jitter needs a jitter_brightness, jitter_contrast, jitter_saturation or jitter_hue "
        "above 0");
  }
  if (views.mean.size() == views.std.size()) return;
  if (views.mean.empty() || views.std.empty()) {
    settings.blame({"views.mean", "views.std"}, "mean and std must be given together");
  }
  settings.blame({"views.mean", "views.std"},
                 fmt::format("mean has {} and std {} items; both need one per channel", views.mean.size(),
                             views.std.size()));
}

// The numbers of layers that an architecture can have: `first` and every `step` more (0: none), up to 1000.
struct Depths {
  Architecture architecture;
  int published, first, step;
  const char* formula;
};
constexpr Depths kDepths[] = {{Architecture::wide_resnet, 34, 10, 6, "6n + 4"},
                              {Architecture::resnet, 32, 8, 6, "6n + 2"},
                              {Architecture::resnet18, 18, 18, 0, "18"},
                              {Architecture::preact_resnet18, 18, 18, 0, "18"}};

const Depths* depths_of(Architecture architecture) {
  for (const Depths& depths : kDepths) {
    if (depths.architecture == architecture) return &depths;
  }
  return nullptr;  // depth means nothing
}

void check_depth(const std::string& section, Architecture architecture, const std::optional<int>& depth,
                 const Settings& settings) {
  const Depths* const depths = depths_of(architecture);
  if (depths == nullptr || !depth) return;
  const int beyond = *depth - depths->first;
  if (beyond == 0 || (depths->step > 0 && beyond > 0 && beyond % depths->step == 0)) return;
  std::string nearest;
  if (depths->step > 0) {
    const int below = depths->first + std::max(beyond, 0) / depths->step * depths->step;
    nearest = beyond < 0
                  ? fmt::format("; the nearest to {} is {}", *depth, depths->first)
                  : fmt::format("; the nearest to {} are {} and {}", *depth, below, below + depths->step);
  }
  settings.blame({section + ".depth", section + ".architecture"},
                 fmt::format("{} needs depth = {}{}", spell(architecture), depths->formula, nearest));
}

void check_model(const RunConfig& config, const Settings& settings) {
  const RunConfig::Model& model = config.model;
  check_depth("model", model.architecture, model.depth, settings);
  if (model.init_match == InitMatch::names && model.init.empty()) {
    settings.blame({"model.init_match", "model.init"},
                   "init_match says which tensors of model.init are taken, and there is no model.init");
  }
}

void check_annotator(const RunConfig& config, const Settings& settings) {
  const RunConfig::Annotator& annotator = config.annotator;
  check_depth("annotator", annotator.architecture.value_or(Architecture::wide_resnet), annotator.depth,
              settings);
}

void check_optimiser(const RunConfig& config, const Settings& settings) {
  if (config.optimiser.ema > 0 && facts_of(method_of(config)).has_teacher) {
    settings.blame({"optimiser.ema", "objective.method"},
                   fmt::format("the averaged weights are the teacher of {0}, which {0}.momentum averages; "
                               "expected ema = 0",
                               config.objective.method));
  }
  const RunConfig::Optimiser& optimiser = config.optimiser;
  if (optimiser.nesterov && optimiser.kind != OptimiserKind::sgd) {
    settings.blame({"optimiser.nesterov", "optimiser.kind"}, "Nesterov momentum is of kind = sgd");
  }
  if (optimiser.nesterov && optimiser.momentum == 0) {
    settings.blame({"optimiser.nesterov", "optimiser.momentum"}, "Nesterov momentum needs momentum above 0");
  }
  const std::vector<int>& decays = optimiser.lr_decay_epochs;
  for (std::size_t i = 1; i < decays.size(); ++i) {
    if (decays[i] <= decays[i - 1]) {
      settings.blame({"optimiser.lr_decay_epochs"},
                     fmt::format("the epochs must increase, but {} follows {}", decays[i], decays[i - 1]));
    }
  }
  if (optimiser.warmup_epochs > config.run.epochs) {
    settings.blame({"optimiser.warmup_epochs", "run.epochs"},
                   fmt::format("a warm-up of {} epochs is longer than the run of {}", optimiser.warmup_epochs,
                               config.run.epochs));
  }
  if (optimiser.schedule == ScheduleKind::cosine && optimiser.lr_min > optimiser.lr) {
    settings.blame({"optimiser.lr_min", "optimiser.lr", "optimiser.schedule"},
                   fmt::format("lr_min = {} is more than lr = {}", optimiser.lr_min, optimiser.lr));
  }
}

[[noreturn]] void cannot_read(const std::string& path, int error) {
  fail(ExitCode::config, "{}: cannot read this configuration file: {}", path, std::strerror(error));
}

std::string read_text(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) cannot_read(path, errno);
  std::string text(kLongestFile + 1, '\0');
  errno = 0;
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) cannot_read(path, errno);
  if (text.size() > kLongestFile) {
    fail(ExitCode::config, "{}: too long for a configuration file (more than {} bytes)", path, kLongestFile);
  }
  return text;
}

}  // namespace

int depth_of(const RunConfig::Model& model) {
  const Depths* const depths = depths_of(model.architecture);
  return depths == nullptr ? 0 : model.depth.value_or(depths->published);
}

RunConfig parse_config(const std::string& text, const std::string& path,
                       const std::vector<Override>& overrides) {
  const IniFile file = parse_ini(text, path);
  RunConfig config;
  Settings settings(config, path);
  for (const IniSection& section : file.sections) settings.check_section(section.name, section.line);
  for (const IniEntry& entry : file.entries) {
    const std::string name = fmt::format("{}.{}", entry.section, entry.key);
    settings.set(name, entry.value,
                 fmt::format("{}:{}: {} = {}", path, entry.line, printable(name), printable(entry.value)));
  }
  for (const Override& setting : overrides) {
    settings.set(setting.key, setting.value,
                 fmt::format("--set {}={}", printable(setting.key), printable(setting.value)));
  }
  if (config.run.name.empty()) config.run.name = std::filesystem::path(path).stem().string();
  check_run(config, settings);
  check_precision(config, settings);
  check_data(config, settings);
  check_tabular(config, settings);
  check_candidates(config, settings);
  check_annotator(config, settings);
  check_views(config, settings);
  check_model(config, settings);
  check_optimiser(config, settings);
  return config;
}

RunConfig load_config(const std::string& path, const std::vector<Override>& overrides) {
  return parse_config(read_text(path), path, overrides);
}

std::string to_ini(const RunConfig& config) {
  RunConfig copy = config;
  std::string text = "# A resolved dpll_engine configuration. configs/reference.ini explains every key.\n";
  std::string section;
  for (const Key& key : bind_keys(copy)) {
    if (key.section() != section) {
      section = key.section();
      text += fmt::format("\n[{}]\n", section);
    }
    const std::string value = ini_value(key.print());
    text += fmt::format("{} ={}{}\n", key.local_name(), value.empty() ? "" : " ", value);
  }
  return text;
}

std::vector<std::string> config_keys() {
  RunConfig config;
  std::vector<std::string> names;
  for (const Key& key : bind_keys(config)) names.push_back(key.name);
  return names;
}

Method method_of(const RunConfig& config) {
  std::optional<Method> found;
  for_each_method(config.methods, [&](const auto& method) {
    if (config.objective.method == method.about.name) found = method;
  });
  if (!found) fail(ExitCode::internal, "there is no method '{}'", config.objective.method);
  return *found;
}

RowUpdate row_update_of(const RunConfig& config) {
  return facts_of(method_of(config)).loss_uses_row ? config.objective.update : RowUpdate::same;
}

int views_of(const RunConfig& config) {
  return config.views.strong.value_or(facts_of(method_of(config)).strong_views) + 1;
}

std::vector<std::string> unused_overrides(const RunConfig& config, const std::vector<Override>& overrides) {
  std::vector<std::string> warnings;
  for (const Override& setting : overrides) {
    const std::string section = setting.key.substr(0, setting.key.find('.'));
    const std::vector<std::string> methods = method_names();
    if (section == config.objective.method ||
        std::find(methods.begin(), methods.end(), section) == methods.end()) {
      continue;
    }
    warnings.push_back(fmt::format("--set {}={} is not used: objective.method is {}", setting.key,
                                   printable(setting.value), config.objective.method));
  }
  return warnings;
}

Override parse_override(const std::string& argument) {
  const std::size_t equals = argument.find('=');
  const std::string key(trim(argument.substr(0, equals)));
  const std::size_t dot = key.find('.');
  if (equals == std::string::npos || dot == std::string::npos || dot == 0 || dot + 1 == key.size()) {
    fail(ExitCode::usage, "--set {}: expected --set section.key=value, for example --set run.epochs=10",
         printable(argument));
  }
  return {key, std::string(trim(std::string_view(argument).substr(equals + 1)))};
}

std::string to_string(ViewPolicy value) {
  return spell(value);
}
std::string to_string(AugmentPolicy value) {
  return spell(value);
}
std::string to_string(CropKind value) {
  return spell(value);
}
std::string to_string(CropPadding value) {
  return spell(value);
}
std::string to_string(ShortcutKind value) {
  return spell(value);
}
std::string to_string(InitMatch value) {
  return spell(value);
}
std::string to_string(Architecture value) {
  return spell(value);
}
std::string to_string(ObjectiveVariant value) {
  return spell(value);
}
std::string to_string(ScheduleKind value) {
  return spell(value);
}
std::string to_string(OptimiserKind value) {
  return spell(value);
}
std::string to_string(BatchNormScope value) {
  return spell(value);
}
std::string to_string(RowUpdate value) {
  return spell(value);
}
std::string to_string(LrDecay value) {
  return spell(value);
}
std::string to_string(Precision value) {
  return spell(value);
}
std::string to_string(DeviceChoice value) {
  return spell(value);
}
std::string to_string(CandidateMode value) {
  return spell(value);
}
std::string to_string(MatrixKind value) {
  return spell(value);
}
std::string to_string(SelectionRule value) {
  return spell(value);
}
std::string to_string(OnNonfinite value) {
  return spell(value);
}
std::string to_string(ResumeMode value) {
  return spell(value);
}

}  // namespace dpll
