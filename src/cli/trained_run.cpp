#include "cli/trained_run.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/catalogue.h"
#include "dpll/core/check.h"
#include "dpll/safetensors.h"
#include "io/text.h"
#include "train/checkpoint.h"
#include "train/checkpoint_checks.h"
#include "train/devices.h"
#include "train/run_folder.h"

namespace dpll {
namespace {

std::string model_path(const std::string& folder, KeptModel model) {
  struct Kind {
    const char *file, *why_missing;
  };
  const Kind kind = model == KeptModel::average
                        ? Kind{run_files::kAverageModel, "it was trained without optimiser.ema"}
                    : model == KeptModel::selected
                        ? Kind{run_files::kSelectedModel, "it was trained without data.selection_fraction"}
                        : Kind{run_files::kModel, "the run is not finished; go on with --resume"};
  std::string path = folder + "/" + kind.file;
  if (!std::filesystem::exists(path)) {
    fail(ExitCode::data, "'{}' has no {}: {}", folder, kind.file, kind.why_missing);
  }
  return path;
}

int metadata_number(const SafetensorsFile& file, const std::string& key) {
  constexpr int kMost = 65536;
  const auto found = file.metadata().find(key);
  int value = 0;
  if (found == file.metadata().end()) fail(ExitCode::data, "{}: has no metadata '{}'", file.path(), key);
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > kMost) {
    fail(ExitCode::data, "{}: metadata '{}' is '{}', expected a number from 1 to {}", file.path(), key,
         printable(text), kMost);
  }
  return value;
}

}  // namespace

RunConfig run_config(const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) fail(ExitCode::data, "'{}' is not a run folder", folder);
  return load_config(folder + "/" + run_files::kConfig, {});
}

namespace {

// One finite number for each of the network's features; nothing where there is no such key.
std::vector<double> metadata_list(const SafetensorsFile& file, const std::string& key, int size) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) return {};
  const nlohmann::json json = nlohmann::json::parse(found->second, nullptr, false);
  std::vector<double> values;
  if (json.is_array()) {
    for (const nlohmann::json& value : json) {
      if (value.is_number()) values.push_back(value.get<double>());
    }
  }
  const bool finite = std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); });
  if (!finite || static_cast<int>(values.size()) != size) {
    fail(ExitCode::data, "{}: metadata '{}' is not a list of {} numbers", file.path(), key, size);
  }
  return values;
}

// Of the data set that the configuration names: for a state dict of PyTorch's, which says nothing of images.
TrainedModelFile sizes_of_data(const RunConfig& config) {
  const DatasetRow& row = dataset_row(config.data.dataset);
  const PublishedSet& set = row.published;
  TrainedModelFile model;
  if (set.height > 0) {
    model.class_names = config.data.coarse_labels ? row.coarse_names : set.class_names;
    model.input = {static_cast<int>(set.height), static_cast<int>(set.width), static_cast<int>(set.channels),
                   static_cast<int>(model.class_names.size())};
    return model;
  }
  const DataSet data = load_data(config);
  model.class_names = data.class_names;
  model.input = {static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                 static_cast<int>(data.train.channels), data.classes};
  model.feature_means = data.feature_means;
  model.feature_scales = data.feature_scales;
  return model;
}

}  // namespace

TrainedModelFile read_model_header(const std::string& folder, const RunConfig& config, KeptModel kept) {
  const SafetensorsFile file = SafetensorsFile::read(model_path(folder, kept));
  check_digest(file);
  const auto& metadata = file.metadata();
  if (!metadata.contains("height") && !metadata.contains("classes")) return sizes_of_data(config);
  TrainedModelFile model;
  model.input = {metadata_number(file, "height"), metadata_number(file, "width"),
                 metadata_number(file, "channels"), metadata_number(file, "classes")};
  const auto names = metadata.find("class_names");
  if (names != metadata.end()) {
    const nlohmann::json json = nlohmann::json::parse(names->second, nullptr, false);
    if (json.is_array()) {
      for (const nlohmann::json& name : json)
        model.class_names.push_back(name.is_string() ? name.get<std::string>() : "");
    }
  }
  if (static_cast<int>(model.class_names.size()) != model.input.classes) {
    fail(ExitCode::data, "{}: metadata 'class_names' does not name {} classes", file.path(),
         model.input.classes);
  }
  model.feature_means = metadata_list(file, "feature_means", model.input.channels);
  model.feature_scales = metadata_list(file, "feature_scales", model.input.channels);
  return model;
}

void require_input(const std::string& source, const ImageSet& images, const InputShape& input) {
  if (images.height == input.height && images.width == input.width && images.channels == input.channels)
    return;
  if (images.tabular()) {
    fail(ExitCode::data, "{}: samples of {} features; the network takes {}", source, images.channels,
         input.height * input.width * input.channels);
  }
  fail(ExitCode::data, "{}: {}x{} pixels with {} channels; the network takes {}x{} with {}", source,
       images.height, images.width, images.channels, input.height, input.width, input.channels);
}

TrainedRun open_run(const std::string& folder, const RunConfig& config, const InputShape& input,
                    KeptModel model) {
  TrainedRun run;
  run.config = config;
  run.backend = make_backend(config.run);
  run.views = resolve_views(config, input.height, input.width, input.channels);
  run.network = make_network(*run.backend, config.model, input, false);
  load_model(model_path(folder, model), run.network->state());
  return run;
}

}  // namespace dpll
