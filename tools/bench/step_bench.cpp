#include "bench/step_bench.h"

#include <algorithm>
#include <cstdio>

#include "bench/timing.h"
#include "dpll/core/philox.h"
#include "dpll/core/trace.h"
#include "train/devices.h"
#include "train/schedule.h"

namespace dpll::bench {

RunConfig config_of_model(const std::string& model, const std::string& option) {
  RunConfig config;
  int depth = 0, width = 0, end = 0;
  if (model == "lenet") {
    config.model.architecture = Architecture::lenet;
    config.data.dataset = "fashion_mnist";
    return config;
  }
  if (model == "resnet18" || model == "preact_resnet18") {
    config.model.architecture = model == "resnet18" ? Architecture::resnet18 : Architecture::preact_resnet18;
    return config;
  }
  if (std::sscanf(model.c_str(), "resnet-%d%n", &depth, &end) == 1 && end == static_cast<int>(model.size())) {
    if (depth < 8 || (depth - 2) % 6 != 0) fail(ExitCode::usage, "{} {}: depth is not 6n + 2", option, model);
    config.model.architecture = Architecture::resnet;
    config.model.depth = depth;
    return config;
  }
  if (std::sscanf(model.c_str(), "wrn-%d-%d%n", &depth, &width, &end) != 2 ||
      end != static_cast<int>(model.size()) || width <= 0)
    fail(ExitCode::usage, "{} {}: expected lenet, resnet18, preact_resnet18, resnet-DEPTH or wrn-DEPTH-WIDTH",
         option, model);
  if (depth < 10 || (depth - 4) % 6 != 0) fail(ExitCode::usage, "{} {}: depth is not 6n + 4", option, model);
  config.model.depth = depth;
  config.model.width = width;
  return config;
}

DataSet noise_data(const RunConfig& config, std::int64_t samples, int classes, std::int64_t test_samples) {
  const bool grey = config.model.architecture == Architecture::lenet;
  DataSet data;
  data.kind = config.data.dataset;
  data.classes = classes;
  ImageSet& train = data.train;
  train.count = samples;
  train.height = train.width = grey ? 28 : 32;
  train.channels = grey ? 1 : 3;
  PhiloxStream draw(1, Purpose::split, 0, 0, 0);
  train.pixels.resize(static_cast<std::size_t>(train.count * train.image_bytes()));
  for (std::uint8_t& pixel : train.pixels) pixel = static_cast<std::uint8_t>(draw.next() >> 24);
  for (std::int64_t i = 0; i < train.count; ++i) {
    train.labels.push_back(static_cast<std::int32_t>(i % classes));
    data.train_origin.push_back(i);
  }
  data.test = train;
  data.test.count = std::min(test_samples, samples);
  data.test.labels.resize(static_cast<std::size_t>(data.test.count));
  data.test.pixels.resize(static_cast<std::size_t>(data.test.count * train.image_bytes()));
  return data;
}

StepBench::StepBench(const RunConfig& config, const DataSet& data, const CandidateSets& candidates,
                     bool allocate)
    : made_(make_backend(config.run)),
      backend_(*made_),
      views_(resolve_views(config, static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                           static_cast<int>(data.train.channels))),
      network_(make_network(backend_, config,
                            {static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                             static_cast<int>(data.train.channels), data.classes})),
      step_(backend_, *network_, config, views_, data, candidates),
      full_steps_(step_.samples() / config.optimiser.batch) {
  arena_bytes_ = step_.arena_bytes();
  if (data.test.count > 0) {
    test_.emplace(backend_, *network_, views_, data.test, config.evaluation.batch);
    arena_bytes_ = std::max(arena_bytes_, test_->arena_bytes());
  }
  other_bytes_ = backend_.peak_bytes();
  if (!allocate) return;
  arena_ = backend_.allocate(arena_bytes_, "the activations");
  step_.attach(arena_.data());
  if (test_) test_->attach(arena_.data());
  network_->state().initialise(config.run.seed);
  step_.set_order(sample_order(step_.samples(), config.data.shuffle, config.run.seed, 0));
  begin_epoch();
}

std::vector<double> StepBench::time_steps(int count) {
  const int chunk = backend_.is_asynchronous() ? 10 : 1;
  std::vector<double> times;
  while (static_cast<int>(times.size()) < count) {
    const auto steps = static_cast<int>(std::min<std::int64_t>(chunk, full_steps_));
    if (next_ + steps > full_steps_) begin_epoch();
    const double seconds = wall_seconds_of(backend_, [&] {
      for (int i = 0; i < steps; ++i) step_.enqueue();
      step_.request_records();
      step_.collect_records();
    });
    next_ += steps;
    times.insert(times.end(), static_cast<std::size_t>(steps), seconds / steps);
  }
  return times;
}

double StepBench::profile_steps(int count) {
  double seconds = 0;
  begin_epoch();
  for (int i = 0; i < count; ++i) {
    if (next_ >= full_steps_) begin_epoch();
    seconds += wall_seconds_of(backend_, [&] {
      const trace::Range range("step");
      if (!backend_.is_asynchronous()) {
        step_.enqueue();
        step_.request_records();
        step_.collect_records();
        ++next_;
      } else {
        for (const auto& [name, phase] : step_.phases()) phase();
      }
    });
  }
  return seconds;
}

std::map<std::string, Work> StepBench::count_work() {
  std::map<std::string, Work> work;
  begin_epoch();  // behind its last step there are no rows to work on
  for (const auto& [name, phase] : step_.phases()) {
    backend_.observe(shown_to([&, at = name](const ObservedCall& call) { work[at] += call.work; }));
    phase();
  }
  backend_.observe({});
  // Of what the network asks for, however many channels the backend stores.
  const double images = double(step_.full_program().spec().views) * step_.full_program().spec().batch;
  work["forward"].operations = 2 * network_->forward_macs() * images;
  work["backward"].operations = 2 * network_->backward_macs() * images;
  return work;
}

void StepBench::begin_epoch() {
  const auto steps = step_.steps_per_epoch();
  const StepPlan plan{.learning_rate = 0.01F, .scalars = {1}};
  step_.begin_epoch(0, 0, std::vector<StepPlan>(static_cast<std::size_t>(steps), plan));
  next_ = 0;
}

}  // namespace dpll::bench
