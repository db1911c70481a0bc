// Valid configurations drawn at random, for property tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "data/catalogue.h"
#include "dpll/config.h"

namespace dpll::test {

class RandomConfig {
 public:
  explicit RandomConfig(std::uint64_t seed) : engine_(seed) {}

  // Every member away from its default at times, ends of ranges included.
  RunConfig draw() {
    RunConfig c;
    c.run.name = text(1);
    c.run.seed = flip() ? ~std::uint64_t{0} : engine_();
    c.run.device = choice<DeviceChoice>(4);
    if (c.run.device == DeviceChoice::cuda || c.run.device == DeviceChoice::check) {
      c.run.precision = choice<Precision>(5);
      c.run.gpu = between(-1, 1023);
    }
    c.run.qualify = flip();
    c.run.threads = between(0, 1024);
    c.run.deterministic = flip();
    c.run.check_steps = between(1, 1'000'000);
    c.run.tuning = flip();
    c.run.tuning_seconds = real(1e6);
    c.run.tuning_cache = text(1);
    c.run.out_dir = text(1);
    c.run.resume = choice<ResumeMode>(3);
    c.run.lock = flip();
    c.run.epochs = between(1, 1'000'000);
    c.run.max_steps = between(0, 2'147'483'647);
    c.run.max_hours = real(1e6);
    const std::vector<std::string> sets = dataset_names();
    c.data.dataset = sets[static_cast<std::size_t>(between(0, static_cast<int>(sets.size()) - 1))];
    c.data.path = text(1);
    c.data.verify = flip();
    c.data.train_limit = between(0, 2'147'483'647);
    c.data.test_limit = between(0, 2'147'483'647);
    c.data.validation_fraction = real(0.9);
    c.data.selection_fraction = real(0.9);
    c.data.imbalance = 1 + real(999'999);
    c.data.shuffle = flip();
    c.data.size = between(8, 1024);
    c.data.cache = text(0);
    c.data.coarse_labels = c.data.dataset == "cifar100" && flip();
    c.data.svhn_extra = c.data.dataset == "svhn" && flip();
    const bool tabular = c.data.dataset == "tabular";
    if (tabular) {
      c.data.folds = between(2, 1000);
      c.data.fold = between(0, c.data.folds - 1);
    }
    // The last two of the modes are `instance` and `dataset`.
    const int modes = tabular ? 5 : dataset_row(c.data.dataset).brings_candidates ? 7 : 6;
    c.candidates.mode = choice<CandidateMode>(modes);
    if (tabular && flip()) c.candidates.mode = CandidateMode::dataset;
    c.candidates.rate = real(1);
    c.candidates.min_distractors = between(0, 1);
    c.candidates.seed = static_cast<std::uint32_t>(engine_());
    c.candidates.file = text(1);
    c.candidates.matrix = text(1);
    c.candidates.matrix_kind = choice<MatrixKind>(2);
    c.candidates.superclasses = text(1);
    c.candidates.weights = text(1);
    if (c.candidates.mode != CandidateMode::file && c.candidates.mode != CandidateMode::dataset) {
      c.candidates.noise_rate = real(1);
    }
    if (flip()) c.annotator.architecture = choice<Architecture>(6);
    c.annotator.depth = depth(c.annotator.architecture.value_or(Architecture::wide_resnet));
    c.annotator.width = between(1, 64);
    c.annotator.epochs = between(1, 1'000'000);
    c.annotator.lr = real(1000);
    c.annotator.batch = between(1, 65'536);
    c.annotator.seed = engine_();
    c.annotator.train_mode_bn = flip();
    c.annotator.bn_batch = between(2, 65'536);
    c.annotator.scale = real(999) + 1e-9;
    c.annotator.cache = text(1);
    if (flip()) c.views.strong = between(0, 16);
    c.views.rand_n = between(1, 8);
    c.views.rand_m = between(0, 30);
    c.views.cutout_after = flip();
    tabular ? draw_feature_views(c.views) : draw_image_views(c.views);
    c.model.architecture = tabular ? Architecture::mlp : choice<Architecture>(6);
    c.model.hidden.clear();
    for (int layers = between(0, 4); layers > 0; --layers) c.model.hidden.push_back(between(1, 65'536));
    c.model.depth = depth(c.model.architecture);
    c.model.width = between(1, 64);
    c.model.channels = between(0, 1024);
    c.model.shortcut = choice<ShortcutKind>(2);
    c.model.batch_norm = flip();
    c.model.init = text(1);
    if (!c.model.init.empty()) c.model.init_match = choice<InitMatch>(2);
    c.model.dropout = real(0.95);
    for_each_method(c.methods, [&](auto& method) {
      if (flip()) c.objective.method = method.about.name;
      method.keys(DrawKeys{*this});
    });
    c.objective.update = choice<RowUpdate>(3);
    if (facts_of(method_of(c)).needs_labels) c.candidates.weights.clear();
    c.optimiser.lr_decay = choice<LrDecay>(3);
    c.optimiser.batch = between(1, 65'536);
    c.optimiser.drop_last = flip();
    c.optimiser.kind = choice<OptimiserKind>(3);
    c.optimiser.beta1 = real(0.99);
    c.optimiser.beta2 = real(0.999);
    c.optimiser.epsilon = std::max(1e-12, real(1));
    c.optimiser.lr = real(1000);
    c.optimiser.momentum = real(1);
    c.optimiser.weight_decay = real(1000);
    c.optimiser.nesterov = c.optimiser.kind == OptimiserKind::sgd && c.optimiser.momentum > 0 && flip();
    c.optimiser.schedule = choice<ScheduleKind>(3);
    c.optimiser.lr_decay_epochs.clear();
    for (int epoch = between(1, 50); epoch < 200; epoch += between(1, 100)) {
      c.optimiser.lr_decay_epochs.push_back(epoch);
    }
    if (flip()) c.optimiser.lr_decay_epochs.clear();
    c.optimiser.lr_decay_factor = 1 - real(1);
    c.optimiser.lr_min = c.optimiser.lr * real(1);
    c.optimiser.warmup_epochs = between(0, c.run.epochs);
    if (!facts_of(method_of(c)).has_teacher) c.optimiser.ema = real(1);
    c.evaluation.every = between(1, 1'000'000);
    c.evaluation.batch = between(1, 65'536);
    c.evaluation.selection = choice<SelectionRule>(2);
    c.guard.on_nonfinite = choice<OnNonfinite>(2);
    c.guard.retries = between(1, 100);
    c.parallel.batch_norm = choice<BatchNormScope>(2);
    c.parallel.timeout = std::max(1e-3, real(1e6));
    c.log.steps = between(0, 2'147'483'647);
    c.log.charts = flip();
    c.log.tensorboard = flip();
    c.log.progress = flip();
    c.checkpoint.every = between(1, 1'000'000);
    c.checkpoint.every_steps = between(0, 2'147'483'647);
    c.checkpoint.save_init = flip();
    return c;
  }

  bool flip() { return engine_() % 2 == 0; }
  // Inclusive; the ends come more often than by chance.
  int between(int low, int high) {
    const std::uint64_t dice = engine_() % 8;
    if (dice == 0) return low;
    if (dice == 1) return high;
    return static_cast<int>(low + static_cast<std::int64_t>(engine_() % (std::uint64_t(high) - low + 1)));
  }

 private:
  void draw_image_views(RunConfig::Views& views) {
    if (flip()) views.weak_policy = choice<ViewPolicy>(4);
    if (flip()) views.strong_policy = choice<ViewPolicy>(4);
    if (flip()) views.policy = choice<AugmentPolicy>(5);
    if (flip()) views.cutout = between(0, 1024);
    if (flip()) views.pad = between(0, 1024);
    views.crop_padding = choice<CropPadding>(2);
    const auto has_crop = [](const std::optional<ViewPolicy>& policy) {
      return policy == ViewPolicy::flip_crop || policy == ViewPolicy::flip_crop_cutout;
    };
    if (has_crop(views.weak_policy)) views.weak_crop = choice<CropKind>(2);
    if (has_crop(views.strong_policy)) views.strong_crop = choice<CropKind>(2);
    if (flip()) views.crop_scale = {0.5 - real(0.5), 1 - real(0.5)};
    if (flip()) views.crop_ratio = {0.01 + real(1), 2 + real(98)};
    views.weak_jitter = real(1);
    views.strong_jitter = real(1);
    views.jitter_brightness = 1e-9 + real(99);
    views.jitter_contrast = real(100);
    views.jitter_saturation = real(100);
    views.jitter_hue = real(0.5);
    views.weak_grey = real(1);
    views.strong_grey = real(1);
    for (int channels = between(0, 3); channels > 0; --channels) {
      views.mean.push_back(real(2000) - 1000);
      views.std.push_back(real(1) + 1e-9);
    }
  }
  void draw_feature_views(RunConfig::Views& views) {
    if (flip()) views.weak_noise = real(1000);
    if (flip()) views.strong_noise = real(1000);
    if (flip()) views.weak_feature_dropout = real(0.95);
    if (flip()) views.strong_feature_dropout = real(0.95);
  }
  template <typename Enum>
  Enum choice(int count) {
    return static_cast<Enum>(between(0, count - 1));
  }
  // One that the architecture can have, or its own.
  std::optional<int> depth(Architecture architecture) {
    if (flip()) return std::nullopt;
    switch (architecture) {
      case Architecture::wide_resnet:
        return 6 * between(1, 166) + 4;
      case Architecture::resnet:
        return 6 * between(1, 166) + 2;
      case Architecture::resnet18:
      case Architecture::preact_resnet18:
        return 18;
      default:
        return between(1, 1000);
    }
  }
  // In [0, limit), of many magnitudes.
  double real(double limit) {
    double value = static_cast<double>(engine_() >> 11) * 0x1p-53;
    for (int i = between(0, 20); i > 0; --i) value *= 0.1;
    return flip() ? value * limit : value * limit * 0.5;
  }
  // Text that a name may hold, with everything that needs quotes.
  std::string text(int least) {
    static const std::vector<std::string> pieces = {"a",    "Z", "0",  " ",  "#",  ";",    "\"",   "\\",
                                                    "=",    "[", "]",  "\t", "é",  "字",   "-",    ".x",
                                                    "true", "'", "%s", "{}", "\n", "\x1b", "\xFF", "\xC3"};
    std::string result;
    for (int i = between(least, 12); i > 0; --i) {
      result += pieces[engine_() % pieces.size()];
    }
    return result;
  }

  // What a method's keys() calls.
  struct DrawKeys {
    RandomConfig& random;

    template <typename Enum>
    void choice(const char* /*name*/, Enum& member, const char* /*doc*/) const {
      member = random.choice<Enum>(2);
    }
    void real(const char* /*name*/, double& member, double low, double high, const char* /*doc*/) const {
      member = std::max(low, random.real(high));
    }
    void integer(const char* /*name*/, int& member, int low, int high, const char* /*doc*/) const {
      member = random.between(low, high);
    }
  };

  std::mt19937_64 engine_;
};

}  // namespace dpll::test
