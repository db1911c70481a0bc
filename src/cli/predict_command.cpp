#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/trained_run.h"
#include "data/cifar.h"
#include "data/idx.h"
#include "data/image_file.h"
#include "dpll/files.h"
#include "io/csv.h"
#include "io/text.h"
#include "io/unzip.h"
#include "train/evaluator.h"

namespace dpll {
namespace {

// The images of a file. Its first bytes determine the format: IDX begins with 0 0 8 3; PNG and JPEG have
// their own signatures; CIFAR binary files have none and are recognised by the size of their records.
ImageSet read_images(const std::string& path, const InputShape& input) {
  const std::vector<std::uint8_t> bytes = read_unzipped(path, idx_limit);
  const auto begins = [&](std::initializer_list<int> mark) {
    return bytes.size() >= mark.size() && std::equal(mark.begin(), mark.end(), bytes.begin());
  };
  ImageSet images;
  if (begins({0, 0, 8, 3})) {
    images = parse_idx_images(bytes, path);
  } else if (!is_image_file(bytes) && !bytes.empty() &&
             (bytes.size() % 3073 == 0 || bytes.size() % 3074 == 0)) {
    images = parse_cifar(bytes, path, bytes.size() % 3073 == 0 ? CifarLabels::ten : CifarLabels::fine);
  } else {
    images = decode_image(bytes, path, input.channels);
  }
  require_input(path, images, input);
  return images;
}

}  // namespace

int predict_command(const PredictArguments& arguments) {
  const RunConfig config = run_config(arguments.run);
  const TrainedModelFile model = read_model_header(arguments.run, arguments.model);
  if (config.data.dataset == DatasetKind::tabular) {
    fail(ExitCode::config, "predict reads images; '{}' was trained on feature vectors", arguments.run);
  }
  ImageSet all;
  all.height = model.input.height;
  all.width = model.input.width;
  all.channels = model.input.channels;
  struct Source {
    std::string path;
    std::int64_t index;  // of the image in the file
  };
  std::vector<Source> sources;
  for (const std::string& path : arguments.images) {
    const ImageSet images = read_images(path, model.input);
    all.count += images.count;
    all.pixels.insert(all.pixels.end(), images.pixels.begin(), images.pixels.end());
    for (std::int64_t i = 0; i < images.count; ++i) sources.push_back({path, i});
  }

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
