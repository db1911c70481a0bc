#include "train/annotator.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "dpll/candidates.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "train/checkpoint.h"
#include "train/checkpoint_checks.h"
#include "train/devices.h"
#include "train/evaluator.h"
#include "train/schedule.h"
#include "train/signals.h"
#include "train/step_loop.h"
#include "train/training_step.h"

namespace dpll {
namespace {

constexpr const char* kOutputsFormat = "dpll annotator 1";
constexpr const char* kCheckpointFormat = "dpll annotator checkpoint 1";
constexpr const char* kLogits = "logits";

// The configuration of the annotator's training run: one weak view and cross entropy on the true labels.
RunConfig annotator_run(const RunConfig& config, const ImageSet& images) {
  const RunConfig::Annotator& a = config.annotator;
  RunConfig run = config;
  run.run.seed = a.seed;
  run.run.epochs = a.epochs;
  run.views.strong = 0;
  run.model.architecture =
      a.architecture.value_or(images.channels == 1 ? Architecture::lenet : Architecture::wide_resnet);
  run.model.channels = 0;
  run.model.shortcut = ShortcutKind::projection;
  run.model.batch_norm = true;
  run.model.width = a.width;
  run.model.dropout = 0;
  run.model.depth = a.depth;
  // Those that were annotators before others came; their depth is part of the name of what is kept.
  const Architecture kind = run.model.architecture;
  if (!a.depth &&
      (kind == Architecture::wide_resnet || kind == Architecture::lenet || kind == Architecture::mlp)) {
    run.model.depth = 16;
  }
  run.objective.method = CrossEntropyOnTruth::about.name;
  run.optimiser = {};
  run.optimiser.batch = static_cast<int>(std::min<std::int64_t>(a.batch, images.count));
  run.optimiser.lr = a.lr;
  run.optimiser.schedule = ScheduleKind::cosine;
  return run;
}

// All settings on which the logits depend, as text. The name of the cache file has their hash, and the file
// stores them.
std::string settings_text(const RunConfig& run, const ViewSetup& views, const RunConfig::Annotator& a) {
  std::string text = fmt::format(
      "{} {}-{}, epochs {}, lr {}, batch {}, seed {}, flip {}, pad {}, cutout {}, bn {}",
      to_string(run.model.architecture), run.model.depth.value_or(depth_of(run.model)), run.model.width,
      a.epochs, a.lr, run.optimiser.batch, a.seed, views.weak.flip, views.weak.pad, views.weak.cutout,
      a.train_mode_bn ? fmt::format("of {} samples", a.bn_batch) : std::string("running"));
  if (run.model.architecture == Architecture::mlp) {
    text += fmt::format(", hidden {}", fmt::join(run.model.hidden, " "));
  }
  if (views.weak.policy != AugmentPolicy::none) {
    text += fmt::format(", policy {} {} {} {}", static_cast<int>(views.weak.policy), views.weak.rand_n,
                        views.weak.rand_m, views.weak.cutout_after);
  }
  const ViewRecipe plain{.flip = views.weak.flip,
                         .pad = views.weak.pad,
                         .cutout = views.weak.cutout,
                         .policy = views.weak.policy,
                         .rand_n = views.weak.rand_n,
                         .rand_m = views.weak.rand_m,
                         .cutout_after = views.weak.cutout_after};
  if (!(views.weak == plain)) {  // what kept outputs of earlier versions did not have
    const ResizedCrop& crop = views.weak.resized;
    const ColourJitter& jitter = views.weak.jitter;
    text += fmt::format(", crop {} {} {} {} {} {}, jitter {} {} {} {} {}, grey {}",
                        to_string(views.weak.crop), to_string(views.weak.padding), crop.scale_low,
                        crop.scale_high, crop.ratio_low, crop.ratio_high, jitter.probability,
                        jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue, views.weak.grey);
  }
  for (std::size_t c = 0; c < views.mean.size(); ++c) {
    text += fmt::format(", {} {}", views.mean[c], views.std[c]);
  }
  return text;
}

struct CacheKey {
  std::string data, settings;
  std::string path(const std::string& folder, const char* ending) const {
    const std::string text = fmt::format("{}\n{}\n{}", kOutputsFormat, data, settings);
    return fmt::format("{}/annotator-{}.{}", folder, sha256_hex(text.data(), text.size()).substr(0, 16),
                       ending);
  }
};

// The error in a file of the cache, or "".
std::string problem_of(const SafetensorsFile& file, const std::string& format, const CacheKey& key) {
  const auto says = [&](const std::string& name) {
    const auto found = file.metadata().find(name);
    return found == file.metadata().end() ? std::string() : found->second;
  };
  if (says("format") != format) return "it is not of the format '" + format + "'";
  if (says(kDigestKey) != file.digest()) return "it is damaged: its contents do not match its SHA-256";
  if (says("data") != key.data) return "it is that of another data set";
  if (says("settings") != key.settings) return "it is that of other settings";
  return "";
}

std::optional<std::vector<float>> cached_logits(const std::string& path, const CacheKey& key,
                                                const DataSet& data, const Say& say) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  std::string problem;
  try {
    const SafetensorsFile file = SafetensorsFile::read(path);
    problem = problem_of(file, kOutputsFormat, key);
    if (problem.empty()) check_parameters(file, kLogits);
    if (problem.empty()) {
      std::vector<float> logits = file.get<float>(kLogits, {data.train.count, data.classes});
      say(fmt::format("annotator: its output is read from {}", path));
      return logits;
    }
  } catch (const Error& error) {
    problem = error.what();
  }
  say(fmt::format("warning: {} is not used and written anew: {}", path, problem));
  return std::nullopt;
}

void make_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    fail(ExitCode::run, "cannot create the folder annotator.cache = '{}': {}", folder, error.message());
  }
}

