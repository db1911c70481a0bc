// Ten training steps with every method against PyTorch in float64: what a step does around the network.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "selftest/golden_checks.h"
#include "selftest/pattern.h"
#include "train/training_step.h"

namespace dpll::selftest {
namespace {

RunConfig config_of(const GoldenCase& c) {
  const auto method = c.value<std::string>("method");
  std::string text = fmt::format(
      "[data]\ndataset = tabular\npath = none.mat\n[candidates]\nmode = dataset\n[model]\narchitecture = "
      "mlp\n"
      "hidden = {}\n[views]\nstrong = {}\nstrong_noise = 0\nstrong_feature_dropout = 0\n[optimiser]\nbatch = "
      "{}\n"
      "momentum = {}\nweight_decay = {}\n[objective]\nmethod = {}\nupdate = {}\n",
      c.value<std::vector<int>>("hidden").at(0), c.value<int>("views") - 1, c.value<int>("batch"),
      c.value<double>("momentum"), c.value<double>("weight_decay"), method, c.value<std::string>("update"));
  RunConfig config = parse_config(text, c.name(), {});
  for_each_method(config.methods, [&](auto& known) {
    using M = std::decay_t<decltype(known)>;
    if (method == known.about.name)
      known = std::get<M>(golden_method(method, c.value<nlohmann::json>("keys")));
  });
  return config;
}

DataSet data_of(const GoldenCase& c) {
  DataSet data;
  data.kind = "tabular";
  data.classes = c.value<int>("classes");
  ImageSet& train = data.train;
  train.count = c.value<int>("samples");
  train.height = train.width = 1;
  train.channels = c.value<int>("features");
  for (const double half : pattern(c.name() + "/features", train.count * train.channels)) {
    train.features.push_back(static_cast<float>(2 * half));
  }
  for (std::int64_t i = 0; i < train.count; ++i) {
    train.labels.push_back(static_cast<std::int32_t>(i % data.classes));
  }
  return data;
}

CandidateSets candidates_of(const GoldenCase& c, const DataSet& data) {
  const std::vector<std::uint8_t> mask = c.file().get<std::uint8_t>(c.name() + "/mask");
  CandidateSets sets(data.train.count, data.classes);
  for (std::int64_t i = 0; i < sets.count; ++i) {
    for (int k = 0; k < sets.classes; ++k) {
      if (mask[static_cast<std::size_t>(i * sets.classes + k)] != 0) sets.insert(i, k);
    }
  }
  return sets;
}

void set_initial_values(Network& network) {
  ModelState& state = network.state();
  state.initialise(0);
  for (int i = 0; i < state.parameters(); ++i) {
    const ParameterSpec& spec = state.spec(i);
    state.write(ModelState::Array::value, i, initial_value(spec.name, spec.dims));
    if (network.teacher() == nullptr) continue;
    state.write(ModelState::Array::average, i, initial_value("teacher/" + spec.name, spec.dims));
  }
  for (int i = 0; i < state.buffers(); ++i) {
    const std::vector<std::int64_t> dims{state.buffer_channels(i)};
    state.write_buffer(i, initial_value(state.buffer_name(i), dims));
    if (network.teacher() == nullptr) continue;
    network.teacher()->state().write_buffer(i, initial_value("teacher/" + state.buffer_name(i), dims));
  }
}

// Logits of all samples in evaluation mode.
HostTensor evaluate(Backend& backend, GoldenCase& c, Network& network, const ImageSet& samples) {
  const auto program = network.make_program({Mode::eval, 1, static_cast<int>(samples.count)});
  const Buffer arena = backend.allocate(program->plan().solve(), "the activations of an evaluation");
  program->plan().bind(arena.data());
  HostTensor input(program->images().shape);
  const std::int64_t stored = input.elements() / samples.count;
  for (std::int64_t i = 0; i < samples.count * samples.channels; ++i) {
    input[i / samples.channels * stored + i % samples.channels] =
        static_cast<double>(samples.features[static_cast<std::size_t>(i)]);
  }
  c.fill(program->images(), input);
  program->forward({.step = c.put_step({}), .order = {}});
  return c.take(program->logits());
}

// Of each step, the mean over its batch.
HostTensor train(GoldenCase& c, TrainingStep& step) {
  const auto rates = c.value<std::vector<float>>("learning_rates"),
             scalars = c.value<std::vector<float>>("scalars");
  const std::vector<std::int32_t> orders = c.file().get<std::int32_t>(c.name() + "/order");
  const int steps = c.value<int>("steps");
  HostTensor losses({steps});
  for (int done = 0; done < steps;) {
    const auto epoch = static_cast<int>(done / step.steps_per_epoch());
    const auto order = orders.begin() + epoch * step.samples();
    step.set_order({order, order + step.samples()});
    StepPlan plan;
    plan.learning_rate = rates[static_cast<std::size_t>(epoch)];
    plan.scalars[0] = scalars[static_cast<std::size_t>(epoch)];
    step.begin_epoch(epoch, 0, std::vector<StepPlan>(static_cast<std::size_t>(step.steps_per_epoch()), plan));
    for (std::int64_t i = 0; i < step.steps_per_epoch() && done < steps; ++i, ++done) {
      step.enqueue();
      const ObjectiveMetrics metrics = step.last_metrics();
      losses[done] = metrics.total / metrics.samples;
    }
  }
  return losses;
}

}  // namespace

void check_method_trajectory(Backend& backend, GoldenCase& c) {
  const RunConfig config = config_of(c);
  const DataSet data = data_of(c);
  const std::unique_ptr<Network> network =
      make_network(backend, config, {1, 1, static_cast<int>(data.train.channels), data.classes});
  const ViewSetup views = resolve_views(config, 1, 1, static_cast<int>(data.train.channels));
  TrainingStep step(backend, *network, config, views, data, candidates_of(c, data));
  const Buffer arena = backend.allocate(step.arena_bytes(), "the activations");
  step.attach(arena.data());
  set_initial_values(*network);

  // Rows are handed out in float32.
  constexpr double kRows = 0x1p-24;
  c.set_coarsest(backend.product_dtype());
  c.check("losses", train(c, step));
  const auto table = [&](const std::vector<float>& rows, const char* key) {
    HostTensor values(c.stored(key).shape);
    std::copy(rows.begin(), rows.end(), values.values.begin());
    c.check(key, values, kRows);
  };
  table(step.targets(), "targets");
  if (step.kept_rows() > 0) table(step.kept(), "kept");
  c.check("logits", evaluate(backend, c, *network, data.train));
  if (network->teacher() != nullptr) {
    c.check("teacher/logits", evaluate(backend, c, *network->teacher(), data.train));
  }
  for (const std::string prefix : {"", "teacher/"}) {
    const ModelState* const state = prefix.empty()                  ? &network->state()
                                    : network->teacher() != nullptr ? &network->teacher()->state()
                                                                    : nullptr;
    if (state == nullptr) continue;
    for (int i = 0; i < state->parameters(); ++i) {
      c.check_probe(prefix + state->spec(i).name, state->read(ModelState::Array::value, i));
    }
    for (int i = 0; i < state->buffers(); ++i) {
      c.check_probe(prefix + state->buffer_name(i), state->read_buffer(i));
    }
  }
}

}  // namespace dpll::selftest
