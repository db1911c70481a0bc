// The typed configuration of a run. One INI file gives one RunConfig; configs/reference.ini documents every
// key. Members are named section_.key after the INI keys. Defaults here are the defaults of the keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dpll/ops/augment_policy.h"
#include "dpll/ops/optimiser_kind.h"
#include "objectives/methods.h"

namespace dpll {

enum class DeviceChoice { automatic, cpu, cuda, check };
// f32, tf32 (float32 multiplied on tensor cores), or activations and weights in 16 bits
enum class Precision { automatic, f32, tf32, f16, bf16 };
enum class ResumeMode {
  never,
  automatic,
  require
};  // [run] resume = no | auto | yes (yes: an error when nothing is there)
// dataset: the sets come with the data
enum class CandidateMode { uniform, file, class_dependent, pair, hierarchical, instance, dataset };
enum class MatrixKind { inclusion, distractor };  // see LabelMatrix in candidates.h
enum class ViewPolicy { none, flip_crop, cutout, flip_crop_cutout };
enum class Architecture { wide_resnet, resnet, resnet18, preact_resnet18, lenet, mlp };
// How a block of a resnet leads its input around a change of width: a 1x1 convolution with batch norm, or
// every second pixel with zeros for the new channels (options B and A of He et al. 2016).
enum class ShortcutKind { projection, identity };
// model.init: the file has this network's tensors and no others, or those of the same name and shape are
// taken.
// Whose samples batch norm's statistics are of in training on several ranks.
enum class BatchNormScope { global, local };

// When a sample's row is made anew. The field's published codes do all three.
enum class RowUpdate {
  same,    // from the outputs that the loss is of; the loss of the next visit uses it
  before,  // from these outputs, before the loss, which uses it
  after,   // from another forward pass of the same views in training mode, after the update of the weights
};
enum class InitMatch { strict, names };
enum class ScheduleKind { step, cosine, constant };
// The first epoch with the lower rate of a step schedule: the listed epoch, or the next one; preset: as in
// PLCR's variant.
enum class LrDecay { before, after, preset };
enum class OnNonfinite { stop, rollback };
enum class SelectionRule { covering_rate, approximated_accuracy };  // see src/train/selection.h

struct RunConfig {
  struct Run {
    std::string name;  // default: the config file's stem
    std::uint64_t seed = 1;
    DeviceChoice device = DeviceChoice::automatic;
    int gpu = -1;         // of cuda and check: which one, as CUDA counts; -1: that with the most free memory
    bool qualify = true;  // auto and cuda: test first that the GPU computes correctly
    Precision precision = Precision::automatic;
    int threads = 0;  // 0: as many as the process may use (src/backend/cpu/usable_threads.h)
    bool deterministic = true;
    int check_steps = 5;  // of device = check
    bool tuning = true;
    double tuning_seconds = 120;  // 0: no limit
    std::string tuning_cache = "cache";
    std::string out_dir = "runs";
    ResumeMode resume = ResumeMode::never;
    bool lock = true;  // keep a second process out of the run's folder
    int epochs = 200;
    std::int64_t max_steps = 0;  // the run ends after so many steps if its epochs have more; 0: no limit
    double max_hours = 0;  // after this time the run stops with a checkpoint and exit code 75; 0: no limit

    bool operator==(const Run&) const = default;
  } run;

  struct Data {
    std::string dataset = "cifar10";  // a row of src/data/catalogue.h
    // Folder of the published files or of images, or the safetensors or .mat file; "" = the set's default.
    std::string path;
    bool verify = true;            // check MD5 sums
    std::int64_t train_limit = 0;  // 0: all; else the first n training samples
    std::int64_t test_limit = 0;
    double validation_fraction = 0;  // share of the training set held out, with true labels; [0, 0.9]
    double selection_fraction = 0;   // share of the rest held out with only its candidate sets; [0, 0.9]
    // >= 1: the training set becomes long-tailed, the first class having so many times the samples of the
    // last.
    double imbalance = 1;
    bool shuffle = true;
    bool coarse_labels = false;   // CIFAR-100: the 20 superclasses
    bool svhn_extra = false;      // SVHN: also the extra training images
    int folds = 10;               // tabular: parts of the set, of which
    int fold = 0;                 // this one, 0-based, is the test set
    int size = 32;                // folder: height and width that its images get
    std::string cache = "cache";  // folder: where its decoded images are kept; "" = nowhere

    bool operator==(const Data&) const = default;
  } data;