void write_cache(const std::string& path, const CacheKey& key, const DataSet& data,
                 const std::vector<float>& logits) {
  make_folder_of(path);
  SafetensorsWriter writer;
  writer.add(kLogits, DType::f32, {data.train.count, data.classes}, logits.data());
  writer.set_metadata("format", kOutputsFormat);
  writer.set_metadata("data", key.data);
  writer.set_metadata("settings", key.settings);
  writer.set_metadata(kDigestKey, writer.digest());
  writer.write(path);
}

struct Position {
  int epoch = 0;  // 0-based
  std::int64_t step_in_epoch = 0;
};

// Checkpoints of an annotator's training, next to the file for its output. Whatever ends the process, the
// next one is resumed from them. Without a cache there are no files.
class AnnotatorCheckpoint {
 public:
  // `cache`: the folder, or "".
  AnnotatorCheckpoint(const std::string& cache, const CacheKey& key)
      : path_(cache.empty() ? "" : key.path(cache, "checkpoint.safetensors")), key_(key) {}

  bool enabled() const { return !path_.empty(); }
  const std::string& path() const { return path_; }

  void save(const ModelState& model, const TrainingStep& step, const Position& position) {
    if (!enabled()) return;
    make_folder_of(path_);
    SafetensorsWriter writer;
    add_training_state(writer, model, step);
    writer.set_metadata("format", kCheckpointFormat);
    writer.set_metadata("data", key_.data);
    writer.set_metadata("settings", key_.settings);
    writer.set_metadata("epoch", std::to_string(position.epoch));
    writer.set_metadata("step_in_epoch", std::to_string(position.step_in_epoch));
    writer.set_metadata(kDigestKey, writer.digest());
    writer.write(path_);
    saved_ = Clock::now();
  }
  // A kill may cost one minute, and a short training shall write nothing.
  bool is_due() const { return enabled() && Clock::now() - saved_ > std::chrono::minutes(1); }

