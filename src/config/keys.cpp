#include "config/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "data/catalogue.h"
#include "io/text.h"

namespace dpll {
namespace {

constexpr int kMaxInt = std::numeric_limits<int>::max();
constexpr std::uint32_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMaxUint64 = std::numeric_limits<std::uint64_t>::max();
// Philox counters have 32 bits for the epoch and for the sample; the limits below are well within this range.
constexpr int kMaxEpochs = 1'000'000;
constexpr std::int64_t kMaxSamples = kMaxInt;
constexpr std::int64_t kMaxSteps = 1'000'000'000'000;
constexpr int kMaxBatch = 65'536;
constexpr int kMaxPixels = 1024;
constexpr int kMaxFolds = 1000;

constexpr Range closed(double low, double high) {
  return {low, high};
}
constexpr Range below(double low, double high) {
  return {low, high, Range::Ends::open_high};
}
constexpr Range above_to(double low, double high) {
  return {low, high, Range::Ends::open_low};
}

// The argument of a method's keys().
struct MethodKeys {
  std::string section;
  std::vector<Key>& keys;

  template <typename Enum>
  void choice(const char* name, Enum& member, const char* doc) const {
    keys.push_back(choice_key(fmt::format("{}.{}", section, name), member, doc));
  }
  void real(const char* name, double& member, double low, double high, const char* doc) const {
    keys.push_back(real_key(fmt::format("{}.{}", section, name), member, {low, high}, doc));
  }
  void integer(const char* name, int& member, int low, int high, const char* doc) const {
    keys.push_back(integer_key(fmt::format("{}.{}", section, name), member, low, high, doc));
  }
};

Key method_key(RunConfig& c) {
  const auto parse = [&c](const std::string& word) -> std::string {
    const std::vector<std::string> names = method_names();
    if (std::find(names.begin(), names.end(), word) == names.end()) {
      return not_one_of(names, word);
    }
    c.objective.method = word;
    return "";
  };
  return {"objective.method", one_of(method_names()),
          "method of partial-label learning; `dpll_engine methods` lists them", parse,
          [&c] { return c.objective.method; }};
}

Key dataset_key(RunConfig& c) {
  const auto parse = [&c](const std::string& word) -> std::string {
    const std::vector<std::string> names = dataset_names();
    if (std::find(names.begin(), names.end(), word) == names.end()) return not_one_of(names, word);
    c.data.dataset = word;
    return "";
  };
  return {"data.dataset", one_of(dataset_names()), "which data set to read", parse,
          [&c] { return c.data.dataset; }};
}

}  // namespace

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  Methods methods;
  for_each_method(methods, [&](const auto& method) { names.emplace_back(method.about.name); });
  return names;
}

std::vector<Key> method_keys(Methods& methods, const std::string& name) {
  std::vector<Key> keys;
  for_each_method(methods, [&](auto& method) {
    if (name == method.about.name) method.keys(MethodKeys{name, keys});
  });
  return keys;
}

