#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "cli/commands.h"
#include "cli/trained_run.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "io/text.h"
#include "report/metrics_files.h"
#include "train/evaluator.h"
#include "train/run_folder.h"

namespace dpll {
namespace {

// For each class: images, recall (share of the class's images that are recognised) and precision.
std::string class_table(const DataSet& data, const ImageSet& images,
                        const std::vector<std::int32_t>& predictions) {
  const auto classes = static_cast<std::size_t>(data.classes);
  const std::size_t known_classes = images.truths.size() / static_cast<std::size_t>(images.count);
  std::vector<int> truth(classes), predicted(classes), both(classes);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const auto guess = static_cast<std::size_t>(predictions[i]);
    const auto is_true = [&](std::size_t c) {
      return images.labels[i] == static_cast<std::int32_t>(c) ||
             (c < known_classes && images.truths[i * known_classes + c] != 0);
    };
    bool known = false;
    for (std::size_t c = 0; c < classes; ++c) {
      if (!is_true(c)) continue;
      known = true;
      ++truth[c];
    }
    if (!known) continue;
    ++predicted[guess];
    if (is_true(guess)) ++both[guess];
  }
  const auto percent = [](int part, int whole) {
    return whole > 0 ? fmt::format("{:7.2f}%", 100.0 * part / whole) : std::string("       -");
  };
  std::vector<std::string> names;
  for (const std::string& name : data.class_names) names.push_back(escaped(name));
  std::size_t longest = 5;
  for (const std::string& name : names) longest = std::max(longest, name.size());
  std::string text = fmt::format("{:>5}  {:<{}}  {:>6}  {:>8}  {:>9}\n", "class", "name", longest, "images",
                                 "recall", "precision");
  for (std::size_t c = 0; c < classes; ++c) {
    text += fmt::format("{:>5}  {:<{}}  {:>6}  {}   {}\n", c, names[c], longest, truth[c],
                        percent(both[c], truth[c]), percent(both[c], predicted[c]));
  }
  return text;
}

}  // namespace

namespace {

int review(const std::string& run) {
  const std::string labels = run + "/" + run_files::kLabels, out = run + "/" + run_files::kReview;
  std::error_code ignored;
  if (!std::filesystem::exists(labels, ignored)) {
    fail(ExitCode::data, "'{}' has no {}: the run has neither finished nor been stopped", run,
         run_files::kLabels);
  }
  const std::int64_t samples = write_review(labels, out);
  std::printf("%lld samples, the least certain first, written to %s\n", static_cast<long long>(samples),
              escaped(out).c_str());
  return 0;
}

}  // namespace

int evaluate_command(const EvaluateArguments& arguments) {
  RunConfig config = run_config(arguments.run);
  if (arguments.review) return review(arguments.run);
  if (!arguments.data.empty()) config.data.path = arguments.data;
  if (!arguments.verify) config.data.verify = false;
  DataSet data = load_data(config);
  for (const std::string& warning : data.warnings) {
    std::fprintf(stderr, "warning: %s\n", escaped(warning).c_str());
  }
  const ImageSet& images = arguments.split == "test"    ? data.test
                           : arguments.split == "train" ? data.train
                                                        : data.validation;
  if (images.count == 0) fail(ExitCode::data, "the data set has no {} images", arguments.split);
  if (!images.has_labels())
    fail(ExitCode::data, "the {} images have no labels to compare with", arguments.split);

  const TrainedModelFile model = read_model_header(arguments.run, config, arguments.model);
  const std::string source = fmt::format("the {} images of {}", arguments.split,
                                         config.data.path.empty() ? data.kind : config.data.path);
  require_input(source, images, model.input);
  if (data.classes > model.input.classes) {
    fail(ExitCode::data, "{}: the data has {} classes; the network tells {} apart", source, data.classes,
         model.input.classes);
  }
  // A user's own data may not have the last classes; only the network knows them.
  if (data.classes < model.input.classes) data.class_names = model.class_names;
  data.classes = model.input.classes;

  TrainedRun run = open_run(arguments.run, config, model.input, arguments.model);
  Evaluator evaluator(*run.backend, *run.network, run.views, images, config.evaluation.batch);
  const Buffer arena = run.backend->allocate(evaluator.arena_bytes(), "the activations");
  evaluator.attach(arena.data());
  const EvaluationResult result = evaluator.run();
  std::printf("%s", fmt::format("{} on {} {} images: accuracy {:.2f}%, loss {:.4f}\n{}", run.network->name(),
                                result.samples, arguments.split, 100 * result.accuracy, result.loss,
                                class_table(data, images, result.predictions))
                        .c_str());
  return 0;
}

}  // namespace dpll
