#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/trained_run.h"
#include "data/catalogue.h"
#include "data/cifar.h"
#include "data/idx.h"
#include "data/image_file.h"
#include "data/image_list.h"
#include "data/image_resize.h"
#include "data/svhn.h"
#include "data/tabular.h"
#include "data/user_arrays.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "dpll/views.h"
#include "io/csv.h"
#include "io/csv_records.h"
#include "io/text.h"
#include "io/unzip.h"
#include "train/evaluator.h"

namespace dpll {
namespace {

bool begins(const std::vector<std::uint8_t>& bytes, std::initializer_list<int> mark, std::size_t at = 0) {
  return bytes.size() >= at + mark.size() &&
         std::equal(mark.begin(), mark.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

bool is_mat(const std::vector<std::uint8_t>& bytes) {
  constexpr std::size_t kMark = 124;
  return begins(bytes, {0, 1, 'I', 'M'}, kMark) || begins(bytes, {1, 0, 'M', 'I'}, kMark);
}

// Where a sample comes from.
struct PredictedFrom {
  std::string path;
  std::int64_t index;  // of the sample in the file
};

// The images to classify, and where each comes from.
class PredictedImages {
 public:
  // `fits`: pictures are brought to the network's size as a run on a folder of images does it; otherwise they
  // must have it.
  PredictedImages(const InputShape& input, bool fits) : input_(input), fits_(fits) {
    all.height = input.height;
    all.width = input.width;
    all.channels = input.channels;
  }

  void add(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
      add_folder(path);
    } else if (fits_ && is_image_name(path)) {
      waiting_.push_back({.name = path, .path = path});
    } else {
      add_file(path);
    }
  }
  // To be called behind the last.
  void finish() {
    if (waiting_.empty()) return;
    // Together, because they are decoded on several threads.
    const std::vector<std::uint8_t> pixels = decode_images(waiting_, input_.height, input_.channels, {});
    all.pixels.insert(all.pixels.end(), pixels.begin(), pixels.end());
    all.count += static_cast<std::int64_t>(waiting_.size());
    for (const ImageFile& file : waiting_) sources.push_back({file.path, 0});
    waiting_.clear();
  }

  ImageSet all;
  std::vector<PredictedFrom> sources;

 private:
  void add_folder(const std::string& folder) {
    ImageListing listing = list_images(folder);
    if (listing.files.empty()) fail(ExitCode::data, "{}: no .png, .jpg or .jpeg file in this folder", folder);
    for (ImageFile& file : listing.files) {
      if (!fits_) {
        add_file(file.path);
        continue;
      }
      file.name = file.path;
      waiting_.push_back(std::move(file));
    }
  }

  void add_file(const std::string& path) {
    finish();  // the order stays
    const ImageSet images = read(path);
    require_input(path, images, input_);
    all.count += images.count;
    all.pixels.insert(all.pixels.end(), images.pixels.begin(), images.pixels.end());
    for (std::int64_t i = 0; i < images.count; ++i) sources.push_back({path, i});
  }

  // The images of a file, whose kind its first bytes tell: IDX begins with 0 0 8 3; PNG, JPEG and MAT have
  // their own marks; CIFAR binary files have none and are known by their records' size.
  ImageSet read(const std::string& path) const {
    std::vector<std::uint8_t> bytes = read_unzipped(path, idx_limit);
    if (begins(bytes, {0, 0, 8, 3})) return parse_idx_images(std::move(bytes), path);
    if (is_mat(bytes)) return parse_svhn(std::move(bytes), path);
    if (!is_image_file(bytes) && !bytes.empty() && (bytes.size() % 3073 == 0 || bytes.size() % 3074 == 0)) {
      return parse_cifar(bytes, path, bytes.size() % 3073 == 0 ? CifarLabels::ten : CifarLabels::fine);
    }
    ImageSet image = decode_image(bytes, path, input_.channels);
    return fits_ ? fit_image(image, input_.height) : image;
  }

  InputShape input_;
  bool fits_;
  std::vector<ImageFile> waiting_;
};

// Feature vectors as they were before training standardised its own.
class PredictedFeatures {
 public:
  explicit PredictedFeatures(const TrainedModelFile& model) : width_(model.input.channels) {
    all.height = all.width = 1;
    all.channels = width_;
  }

  void add(const std::string& path) {
    const std::vector<float> values = path.ends_with(".safetensors") ? read_tensor(path) : read_csv(path);
    const std::int64_t count = static_cast<std::int64_t>(values.size()) / width_;
    if (count == 0) fail(ExitCode::data, "{}: it has no sample", path);
    all.features.insert(all.features.end(), values.begin(), values.end());
    all.count += count;
    for (std::int64_t i = 0; i < count; ++i) sources.push_back({path, i});
  }

  ImageSet all;
  std::vector<PredictedFrom> sources;

 private:
  std::vector<float> read_tensor(const std::string& path) const {
    const ImageSet set = read_features(SafetensorsFile::read(path), "features");
    if (set.channels != width_) wrong_width(path, set.channels);
    return set.features;
  }

  // A sample a line; the first line may name the columns.
  std::vector<float> read_csv(const std::string& path) const {
    const std::vector<std::uint8_t> bytes = read_file(path);
    CsvRecords records({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
    std::vector<float> values;
    for (bool first = true; const auto fields = records.next(); first = false) {
      if (static_cast<std::int64_t>(fields->size()) != width_) {
        records.reject("{} fields; the network takes {} features", fields->size(), width_);
      }
      if (first && std::none_of(fields->begin(), fields->end(), [](const auto& f) { return number_of(f); })) {
        continue;
      }
      for (const std::string& field : *fields) {
        const std::optional<float> value = number_of(field);
        if (!value || !std::isfinite(*value)) {
          records.reject("\"{}\" is not a finite number", printable(field));
        }
        values.push_back(*value);
      }
    }
    return values;
  }

  static std::optional<float> number_of(const std::string& field) {
    const std::string_view text = trim(field);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return static_cast<float>(value);
  }

  [[noreturn]] void wrong_width(const std::string& path, std::int64_t found) const {
    fail(ExitCode::data, "{}: samples of {} features; the network takes {}", path, found, width_);
  }

  std::int64_t width_;
};

// Standardises `features` as the training did. Models of earlier versions do not say how; then the run's data
// are read again.
void standardise_as_trained(ImageSet& features, const TrainedModelFile& model, const RunConfig& config) {
  if (!model.feature_means.empty() && !model.feature_scales.empty()) {
    standardise(features, model.feature_means, model.feature_scales);
    return;
  }
  const DataSet data = load_data(config);
  require_input(config.data.path, data.train, model.input);
  standardise(features, data.feature_means, data.feature_scales);
}

// The columns of a sample's `top` likeliest classes, from the likeliest on: name and probability of each.
std::vector<std::string> ranked(const float* logits, const std::vector<std::string>& names, int top) {
  std::vector<std::size_t> order(names.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  double sum = 0;
  for (std::size_t c = 0; c < names.size(); ++c) sum += std::exp(double{logits[c]} - logits[order[0]]);
  std::vector<std::string> fields;
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(top); ++rank) {
    const std::size_t c = order[rank];
    const auto probability = static_cast<float>(std::exp(double{logits[c]} - logits[order[0]]) / sum);
    fields.insert(fields.end(), {names[c], fmt::format("{}", probability)});
  }
  return fields;
}

std::string table_of(const EvaluationResult& result, const std::vector<PredictedFrom>& sources,
                     const std::vector<std::string>& names, int top) {
  std::vector<std::string> columns = {"file", "index"};
  if (top == 0) columns.insert(columns.end(), {"label", "name", "probability"});
  for (int rank = 1; rank <= top; ++rank) {
    columns.push_back(fmt::format("class_{}", rank));
    columns.push_back(fmt::format("probability_{}", rank));
  }
  std::string csv = csv_line(columns);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::vector<std::string> fields = {sources[i].path, std::to_string(sources[i].index)};
    if (top == 0) {
      const auto label = static_cast<std::size_t>(result.predictions[i]);
      fields.insert(fields.end(),
                    {std::to_string(label), names[label], fmt::format("{}", result.confidences[i])});
    } else {
      const std::vector<std::string> classes = ranked(&result.logits[i * names.size()], names, top);
      fields.insert(fields.end(), classes.begin(), classes.end());
    }
    csv += csv_line(fields);
  }
  return csv;
}

}  // namespace

int predict_command(const PredictArguments& arguments) {
  const RunConfig config = run_config(arguments.run);
  const TrainedModelFile model = read_model_header(arguments.run, config, arguments.model);
  const bool features = takes_features(config, model.input.height, model.input.width);
  if (features && arguments.features.empty()) {
    fail(ExitCode::config, "'{}' was trained on feature vectors; expected --features in place of --images",
         arguments.run);
  }
  if (!features && arguments.images.empty()) {
    fail(ExitCode::config, "'{}' was trained on images; expected --images in place of --features",
         arguments.run);
  }
  if (arguments.top > model.input.classes) {
    fail(ExitCode::usage, "--top {}: the network tells {} classes apart", arguments.top, model.input.classes);
  }
  PredictedImages images(model.input, dataset_row(config.data.dataset).fits_images);
  for (const std::string& path : arguments.images) images.add(path);
  images.finish();
  PredictedFeatures vectors(model);
  for (const std::string& path : arguments.features) vectors.add(path);
  if (features) standardise_as_trained(vectors.all, model, config);
  const ImageSet& all = features ? vectors.all : images.all;
  const std::vector<PredictedFrom>& sources = features ? vectors.sources : images.sources;

  TrainedRun run = open_run(arguments.run, config, model.input, arguments.model);
  Evaluator evaluator(*run.backend, *run.network, run.views, all, config.evaluation.batch);
  const Buffer arena = run.backend->allocate(evaluator.arena_bytes(), "the activations");
  evaluator.attach(arena.data());
  const EvaluationResult result =
      evaluator.run(arguments.top > 0 ? Evaluator::Logits::keep : Evaluator::Logits::leave);

  write_file_atomically(arguments.out, table_of(result, sources, model.class_names, arguments.top));
  std::printf("%zu %s classified, written to %s\n", sources.size(), features ? "samples" : "images",
              escaped(arguments.out).c_str());
  return 0;
}

}  // namespace dpll