  // Empty if there is no checkpoint, or if it is damaged or belongs to other data or settings.
  std::optional<Position> load(ModelState& model, TrainingStep& step, const RunConfig& run, const Say& say) {
    if (!enabled() || !std::filesystem::exists(path_)) return std::nullopt;
    try {
      const SafetensorsFile file = SafetensorsFile::read(path_);
      std::string problem = problem_of(file, kCheckpointFormat, key_);
      const Position position = {static_cast<int>(integer_metadata(file, "epoch")),
                                 integer_metadata(file, "step_in_epoch")};
      if (position.epoch < 0 || position.epoch > run.run.epochs || position.step_in_epoch < 0 ||
          position.step_in_epoch > step.steps_per_epoch()) {
        problem = "it stands where there is no step";
      }
      if (!problem.empty()) fail(ExitCode::data, "{}", problem);
      restore_training_state(file, model, step);
      return position;
    } catch (const Error& error) {
      say(fmt::format("warning: {} is not used, the annotator's training begins anew: {}", path_,
                      error.what()));
      return std::nullopt;
    }
  }
  void remove() {
    std::error_code ignored;
    if (enabled()) std::filesystem::remove(path_, ignored);
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::string path_;
  const CacheKey& key_;
  Clock::time_point saved_ = Clock::now();
};

// Whether all ranks have found the same position; null: this process is alone. They resume the same
// training only then: the folder of a cache need not be shared between their machines.
bool is_common(Ranks* ranks, const std::optional<Position>& own) {
  if (ranks == nullptr) return true;
  const std::int64_t position[2] = {own ? own->epoch : -1, own ? own->step_in_epoch : -1};
  std::vector<std::int64_t> all(2 * static_cast<std::size_t>(ranks->size()));
  ranks->all_gather(position, sizeof position, all.data());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] != all[i % 2]) return false;
  }
  return true;
}

// Rank 0's answer; null: this process is alone.
bool of_rank_0(Ranks* ranks, bool own) {
  std::uint8_t answer = own ? 1 : 0;
  if (ranks != nullptr) ranks->broadcast(&answer, 1);
  return answer != 0;
}

// The network learns the true labels. Its candidate sets have all labels, so they carry no information.
void learn(Backend& backend, Network& network, const RunConfig& run, const ViewSetup& views,
           const DataSet& data, AnnotatorCheckpoint& checkpoint, const Say& say, Ranks* ranks) {
  const std::int64_t count = data.train.count;
  CandidateSets all(count, data.classes);
  for (std::int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < data.classes; ++c) all.insert(i, c);
  }
  TrainingStep step(backend, network, run, views, data, all, ranks);
  const Buffer arena = backend.allocate(step.arena_bytes(), "the annotator's activations");
  step.attach(arena.data());
  const StopSignals::InOrder in_order;
  Position at;
  const std::optional<Position> kept = checkpoint.load(network.state(), step, run, say);
  if (is_common(ranks, kept) && kept) {
    at = *kept;
    say(at.epoch < run.run.epochs
            ? fmt::format("annotator: going on from epoch {}, step {}", at.epoch + 1, at.step_in_epoch)
            : fmt::format("annotator: going on after epoch {} of {}", at.epoch, run.run.epochs));
  } else {
    network.state().initialise(run.run.seed);  // a wrong file may have been read partly
    step.restart();
  }
  const std::int64_t steps = step.steps_per_epoch();
  for (; at.epoch < run.run.epochs; ++at.epoch, at.step_in_epoch = 0) {
    step.set_order(sample_order(count, true, run.run.seed, at.epoch));
    if (at.step_in_epoch == 0) step.set_total_metrics({});
    step.begin_epoch(at.epoch, at.step_in_epoch, plans_of_epoch(run, at.epoch, steps));
    StepLoop loop{
        .first = at.step_in_epoch, .end = steps, .overlaps = backend.is_asynchronous(), .ranks = ranks};
    bool due = false;
    loop.next_stop = [&](std::int64_t next) {
      due = of_rank_0(ranks, checkpoint.is_due());
      return due ? next + 1 : steps;
    };
    const auto save = [&] {
      step.gather(at.step_in_epoch);
      if (ranks == nullptr || ranks->rank() == 0) checkpoint.save(network.state(), step, at);
    };
    loop.settled = [&](std::int64_t done) {
      at.step_in_epoch = done;
      if (due) save();
    };
    try {
      run_steps(step, loop);
    } catch (const Stopped&) {
      save();
      throw;
    }
    step.gather(steps);
    const ObjectiveMetrics m = step.total_metrics();
    if (m.nonfinite > 0 || !std::isfinite(m.total)) {
      fail(ExitCode::run, "the annotator: epoch {} was not finite; a lower annotator.lr is the usual cure",
           at.epoch + 1);
    }
    say(fmt::format("annotator: epoch {}/{}  cross entropy {:.4f}  accuracy {:.2f}%", at.epoch + 1,
                    run.run.epochs, m.total / m.samples, 100 * m.train_correct / m.samples));
  }
  // What follows can be stopped as well.
  if (ranks == nullptr || ranks->rank() == 0) checkpoint.save(network.state(), step, at);
}

