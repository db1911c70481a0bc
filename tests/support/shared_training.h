// Small trainings for tests that compare what several ranks train with what one does. The ranks are threads
// of this process, each with a backend and a network of its own.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dpll/core/philox.h"
#include "dpll/model/network.h"
#include "support/doctest.h"
#include "support/thread_ranks.h"
#include "train/training_step.h"

namespace dpll::test::shared_training {

// The last batch of an epoch has 6 samples.
inline constexpr int kSide = 8, kClasses = 4, kSamples = 22, kBatch = 8;

struct Setting {
  std::string name;
  std::string model;  // keys of [model]
  std::string method = "plcr";
  int strong = 1;
  std::string more = "";
};

inline RunConfig config_of(const Setting& setting, BatchNormScope scope) {
  const std::string text = fmt::format(
      "[data]\ndataset = safetensors\npath = none\n[model]\n{}[views]\nstrong = {}\n[optimiser]\nbatch = "
      "{}\nlr = 0.05\n"
      "weight_decay = 1e-3\n[objective]\nmethod = {}\n[parallel]\nbatch_norm = {}\n{}",
      setting.model, setting.strong, kBatch, setting.method, to_string(scope), setting.more);
  return parse_config(text, setting.name, {});
}

inline DataSet drawn_data(int channels) {
  DataSet data;
  data.classes = kClasses;
  data.kind = "safetensors";
  data.train.count = kSamples;
  data.train.height = data.train.width = kSide;
  data.train.channels = channels;
  PhiloxStream draw(5, Purpose::split, 0, 0, 0);
  data.train.pixels.resize(static_cast<std::size_t>(data.train.count * data.train.image_bytes()));
  for (std::uint8_t& pixel : data.train.pixels) pixel = static_cast<std::uint8_t>(draw.next() >> 24);
  for (int i = 0; i < kSamples; ++i) data.train.labels.push_back(i % kClasses);
  return data;
}

struct Trained {
  std::vector<double> losses;  // of each step
  std::vector<float> targets, parameters, buffers;
  double samples = 0;  // that an epoch's sums count
};

// `steps` steps, epoch by epoch, with `ranks` or, null, alone.
inline Trained train(Backend& backend, const RunConfig& config, Ranks* ranks, int steps = 10) {
  const DataSet data = drawn_data(config.model.architecture == Architecture::lenet ? 1 : 3);
  CandidateSets candidates(kSamples, kClasses);
  for (int i = 0; i < kSamples; ++i) {
    candidates.insert(i, i % kClasses);
    if (i % 5 != 0) candidates.insert(i, (i + 1 + i / kClasses) % kClasses);
  }
  const InputShape input{kSide, kSide, static_cast<int>(data.train.channels), kClasses};
  const auto network = make_network(backend, config, input);
  const ViewSetup views = resolve_views(config, kSide, kSide, input.channels);
  TrainingStep step(backend, *network, config, views, data, candidates, ranks);
  const Buffer arena = backend.allocate(step.arena_bytes(), "the activations");
  step.attach(arena.data());
  network->state().initialise(1);
  Trained trained;
  StepPlan plan{.learning_rate = 0.05F};
  for (int done = 0; done < steps;) {
    const auto epoch = static_cast<int>(done / step.steps_per_epoch());
    std::vector<std::int32_t> order;
    for (int i = 0; i < kSamples; ++i) order.push_back((i * 5 + epoch) % kSamples);
    step.set_order(order);
    step.set_total_metrics({});
    plan.scalars[0] = 0.25F * static_cast<float>(epoch);
    step.begin_epoch(epoch, 0, std::vector<StepPlan>(static_cast<std::size_t>(step.steps_per_epoch()), plan));
    std::int64_t of_epoch = 0;
    for (; of_epoch < step.steps_per_epoch() && done < steps; ++of_epoch, ++done) {
      step.enqueue();
      const ObjectiveMetrics metrics = step.last_metrics();
      trained.losses.push_back(metrics.total / metrics.samples);
    }
    step.gather(of_epoch);
    trained.samples = step.total_metrics().samples;
  }
  trained.targets = step.targets();
  const ModelState& state = network->state();
  for (int i = 0; i < state.parameters(); ++i) {
    for (const float x : state.read(ModelState::Array::value, i)) trained.parameters.push_back(x);
  }
  for (int i = 0; i < state.buffers(); ++i) {
    for (const float x : state.read_buffer(i)) trained.buffers.push_back(x);
  }
  return trained;
}

// What each rank has at the end.
inline std::vector<Trained> train_shared(const std::function<std::unique_ptr<Backend>()>& make,
                                         const RunConfig& config, int count, int steps = 10) {
  std::vector<Trained> results(static_cast<std::size_t>(count));
  run_ranks(count, [&](Ranks& ranks) {
    const auto backend = make();
    results[static_cast<std::size_t>(ranks.rank())] = train(*backend, config, &ranks, steps);
  });
  return results;
}

template <typename T>
double largest_difference(const std::vector<T>& a, const std::vector<T>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double apart = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(apart <= largest)) largest = apart;  // a NaN stays
  }
  return largest;
}

inline const std::string kWide = "architecture = wide_resnet\ndepth = 10\nwidth = 1\n";

inline const std::vector<Setting> kSettings = {
    {"wrn-10-1", kWide},
    {"wrn-10-1, dropout, one view", kWide + "dropout = 0.3\n", "proden", 0},
    {"wrn-10-1, average", kWide, "proden", 0, "[optimiser]\nema = 0.9\n"},
    {"resnet-8", "architecture = resnet\ndepth = 8\nchannels = 4\n"},
    {"lenet", "architecture = lenet\n"},
    {"mlp", "architecture = mlp\nhidden = 12\n", "proden", 1},
    {"mlp, sums over the batch", "architecture = mlp\nhidden = 12\n", "nn", 0},
    {"mlp, a balance over the batch", "architecture = mlp\nhidden = 12\n", "ill", 1,
     "[ill]\nbalance = 0.5\n"},
    {"mlp, rows that are kept", "architecture = mlp\nhidden = 12\n", "lws", 0,
     "[objective]\nupdate = after\n"},
    {"mlp, a teacher", "architecture = mlp\nhidden = 12\n", "dirk", 0}};

}  // namespace dpll::test::shared_training