  struct Candidates {
    CandidateMode mode = CandidateMode::uniform;
    double rate = 0.3;        // q of uniform, pair and hierarchical, in [0, 1)
    int min_distractors = 1;  // of uniform: 0 or 1
    double noise_rate = 0;    // eta: share of the sets that lose the truth, [0, 1]
    std::uint32_t seed = 2;   // uniform: of NumPy's legacy generator, 2 as published; others: Philox key
    std::string file;         // for mode = file
    std::string matrix;       // for mode = class_dependent
    MatrixKind matrix_kind = MatrixKind::inclusion;
    std::string superclasses;  // for mode = hierarchical; "" = CIFAR-100's own
    std::string weights;       // CSV or safetensors file of the rows that targets start from; "" = S / |S|

    bool operator==(const Candidates&) const = default;
  } candidates;

  // The network that candidates.mode = instance trains on the true labels (src/train/annotator.h).
  struct Annotator {
    std::optional<Architecture> architecture;  // empty: lenet for one-channel images, else wide_resnet
    std::optional<int> depth;                  // empty: wide_resnet 16, others their own
    int width = 2;                             // of wide_resnet
    int epochs = 20;
    double lr = 0.05;
    int batch = 64;
    std::uint64_t seed = 1;
    bool train_mode_bn = true;  // draws use the statistics of bn_batch consecutive samples
    int bn_batch = 2000;
    double scale = 0.4;
    std::string cache = "cache";  // folder of the trained annotators' outputs; "" = none

    bool operator==(const Annotator&) const = default;
  } annotator;

  struct Views {
    std::optional<int>
        strong;  // K strong views beside the weak one; V = K + 1; empty: the method's own number
    // Empty optionals mean "the data set's preset" (paper, section 4 of the spec); resolved after loading.
    std::optional<ViewPolicy> weak_policy;
    std::optional<ViewPolicy> strong_policy;
    std::optional<AugmentPolicy> policy;  // of strong views; empty: the preset's, if strong_policy is empty
    int rand_n = 2, rand_m = 9;           // policy = randaugment: operations an image, magnitude of 0..30
    bool cutout_after = false;            // Cutout after the policy instead of before
    std::optional<int> cutout;            // side of the Cutout box in pixels
    std::optional<int> pad;               // border of the shifted crop, in pixels
    CropPadding crop_padding = CropPadding::reflect;
    // Of the policies that have a crop.
    CropKind weak_crop = CropKind::shifted, strong_crop = CropKind::shifted;
    // Of resized crops: least and greatest share of the image's area, and ratio of width to height; empty:
    // torchvision's, 0.08 and 1, 3/4 and 4/3.
    std::vector<double> crop_scale, crop_ratio;
    // Colour jitter: its probability, and how far each factor may be from 1 (hue: from 0, in turns).
    double weak_jitter = 0, strong_jitter = 0;
    double jitter_brightness = 0.4, jitter_contrast = 0.4, jitter_saturation = 0.4, jitter_hue = 0.1;
    double weak_grey = 0, strong_grey = 0;  // probability that the view becomes grey
    std::vector<double> mean, std;          // per channel, of pixels scaled to [0,1]; empty: the preset
    // Of tabular sets: standard deviation of the noise added to each standardised feature, and the chance
    // that a feature is set to 0, its mean.
    std::optional<double> weak_noise, strong_noise;
    std::optional<double> weak_feature_dropout, strong_feature_dropout;

    bool operator==(const Views&) const = default;
  } views;

  struct Model {
    Architecture architecture = Architecture::wide_resnet;
    std::optional<int> depth;  // empty: the architecture's own, see depth_of()
    int width = 10;            // of wide_resnet: widen factor k
    int channels = 0;          // of the resnets: of the first group; 0: the published number, 16 or 64
    ShortcutKind shortcut = ShortcutKind::projection;  // of resnet
    double dropout = 0;               // of wide_resnet: between the two convolutions of a block, [0, 0.95]
    std::vector<int> hidden = {500};  // of mlp: units of each hidden layer; empty: a linear classifier
    bool batch_norm = true;           // of mlp: between a hidden layer and its ReLU
    std::string init;                 // safetensors file of the initial weights; "" = drawn
    InitMatch init_match = InitMatch::strict;

    bool operator==(const Model&) const = default;
  } model;

  struct Objective {
    std::string method = "plcr";  // a name of src/objectives/methods.h
    RowUpdate update = RowUpdate::same;

    bool operator==(const Objective&) const = default;
  } objective;
  // The keys of each method's own section. The keys of other methods than objective.method are checked but
  // not used.
  Methods methods;

