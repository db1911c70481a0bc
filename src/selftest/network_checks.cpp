#include "selftest/network_checks.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/model/network.h"
#include "train/program_specs.h"
#include "train/schedule.h"
#include "train/training_step.h"

namespace dpll::selftest {
namespace {

InputShape input_of(const DataSet& data) {
  return {static_cast<int>(data.train.height), static_cast<int>(data.train.width),
          static_cast<int>(data.train.channels), data.classes};
}

// The first samples of `data`, enough for a full batch, with all labels as candidates.
DataSet one_batch(const DataSet& data, int batch) {
  DataSet part;
  part.kind = data.kind;
  part.classes = data.classes;
  part.class_names = data.class_names;
  part.train = data.train;
  part.train.count = std::min<std::int64_t>(batch, data.train.count);
  const auto count = static_cast<std::size_t>(part.train.count);
  part.train.pixels.resize(
      std::min(part.train.pixels.size(), count * static_cast<std::size_t>(part.train.image_bytes())));
  part.train.features.resize(
      std::min(part.train.features.size(), count * static_cast<std::size_t>(part.train.channels)));
  part.train.labels.resize(std::min(part.train.labels.size(), count));
  return part;
}

// All parameters after two training steps from the start.
std::vector<std::vector<float>> after_two_steps(Backend& backend, const RunConfig& config,
                                                const DataSet& data) {
  CandidateSets candidates(data.train.count, data.classes);
  for (std::int64_t sample = 0; sample < data.train.count; ++sample) {
    for (int label = 0; label < data.classes; ++label) candidates.insert(sample, label);
  }
  const InputShape input = input_of(data);
  const ViewSetup views = resolve_views(config, input.height, input.width, input.channels);
  const std::unique_ptr<Network> network = make_network(backend, config, input);
  TrainingStep step(backend, *network, config, views, data, candidates);
  const Buffer arena = backend.allocate(step.arena_bytes(), "the activations");
  step.attach(arena.data());
  network->state().initialise(config.run.seed);
  for (int i = 0; i < 2; ++i) step.run(i, 0, plans_of_epoch(config, i, 1).front());
  backend.synchronize();
  std::vector<std::vector<float>> values;
  for (int i = 0; i < network->state().parameters(); ++i) {
    values.push_back(network->state().read(ModelState::Array::value, i));
  }
  return values;
}

}  // namespace

void prove_network(Backend& backend, const RunConfig& config, const DataSet& data) {
  const std::unique_ptr<Network> network = make_network(backend, config, input_of(data));
  for (const ProgramSpec& spec : program_specs(config, data)) network->make_program(spec);
}

void check_equal_bits(Backend& backend, const RunConfig& config, const DataSet& data) {
  const DataSet batch = one_batch(data, config.optimiser.batch);
  const auto first = after_two_steps(backend, config, batch),
             second = after_two_steps(backend, config, batch);
  for (std::size_t p = 0; p < first.size(); ++p) {
    for (std::size_t i = 0; i < first[p].size(); ++i) {
      if (std::bit_cast<std::uint32_t>(first[p][i]) == std::bit_cast<std::uint32_t>(second[p][i])) continue;
      throw WrongNumbers{
          "equal bits",
          fmt::format("parameter {}[{}] is {:.9g} after two steps and {:.9g} when they are repeated", p, i,
                      first[p][i], second[p][i])};
    }
  }
}

}  // namespace dpll::selftest
