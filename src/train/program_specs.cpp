#include "train/program_specs.h"

#include <algorithm>

#include "train/selection.h"

namespace dpll {

std::vector<int> training_batches(std::int64_t samples, const RunConfig::Optimiser& optimiser) {
  const int batch = optimiser.batch;
  if (batch > samples) {
    fail(ExitCode::config, "optimiser.batch = {} is larger than the training set, which has {} samples",
         batch, samples);
  }
  const auto rest = static_cast<int>(samples % batch);
  if (optimiser.drop_last || rest == 0) return {batch};
  return {batch, rest};
}

std::vector<int> evaluation_batches(std::int64_t samples, int batch) {
  if (samples == 0) return {};
  const auto full = static_cast<int>(std::min<std::int64_t>(batch, samples)),
             rest = static_cast<int>(samples % full);
  if (rest == 0) return {full};
  return {full, rest};
}

namespace {

// Values of an image that the last batch norm has of a channel.
std::int64_t pixels_of_last_norm(Architecture architecture, std::int64_t height, std::int64_t width) {
  std::int64_t step = 1;  // pixels of the image a pixel there
  switch (architecture) {
    case Architecture::wide_resnet:
    case Architecture::resnet:
      step = 4;
      break;
    case Architecture::resnet18:
    case Architecture::preact_resnet18:
      step = 8;
      break;
    case Architecture::lenet:
    case Architecture::mlp:
      return 1;  // that of a hidden layer
  }
  return ((height + step - 1) / step) * ((width + step - 1) / step);
}

}  // namespace

std::string batch_norm_advice(const RunConfig& config, std::int64_t samples, std::int64_t height,
                              std::int64_t width) {
  const RunConfig::Model& model = config.model;
  if (model.architecture == Architecture::mlp && (model.hidden.empty() || !model.batch_norm)) return "";
  const std::int64_t pixels = pixels_of_last_norm(model.architecture, height, width);
  const std::vector<int> batches = training_batches(samples, config.optimiser);
  if (pixels * batches.front() == 1) {
    fail(ExitCode::config,
         "optimiser.batch = 1: batch norm in {} would see a single value a channel, of which it learns "
         "nothing; "
         "expected 2 or more",
         to_string(model.architecture));
  }
  if (pixels * batches.back() > 1) return "";
  return fmt::format(
      "the last step of each epoch has a single sample ({} samples, optimiser.batch = {}), and batch norm a "
      "single "
      "value a channel, which spoils its statistics: optimiser.drop_last = true leaves it out",
      samples, config.optimiser.batch);
}

std::vector<ProgramSpec> program_specs(const RunConfig& config, const DataSet& data) {
  const std::int64_t held_out = held_out_count(data.train.count, config.data.selection_fraction);
  std::vector<ProgramSpec> specs;
  const auto add = [&](const ProgramSpec& spec) {
    if (std::find(specs.begin(), specs.end(), spec) == specs.end()) specs.push_back(spec);
  };
  for (const int batch : training_batches(data.train.count - held_out, config.optimiser)) {
    add({Mode::train, views_of(config), batch});
  }
  for (const std::int64_t samples : {data.test.count, data.validation.count, held_out}) {
    for (const int batch : evaluation_batches(samples, config.evaluation.batch)) add({Mode::eval, 1, batch});
  }
  return specs;
}

}  // namespace dpll