std::vector<Key> bind_keys(RunConfig& c) {
  std::vector<Key> keys = {
      text_key("run.name", c.run.name, Text::optional,
               "folder of the run under out_dir; empty: this file's name without its extension"),
      integer_key("run.seed", c.run.seed, 0, kMaxUint64,
                  "seed of initial weights, order, views, dropout and validation split"),
      device_key("run.device", c.run.device, c.run.gpu,
                 "where to compute; check trains on the GPU and checks each operation"),
      boolean_key("run.qualify", c.run.qualify,
                  "auto and cuda: test first that the GPU computes correctly; the result is remembered"),
      choice_key("run.precision", c.run.precision,
                 "type of activations and weights on the GPU; on the CPU bf16 is for convolutions alone"),
      integer_key("run.threads", c.run.threads, 0, 1024, "CPU threads; 0: as many as the process may use"),
      boolean_key("run.deterministic", c.run.deterministic,
                  "the same bits in every run with the same number of threads"),
      integer_key("run.check_steps", c.run.check_steps, 1, 1'000'000, "device = check: steps to compare"),
      boolean_key("run.tuning", c.run.tuning,
                  "device = cuda: the autotuner times the engines of cuDNN and takes the fastest"),
      real_key("run.tuning_seconds", c.run.tuning_seconds, {0, 1e6},
               "time limit of the autotuner; after it the first correct engine is taken; 0: no limit"),
      text_key("run.tuning_cache", c.run.tuning_cache, Text::optional,
               "folder for the autotuner's results, by GPU and cuDNN version; empty: none"),
      text_key("run.out_dir", c.run.out_dir, Text::required, "folder that holds the folders of the runs"),
      choice_key(
          "run.resume", c.run.resume,
          "continue from the checkpoint in the run folder; auto: if there is one; yes: there must be one"),
      boolean_key("run.lock", c.run.lock,
                  "keep other processes out of the run's folder while this one writes there"),
      integer_key("run.epochs", c.run.epochs, 1, kMaxEpochs, "passes over the training set"),
      integer_key("run.max_steps", c.run.max_steps, 0, kMaxSteps,
                  "end the run after so many steps, in the middle of an epoch if need be; 0: no limit"),
      real_key("run.max_hours", c.run.max_hours, closed(0, 1e6),
               "stop with a checkpoint and exit code 75 after so many hours; 0: no limit"),

      dataset_key(c),
      text_key(
          "data.path", c.data.path, Text::optional,
          "folder of the published files or of images, or the safetensors or .mat file; empty: the set's "
          "folder under data/"),
      boolean_key("data.verify", c.data.verify, "compare the files' MD5 sums with the published ones"),
      integer_key("data.train_limit", c.data.train_limit, 0, kMaxSamples,
                  "use the first n training samples; 0: all"),
      integer_key("data.test_limit", c.data.test_limit, 0, kMaxSamples,
                  "use the first n test samples; 0: all"),
      real_key("data.validation_fraction", c.data.validation_fraction, closed(0, 0.9),
               "share of the training samples that is held out for validation"),
      real_key("data.selection_fraction", c.data.selection_fraction, closed(0, 0.9),
               "share of the remaining samples held out, with candidate sets alone, to select an epoch"),
      real_key("data.imbalance", c.data.imbalance, closed(1, 1e6),
               "long-tailed training set: samples of the first class over those of the last; 1: as it is"),
      boolean_key("data.shuffle", c.data.shuffle, "a new order of the training samples in every epoch"),
      boolean_key("data.coarse_labels", c.data.coarse_labels,
                  "CIFAR-100: its 20 superclasses in place of its classes"),
      boolean_key("data.svhn_extra", c.data.svhn_extra,
                  "SVHN: train on extra_32x32.mat as well, after train_32x32.mat"),
      integer_key("data.folds", c.data.folds, 2, kMaxFolds,
                  "dataset = tabular: number of parts into which the samples are divided at random"),
      integer_key("data.fold", c.data.fold, 0, kMaxFolds - 1,
                  "dataset = tabular: the part that is the test set, from 0"),
      integer_key("data.size", c.data.size, 8, kMaxPixels,
                  "dataset = folder: height and width that every image is brought to, in pixels"),
      text_key("data.cache", c.data.cache, Text::optional,
               "dataset = folder: folder that keeps the decoded images; empty: none"),

      choice_key("candidates.mode", c.candidates.mode,
                 "where candidate sets come from: drawn by a model, a CSV file, or the data set itself"),
      real_key("candidates.rate", c.candidates.rate, below(0, 1),
               "q: probability that a wrong label which the mode allows becomes a candidate"),
      integer_key("candidates.min_distractors", c.candidates.min_distractors, 0, 1,
                  "mode = uniform: minimum number of wrong labels in every set"),
      real_key("candidates.noise_rate", c.candidates.noise_rate, closed(0, 1),
               "eta: share of the drawn sets that lose the true label"),
      integer_key("candidates.seed", c.candidates.seed, 0, kMaxUint32,
                  "seed of the sets; for mode = uniform as given to numpy.random.seed"),
      text_key("candidates.file", c.candidates.file, Text::optional, "CSV file of the sets, for mode = file"),
      text_key("candidates.matrix", c.candidates.matrix, Text::optional,
               "CSV file of the label matrix, for mode = class_dependent: one row per true class"),
      choice_key(
          "candidates.matrix_kind", c.candidates.matrix_kind,
          "contents of the matrix: the probability of each label, or the distribution of one wrong label"),
      text_key("candidates.superclasses", c.candidates.superclasses, Text::optional,
               "CSV file of the superclasses, for mode = hierarchical; empty: those of CIFAR-100"),
      text_key("candidates.weights", c.candidates.weights, Text::optional,
               "CSV or safetensors file of the target that each sample starts from; empty: equal weights"),

      choice_key("annotator.architecture", c.annotator.architecture,
                 "network that learns the true labels for candidates.mode = instance"),
      integer_key("annotator.depth", c.annotator.depth, 1, 1000,
                  "layers, as model.depth; preset: 16 of wide_resnet, others as they were published"),
      integer_key("annotator.width", c.annotator.width, 1, 64, "widen factor k of wide_resnet"),
      integer_key("annotator.epochs", c.annotator.epochs, 1, kMaxEpochs,
                  "passes of the annotator over the training set"),
      real_key("annotator.lr", c.annotator.lr, closed(0, 1000),
               "learning rate at the start; it falls to 0 by a cosine"),
      integer_key("annotator.batch", c.annotator.batch, 1, kMaxBatch, "samples per step of the annotator"),
      integer_key("annotator.seed", c.annotator.seed, 0, kMaxUint64,
                  "seed of the annotator's weights, order and views"),
      boolean_key("annotator.train_mode_bn", c.annotator.train_mode_bn,
                  "draw the sets with batch norm in training mode: statistics of consecutive samples"),
      integer_key("annotator.bn_batch", c.annotator.bn_batch, 2, kMaxBatch,
                  "train_mode_bn: samples, in data-set order, that share their statistics"),
      real_key("annotator.scale", c.annotator.scale, above_to(0, 1000),
               "factor of the probabilities that the annotator gives to wrong labels"),
      text_key("annotator.cache", c.annotator.cache, Text::optional,
               "folder for the outputs of trained annotators; empty: none, each run trains its own"),

      integer_key(
          "views.strong", c.views.strong, 0, 16,
          "number K of strong views besides the weak one, V = K + 1 in all; preset: that of the method"),
      choice_key("views.weak_policy", c.views.weak_policy, "changes made to the weak view"),
      choice_key("views.strong_policy", c.views.strong_policy, "changes made to the strong views"),
      choice_key("views.policy", c.views.policy,
                 "AutoAugment policy of the strong views, in addition to strong_policy"),
      integer_key("views.rand_n", c.views.rand_n, 1, 8,
                  "policy = randaugment: number of operations per image"),
      integer_key("views.rand_m", c.views.rand_m, 0, 30, "policy = randaugment: magnitude of the operations"),
      boolean_key("views.cutout_after", c.views.cutout_after,
                  "apply Cutout after the policy instead of before it"),
      integer_key("views.cutout", c.views.cutout, 0, kMaxPixels,
                  "side of the Cutout box in pixels; 0: no box"),
      integer_key("views.pad", c.views.pad, 0, kMaxPixels, "border for the shifted crop, in pixels"),
      choice_key("views.crop_padding", c.views.crop_padding,
                 "border of the shifted crop: the image mirrored at its edges, or black"),
      choice_key("views.weak_crop", c.views.weak_crop,
                 "crop of the weak view: shifted by up to pad pixels, or a random part resized to the image"),
      choice_key("views.strong_crop", c.views.strong_crop, "the same for the strong views"),
      real_list_key("views.crop_scale", c.views.crop_scale, above_to(0, 1), "preset",
                    "crop = resized: least and greatest share of the image's area"),
      real_list_key("views.crop_ratio", c.views.crop_ratio, closed(0.01, 100), "preset",
                    "crop = resized: least and greatest ratio of width to height"),
      real_key("views.weak_jitter", c.views.weak_jitter, closed(0, 1),
               "probability of colour jitter on the weak view; 0: none"),
      real_key("views.strong_jitter", c.views.strong_jitter, closed(0, 1),
               "probability of colour jitter on a strong view; 0: none"),
      real_key("views.jitter_brightness", c.views.jitter_brightness, closed(0, 100),
               "colour jitter: largest distance of the factor of the brightness from 1"),
      real_key("views.jitter_contrast", c.views.jitter_contrast, closed(0, 100),
               "colour jitter: the same of the contrast"),
      real_key("views.jitter_saturation", c.views.jitter_saturation, closed(0, 100),
               "colour jitter: the same of the saturation"),
      real_key("views.jitter_hue", c.views.jitter_hue, closed(0, 0.5),
               "colour jitter: largest change of the hue, in turns of the colour circle"),
      real_key("views.weak_grey", c.views.weak_grey, closed(0, 1),
               "probability that the weak view becomes grey"),
      real_key("views.strong_grey", c.views.strong_grey, closed(0, 1),
               "probability that a strong view becomes grey"),
      real_list_key("views.mean", c.views.mean, closed(-1000, 1000), "preset",
                    "mean per channel; subtracted from pixels that are scaled to [0, 1]"),
      real_list_key("views.std", c.views.std, above_to(0, 1000), "preset",
                    "standard deviation per channel; divides the pixels after the mean was subtracted"),
      real_key("views.weak_noise", c.views.weak_noise, closed(0, 1000),
               "feature vectors: standard deviation of the noise on the features of the weak view"),
      real_key("views.strong_noise", c.views.strong_noise, closed(0, 1000),
               "feature vectors: standard deviation of the noise on the features of the strong views"),
      real_key("views.weak_feature_dropout", c.views.weak_feature_dropout, closed(0, 0.95),
               "feature vectors: probability that a feature of the weak view is replaced by its mean"),
      real_key("views.strong_feature_dropout", c.views.strong_feature_dropout, closed(0, 0.95),
               "feature vectors: probability that a feature of the strong views is replaced by its mean"),

      choice_key("model.architecture", c.model.architecture, "network"),
      integer_key("model.depth", c.model.depth, 1, 1000,
                  "layers: 6n + 4 of wide_resnet (preset: 34), 6n + 2 of resnet (preset: 32)"),
      integer_key("model.width", c.model.width, 1, 64, "widen factor k of wide_resnet"),
      integer_key("model.channels", c.model.channels, 0, 1024,
                  "resnet, resnet18, preact_resnet18: channels of the first group; 0: 16, 64 and 64"),
      choice_key(
          "model.shortcut", c.model.shortcut,
          "resnet: around a change of width a 1x1 convolution with batch norm, or the input itself with "
          "zeros for new channels"),
      real_key("model.dropout", c.model.dropout, closed(0, 0.95),
               "wide_resnet: dropout between the two convolutions of a block"),
      integer_list_key("model.hidden", c.model.hidden, 1, kMaxBatch, "none",
                       "mlp: units of its hidden layers, first to last"),
      boolean_key("model.batch_norm", c.model.batch_norm,
                  "mlp: batch norm between a hidden layer and its ReLU"),
      text_key("model.init", c.model.init, Text::optional,
               "safetensors file of the weights that the training starts from; empty: they are drawn"),
      choice_key(
          "model.init_match", c.model.init_match,
          "init: strict takes a file that has exactly this network's tensors, names takes those of the "
          "same name and shape")};

  keys.push_back(method_key(c));
  keys.push_back(choice_key("objective.update", c.objective.update,
                            "when a sample's target row, or what its method keeps, is made anew"));
  for (const std::string& name : method_names()) {
    for (Key& key : method_keys(c.methods, name)) keys.push_back(std::move(key));
  }

  for (Key& key : std::vector<Key>{
           integer_key("optimiser.batch", c.optimiser.batch, 1, kMaxBatch,
                       "samples per step; a step computes batch * (strong + 1) images"),
           boolean_key("optimiser.drop_last", c.optimiser.drop_last,
                       "leave out the last batch of an epoch if it is not full"),
           choice_key(
               "optimiser.kind", c.optimiser.kind,
               "how parameters follow their gradients: SGD with momentum, Adam with an L2 penalty, or Adam "
               "with decoupled weight decay"),
           real_key("optimiser.lr", c.optimiser.lr, closed(0, 1000),
                    "learning rate at the start (after the warm-up)"),
           real_key("optimiser.momentum", c.optimiser.momentum, below(0, 1), "momentum of kind = sgd"),
           real_key("optimiser.beta1", c.optimiser.beta1, below(0, 1),
                    "kind = adam or adamw: decay of the mean of the gradients"),
           real_key("optimiser.beta2", c.optimiser.beta2, below(0, 1),
                    "kind = adam or adamw: decay of the mean of their squares"),
           real_key("optimiser.epsilon", c.optimiser.epsilon, above_to(0, 1),
                    "kind = adam or adamw: added to the root of that mean"),
           real_key("optimiser.weight_decay", c.optimiser.weight_decay, closed(0, 1000),
                    "L2 penalty on every parameter, batch-norm and biases included; kind = adamw: decay "
                    "beside the gradients"),
           boolean_key("optimiser.nesterov", c.optimiser.nesterov, "Nesterov momentum"),
           choice_key("optimiser.schedule", c.optimiser.schedule, "how the learning rate falls"),
           integer_list_key(
               "optimiser.lr_decay_epochs", c.optimiser.lr_decay_epochs, 1, kMaxEpochs, "none",
               "schedule = step: epochs, increasing, at which lr is multiplied by lr_decay_factor"),
           real_key("optimiser.lr_decay_factor", c.optimiser.lr_decay_factor, above_to(0, 1),
                    "schedule = step: factor of one decay"),
           choice_key(
               "optimiser.lr_decay", c.optimiser.lr_decay,
               "the lower rate begins in the listed epoch (before) or in the next one (after); preset: by "
               "method"),
           real_key("optimiser.lr_min", c.optimiser.lr_min, closed(0, 1000),
                    "schedule = cosine: where lr ends"),
           integer_key("optimiser.warmup_epochs", c.optimiser.warmup_epochs, 0, kMaxEpochs,
                       "epochs in which lr rises linearly to its start value"),
           real_key("optimiser.ema", c.optimiser.ema, below(0, 1),
                    "decay of the exponential moving average of the weights; 0: off"),

           integer_key("evaluation.every", c.evaluation.every, 1, kMaxEpochs,
                       "epochs between evaluations; the last epoch always has one"),
           integer_key("evaluation.batch", c.evaluation.batch, 1, kMaxBatch, "images evaluated at once"),
           choice_key("evaluation.selection", c.evaluation.selection,
                      "with data.selection_fraction: criterion for the epoch that is kept as "
                      "model_selected.safetensors"),

           integer_key("log.steps", c.log.steps, 0, kMaxInt, "a row of steps.csv every n steps; 0: none"),
           boolean_key(
               "log.charts", c.log.charts,
               "draw loss.png, accuracy.png and schedule.png, at most every few seconds and at the end"),
           boolean_key(
               "log.tensorboard", c.log.tensorboard,
               "write an event file for TensorBoard: the values of metrics.csv, and the views as an image"),
           boolean_key("log.progress", c.log.progress, "progress bar when the output is a terminal"),

           integer_key("checkpoint.every", c.checkpoint.every, 1, kMaxEpochs,
                       "epochs between checkpoints; the last epoch always has one"),
           integer_key("checkpoint.every_steps", c.checkpoint.every_steps, 0, kMaxInt,
                       "also write a checkpoint every n steps; 0: do not"),
           boolean_key("checkpoint.save_init", c.checkpoint.save_init,
                       "keep init.safetensors, the model before the first step"),

           choice_key(
               "guard.on_nonfinite", c.guard.on_nonfinite,
               "if a loss or gradient is not finite: stop, or go back to the last checkpoint with half the "
               "learning rate"),
           integer_key("guard.retries", c.guard.retries, 1, 100,
                       "on_nonfinite = rollback: maximum number of rollbacks in a run; then it stops"),

           choice_key("parallel.batch_norm", c.parallel.batch_norm,
                      "on several ranks: batch norm in training over the samples of all, or of each alone"),
           real_key("parallel.timeout", c.parallel.timeout, above_to(0, 1e6),
                    "seconds that a rank may be waited for; then the run ends"),
       }) {
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace dpll
