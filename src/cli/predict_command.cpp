#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <string>
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
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/views.h"
#include "io/csv.h"
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

  struct Source {
    std::string path;
    std::int64_t index;  // of the image in the file
  };
  ImageSet all;
  std::vector<Source> sources;

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

}  // namespace

int predict_command(const PredictArguments& arguments) {
  const RunConfig config = run_config(arguments.run);
  const TrainedModelFile model = read_model_header(arguments.run, config, arguments.model);
  if (takes_features(config, model.input.height, model.input.width)) {
    fail(ExitCode::config, "predict reads images; '{}' was trained on feature vectors", arguments.run);
  }
  PredictedImages images(model.input, dataset_row(config.data.dataset).fits_images);
  for (const std::string& path : arguments.images) images.add(path);
  images.finish();
  const ImageSet& all = images.all;
  const std::vector<PredictedImages::Source>& sources = images.sources;

  TrainedRun run = open_run(arguments.run, config, model.input, arguments.model);
  Evaluator evaluator(*run.backend, *run.network, run.views, all, config.evaluation.batch);
  const Buffer arena = run.backend->allocate(evaluator.arena_bytes(), "the activations");
  evaluator.attach(arena.data());
  const EvaluationResult result = evaluator.run();

  std::string csv = csv_line({"file", "index", "label", "name", "probability"});
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto label = static_cast<std::size_t>(result.predictions[i]);
    csv += csv_line({sources[i].path, std::to_string(sources[i].index), std::to_string(label),
                     model.class_names[label], fmt::format("{}", result.confidences[i])});
  }
  write_file_atomically(arguments.out, csv);
  std::printf("%zu images classified, written to %s\n", sources.size(), escaped(arguments.out).c_str());
  return 0;
}

}  // namespace dpll