  struct Parallel {
    BatchNormScope batch_norm = BatchNormScope::global;
    double timeout = 600;  // seconds that a rank may be waited for

    bool operator==(const Parallel&) const = default;
  } parallel;

  struct Optimiser {
    int batch = 64;  // samples per step; images per step are batch * (strong + 1)
    bool drop_last = false;
    OptimiserKind kind = OptimiserKind::sgd;
    double lr = 0.1;
    double momentum = 0.9;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // of adam and adamw
    double weight_decay = 1e-4;
    bool nesterov = false;
    ScheduleKind schedule = ScheduleKind::step;
    std::vector<int> lr_decay_epochs = {100, 150};
    double lr_decay_factor = 0.1;
    LrDecay lr_decay = LrDecay::preset;
    double lr_min = 0;      // floor of the cosine schedule
    int warmup_epochs = 0;  // linear from lr / (steps of warm-up)
    double ema = 0;         // decay of the averaged weights; 0 = off

    bool operator==(const Optimiser&) const = default;
  } optimiser;

  struct Evaluation {
    int every = 1;  // epochs between evaluations; the last epoch is always evaluated
    int batch = 250;
    SelectionRule selection = SelectionRule::approximated_accuracy;  // with data.selection_fraction

    bool operator==(const Evaluation&) const = default;
  } evaluation;

  struct Log {
    int steps = 0;  // a row of steps.csv every n steps; 0 = none
    bool charts = true;
    bool tensorboard = false;
    bool progress = true;  // progress bar on a terminal

    bool operator==(const Log&) const = default;
  } log;

  struct Checkpoint {
    int every = 1;           // epochs between checkpoints; the last epoch always
    int every_steps = 0;     // additionally every n steps; 0 = not
    bool save_init = false;  // keep init.safetensors, the model before the first step

    bool operator==(const Checkpoint&) const = default;
  } checkpoint;

  // What happens where a step's loss or a gradient is not finite.
  struct Guard {
    OnNonfinite on_nonfinite = OnNonfinite::stop;
    int retries = 3;  // rollbacks of a run, at most

    bool operator==(const Guard&) const = default;
  } guard;

  bool operator==(const RunConfig&) const = default;
};

// The network's number of layers: model.depth, or what the architecture was published with (0 where depth
// means nothing).
int depth_of(const RunConfig::Model& model);
// The method that objective.method names, with its section's keys.
Method method_of(const RunConfig& config);
// K + 1: views.strong, or the method's own number.
int views_of(const RunConfig& config);
// objective.update, or same for a method whose loss does not use rows.
RowUpdate row_update_of(const RunConfig& config);

struct Override {
  std::string key;  // "section.key"
  std::string value;
};

// Reads and validates a configuration file and applies `overrides` after it. Throws Error(config) with one
// line that names file, line, key, value and what would be right; unknown keys name the nearest known one.
RunConfig load_config(const std::string& path, const std::vector<Override>& overrides);
// The same from text; `path` is used in messages and for the default run name.
RunConfig parse_config(const std::string& text, const std::string& path,
                       const std::vector<Override>& overrides);
// INI text that parse_config() turns back into exactly `config` (every key written, doubles round-trip), as
// long as `config` is one that parse_config() could have given.
std::string to_ini(const RunConfig& config);
// "section.key" of every key there is, in the order of reference.ini.
std::vector<std::string> config_keys();
// One line for each override of a key whose method the run does not use.
std::vector<std::string> unused_overrides(const RunConfig& config, const std::vector<Override>& overrides);
// Splits "section.key=value"; Error(usage) when it is not of that form.
Override parse_override(const std::string& argument);

// INI spellings of the enumerations, for messages and files.
std::string to_string(ViewPolicy);
std::string to_string(AugmentPolicy);
std::string to_string(CropKind);
std::string to_string(CropPadding);
std::string to_string(Architecture);
std::string to_string(ShortcutKind);
std::string to_string(InitMatch);
std::string to_string(ObjectiveVariant);
std::string to_string(RowUpdate);
std::string to_string(BatchNormScope);
std::string to_string(ScheduleKind);
std::string to_string(OptimiserKind);
std::string to_string(LrDecay);
std::string to_string(DeviceChoice);
std::string to_string(Precision);
std::string to_string(CandidateMode);
std::string to_string(MatrixKind);
std::string to_string(SelectionRule);
std::string to_string(OnNonfinite);
std::string to_string(ResumeMode);

}  // namespace dpll