std::vector<float> trained_logits(const RunConfig& config, const RunConfig& run, const ViewSetup& views,
                                  const DataSet& data, AnnotatorCheckpoint& checkpoint, const Say& say,
                                  const AnnotatorRanks& with) {
  const ImageSet& images = data.train;
  const std::unique_ptr<Backend> backend =
      with.maker ? with.maker(config.run, print_warning, "") : make_backend(config.run);
  const std::unique_ptr<Network> network =
      make_network(*backend, run,
                   {static_cast<int>(images.height), static_cast<int>(images.width),
                    static_cast<int>(images.channels), data.classes});
  say(fmt::format("annotator: training {} on the true labels of {} samples", network->name(), images.count));
  try {
    learn(*backend, *network, run, views, data, checkpoint, say, with.ranks);
    const bool train_mode = config.annotator.train_mode_bn;
    Evaluator evaluator(*backend, *network, views, images,
                        train_mode ? config.annotator.bn_batch : config.evaluation.batch,
                        train_mode ? Mode::train : Mode::eval, train_mode ? nullptr : with.ranks);
    const Buffer arena = backend->allocate(evaluator.arena_bytes(), "the annotator's activations");
    evaluator.attach(arena.data());
    const StopSignals::InOrder in_order;
    std::vector<float> logits = evaluator.run(Evaluator::Logits::keep).logits;
    if (train_mode && with.ranks != nullptr)
      with.ranks->broadcast(logits.data(), logits.size() * sizeof(float));
    return logits;
  } catch (const Stopped&) {
    say(checkpoint.enabled()
            ? fmt::format("annotator: the next start goes on from {}", checkpoint.path())
            : std::string("annotator: the next start trains it anew, because annotator.cache is empty"));
    throw;
  }
}

}  // namespace

std::vector<float> annotator_logits(const RunConfig& config, const DataSet& data, const Say& say,
                                    const AnnotatorRanks& with) {
  const RunConfig run = annotator_run(config, data.train);
  const ViewSetup views =
      resolve_views(run, static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                    static_cast<int>(data.train.channels));
  const std::string& folder = config.annotator.cache;
  const CacheKey key{fingerprint(data), settings_text(run, views, config.annotator)};
  AnnotatorCheckpoint checkpoint(folder, key);
  if (folder.empty()) return trained_logits(config, run, views, data, checkpoint, say, with);
  const std::string path = key.path(folder, "safetensors");
  const bool writes = with.ranks == nullptr || with.ranks->rank() == 0;
  std::optional<std::vector<float>> cached;
  if (writes) cached = cached_logits(path, key, data, say);
  if (of_rank_0(with.ranks, cached.has_value())) {
    std::vector<float> logits = cached.value_or(std::vector<float>());
    logits.resize(static_cast<std::size_t>(data.train.count) * static_cast<std::size_t>(data.classes));
    if (with.ranks != nullptr) with.ranks->broadcast(logits.data(), logits.size() * sizeof(float));
    return logits;
  }
  std::vector<float> logits = trained_logits(config, run, views, data, checkpoint, say, with);
  if (!writes) return logits;
  write_cache(path, key, data, logits);
  checkpoint.remove();
  return logits;
}

}  // namespace dpll
