#include "train/initial_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/safetensors.h"
#include "io/text.h"
#include "train/checkpoint_checks.h"

namespace dpll {
namespace {

// A parameter or running statistic of the network.
struct Wanted {
  std::string name;
  std::vector<std::int64_t> dims;
  int parameter = -1, buffer = -1;
};

std::vector<Wanted> wanted_by(const ModelState& model) {
  std::vector<Wanted> all;
  for (int i = 0; i < model.parameters(); ++i) {
    all.push_back({.name = model.spec(i).name, .dims = model.spec(i).dims, .parameter = i});
  }
  for (int i = 0; i < model.buffers(); ++i) {
    all.push_back({.name = model.buffer_name(i), .dims = {model.buffer_channels(i)}, .buffer = i});
  }
  return all;
}

// How the tensors of a file and of a network go together.
struct Fit {
  std::vector<Wanted> taken;
  std::vector<std::string> missing, other, foreign;  // `other`: of another shape or type, with both
};

Fit fit_of(const ModelState& model, const SafetensorsFile& file) {
  Fit fit;
  std::set<std::string> known;
  for (const Wanted& wanted : wanted_by(model)) {
    known.insert(wanted.name);
    if (wanted.buffer >= 0) {  // PyTorch's count of batches: training begins at 0
      known.insert(wanted.name.substr(0, wanted.name.rfind('.')) + ".num_batches_tracked");
    }
    if (!file.contains(wanted.name)) {
      fit.missing.push_back(wanted.name);
      continue;
    }
    const TensorEntry& entry = file.entry(wanted.name);
    const bool is_float = entry.dtype == DType::f32 && entry.other_type.empty();
    if (is_float && entry.shape == wanted.dims) {
      fit.taken.push_back(wanted);
      continue;
    }
    const std::string type = entry.other_type.empty() ? name_of(entry.dtype) : entry.other_type;
    fit.other.push_back(fmt::format("{} ({} [{}] there, f32 [{}] here)", wanted.name, printable(type),
                                    fmt::join(entry.shape, ","), fmt::join(wanted.dims, ",")));
  }
  for (const auto& [name, entry] : file.entries()) {
    if (known.count(name) == 0) fit.foreign.push_back(printable(name));
  }
  return fit;
}

// "; missing: a, b; of another shape or type: c"; empty where all lists are.
std::string difference_text(const Fit& fit, const std::string& missing, const std::string& foreign) {
  std::string text;
  const auto add = [&](const std::string& what, const std::vector<std::string>& names) {
    if (!names.empty()) text += fmt::format("; {}: {}", what, fmt::join(names, ", "));
  };
  add(missing, fit.missing);
  add("of another shape or type", fit.other);
  add(foreign, fit.foreign);
  return text;
}

void require_fit(const Fit& fit, const std::string& path, InitMatch match) {
  if (match == InitMatch::names && !fit.taken.empty()) return;
  const bool exact = fit.missing.empty() && fit.other.empty() && fit.foreign.empty();
  if (match == InitMatch::strict && exact) return;
  const bool checkpoint = std::any_of(fit.foreign.begin(), fit.foreign.end(),
                                      [](const std::string& name) { return name.starts_with("model/"); });
  std::string advice;
  if (checkpoint) {
    advice = "; this is a checkpoint: give the run's model.safetensors";
  } else if (match == InitMatch::strict && !fit.taken.empty()) {
    advice = fmt::format("; model.init_match = names would take the {} tensors that fit", fit.taken.size());
  }
  fail(ExitCode::data, "{}: model.init_match = {}: {}{}{}", path,
       match == InitMatch::strict ? "strict" : "names",
       match == InitMatch::strict ? "the file has not this network's tensors" : "no tensor fits this network",
       difference_text(fit, "missing", "foreign"), advice);
}

}  // namespace

void set_initial_weights(ModelState& model, const RunConfig& config,
                         const std::function<void(const std::string&)>& say) {
  model.initialise(config.run.seed);
  if (config.model.init.empty()) return;
  const SafetensorsFile file = SafetensorsFile::read(config.model.init);
  check_digest(file);
  const Fit fit = fit_of(model, file);
  require_fit(fit, file.path(), config.model.init_match);
  check_parameters(file, "");
  for (const Wanted& taken : fit.taken) {
    const std::vector<float> values = file.get<float>(taken.name, taken.dims);
    if (taken.buffer >= 0) {
      model.write_buffer(taken.buffer, values);
      continue;
    }
    model.write(ModelState::Array::value, taken.parameter, values);
    if (model.has_average()) model.write(ModelState::Array::average, taken.parameter, values);
  }
  say(fmt::format("initial weights: {} of {} tensors from {}{}", fit.taken.size(),
                  model.parameters() + model.buffers(), file.path(),
                  difference_text(fit, "drawn, because the file lacks them", "not used")));
}

}  // namespace dpll
