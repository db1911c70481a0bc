#include "train/device_check.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "backend/host_copy.h"
#include "dpll/views.h"
#include "train/make_candidates.h"
#include "train/schedule.h"
#include "train/training_step.h"

namespace dpll {
namespace {

// What may differ between float32 on the CPU and the GPU's precision, over a whole step: rounding of one
// layer's output times the few tens of layers that carry it on, and values that another rounding puts on the
// other side of ReLU's kink. With unit roundoff u that is a share of about u of them, so as large a share of
// a gradient's summands is another; their signs being random that is sqrt(u) of the sum (f16 0.02, bf16
// 0.06), and each layer adds its own.
double bound_of(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return 1e-3;
    case Precision::tf32:
    case Precision::f16:
      return 0.25;
    default:
      return 0.7;
  }
}

// One of the two sides.
struct Side {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Network> network;
  std::unique_ptr<TrainingStep> step;
  Buffer arena;

  Side(std::unique_ptr<Backend> backend_, const RunConfig& config, const ViewSetup& views,
       const DataSet& data, const CandidateSets& candidates)
      : backend(std::move(backend_)) {
    const ImageSet& images = data.train;
    network = make_network(*backend, config.model,
                           {static_cast<int>(images.height), static_cast<int>(images.width),
                            static_cast<int>(images.channels), data.classes},
                           config.optimiser.ema > 0);
    step = std::make_unique<TrainingStep>(*backend, *network, config, views, data, candidates);
    arena = backend->allocate(step->arena_bytes(), "the activations");
    step->attach(arena.data());
    network->state().initialise(config.run.seed);
  }
};

// Worst errors by tensor, in the order in which tensors were first seen.
class Errors {
 public:
  void add(const std::string& name, int step, const std::vector<float>& got, const std::vector<float>& want) {
    DPLL_CHECK(got.size() == want.size(), "{} has {} values and {}", name, got.size(), want.size());
    double length = 0, difference = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      const double apart = static_cast<double>(got[i]) - static_cast<double>(want[i]);
      length += static_cast<double>(want[i]) * static_cast<double>(want[i]);
      difference += apart * apart;
    }
    const double relative = difference == 0 ? 0 : length > 0 ? std::sqrt(difference / length) : HUGE_VAL;
    const double error = std::isfinite(relative) ? relative : HUGE_VAL;  // NaN is the largest of errors
    const auto known =
        std::find_if(worst_.begin(), worst_.end(), [&](const Worst& w) { return w.name == name; });
    if (known == worst_.end()) {
      worst_.push_back({name, error, step});
    } else if (error > known->relative) {
      known->relative = error;
      known->step = step;
    }
  }

  struct Worst {
    std::string name;
    double relative;
    int step;
  };
  const std::vector<Worst>& worst() const { return worst_; }

 private:
  std::vector<Worst> worst_;
};

// [rows, channels] of what may have more channels behind.
std::vector<float> leading_channels(const std::vector<float>& values, std::int64_t stored,
                                    std::int64_t channels) {
  if (stored == channels) return values;
  std::vector<float> leading;
  for (std::size_t at = 0; at < values.size(); at += static_cast<std::size_t>(stored)) {
    leading.insert(leading.end(), values.begin() + static_cast<std::ptrdiff_t>(at),
                   values.begin() + static_cast<std::ptrdiff_t>(at) + channels);
  }
  return leading;
}

class Comparison {
 public:
  Comparison(Side& cpu, Side& other) : cpu_(cpu), other_(other) {}

  void compare_step(int index, double learning_rate, double lambda) {
    step_ = index;
    for (int i = 0; i < cpu_.network->state().parameters(); ++i) {
      for (const auto array : {ModelState::Array::value, ModelState::Array::velocity}) {
        other_.network->state().write(array, i, cpu_.network->state().read(array, i));
      }
    }
    const std::vector<float> targets = cpu_.step->targets();
    other_.step->set_targets(targets);
    const std::int64_t steps = cpu_.step->steps_per_epoch();
    const std::vector<double> rates(static_cast<std::size_t>(steps), learning_rate);
    for (Side* side : {&cpu_, &other_}) side->step->begin_epoch(0, index, rates, lambda);

    run("augment");
    compare_images();
    run("forward");
    const Program &ours = cpu_.step->full_program(), &theirs = other_.step->full_program();
    for (std::size_t i = 0; i < ours.activations().size(); ++i) {
      compare("activation " + ours.activations()[i].name, *ours.activations()[i].tensor,
              *theirs.activations()[i].tensor);
    }
    run("objective");
    // Gradients that overflow in f16 are skipped and come again under half the loss scale, as in training.
    float loss_scale = other_.step->loss_scale();
    compare_objective(ours, theirs, loss_scale);
    run("backward");
    run("update");
    while (other_.step->health().nonfinite > 0 && other_.step->health().halted == 0) {
      ++overflows_;
      loss_scale = other_.step->loss_scale();
      other_.step->set_targets(targets);
      for (const char* phase : {"objective", "backward", "update"}) run_on(other_, phase);
    }
    compare_parameters("gradient", ModelState::Array::gradient, loss_scale);
    compare_parameters("updated", ModelState::Array::value, 1);
    for (int i = 0; i < cpu_.network->state().buffers(); ++i) {
      errors_.add(cpu_.network->state().buffer_name(i), step_, other_.network->state().read_buffer(i),
                  cpu_.network->state().read_buffer(i));
    }
  }

  const Errors& errors() const { return errors_; }
  int overflows() const { return overflows_; }

 private:
  void run(const std::string& phase) {
    for (Side* side : {&cpu_, &other_}) run_on(*side, phase);
  }
  static void run_on(Side& side, const std::string& phase) {
    for (const auto& [name, action] : side.step->phases()) {
      if (name == phase) action();
    }
    side.backend->synchronize();
  }

  void compare(const std::string& name, const Tensor& ours, const Tensor& theirs) {
    errors_.add(name, step_, read_floats(*other_.backend, theirs), read_floats(*cpu_.backend, ours));
  }

  void compare_images() {
    const Tensor &ours = cpu_.step->full_program().images(), &theirs = other_.step->full_program().images();
    errors_.add("images", step_,
                leading_channels(read_floats(*other_.backend, theirs), theirs.shape[3], ours.shape[3]),
                read_floats(*cpu_.backend, ours));
  }

  void compare_objective(const Program& ours, const Program& theirs, float loss_scale) {
    const ObjectiveMetrics mine = cpu_.step->last_metrics(), yours = other_.step->last_metrics();
    const auto losses = [](const ObjectiveMetrics& m) {
      return std::vector<float>{static_cast<float>(m.total), static_cast<float>(m.supervised),
                                static_cast<float>(m.consistency)};
    };
    errors_.add("losses", step_, losses(yours), losses(mine));
    std::vector<float> d_logits = read_floats(*other_.backend, theirs.d_logits());
    unscale(d_logits, loss_scale);
    errors_.add("gradient of the logits", step_, d_logits, read_floats(*cpu_.backend, ours.d_logits()));
    errors_.add("targets", step_, other_.step->targets(), cpu_.step->targets());
  }

  void compare_parameters(const std::string& what, ModelState::Array array, float scale) {
    const ModelState& state = cpu_.network->state();
    for (int i = 0; i < state.parameters(); ++i) {
      std::vector<float> theirs = other_.network->state().read(array, i);
      unscale(theirs, scale);
      errors_.add(what + " " + state.spec(i).name, step_, theirs, state.read(array, i));
    }
  }

  static void unscale(std::vector<float>& values, float scale) {
    for (float& value : values) value /= scale;
  }

  Side &cpu_, &other_;
  Errors errors_;
  int step_ = 0, overflows_ = 0;
};

}  // namespace

int check_devices(const RunConfig& config, const BackendMaker& maker,
                  const std::function<void(const std::string&)>& print) {
  RunConfig::Run run = config.run;
  std::unique_ptr<Backend> backend = maker(
      run, [&](const std::string& text) { print("warning: " + text); },
      "");  // before the data: a missing GPU is said at once
  const DataSet data = load_data(config);
  for (const std::string& warning : data.warnings) print("warning: " + warning);
  const CandidateSets candidates = make_candidates(config, data, print);
  const ViewSetup views =
      resolve_views(config, static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                    static_cast<int>(data.train.channels));
  const Precision precision = backend->compute_dtype() == DType::f16    ? Precision::f16
                              : backend->compute_dtype() == DType::bf16 ? Precision::bf16
                              : run.precision == Precision::tf32        ? Precision::tf32
                                                                        : Precision::f32;
  Side cpu(make_cpu_backend({.threads = run.threads}), config, views, data, candidates);
  Side other(std::move(backend), config, views, data, candidates);
  print(fmt::format("{}; against {}", other.backend->description(), cpu.backend->description()));

  const std::vector<std::int32_t> order =
      sample_order(cpu.step->samples(), config.data.shuffle, config.run.seed, 0);
  cpu.step->set_order(order);
  other.step->set_order(order);
  const std::int64_t steps = cpu.step->steps_per_epoch(), full = data.train.count / config.optimiser.batch;
  Comparison comparison(cpu, other);
  const int count = static_cast<int>(std::min<std::int64_t>(config.run.check_steps, full));
  for (int i = 0; i < count; ++i) {
    comparison.compare_step(i, learning_rate(config, 0, i, steps), consistency_weight(config.objective, 0));
  }

  const double bound = bound_of(precision);
  int marked = 0;
  print(fmt::format("largest relative error of {} steps; ! marks those above {:g}", count, bound));
  for (const Errors::Worst& worst : comparison.errors().worst()) {
    const bool bad = !(worst.relative <= bound);
    marked += bad ? 1 : 0;
    print(fmt::format("{} {:9.2e}  step {:<4} {}", bad ? '!' : ' ', worst.relative, worst.step + 1,
                      worst.name));
  }
  if (comparison.overflows() > 0) {
    print(fmt::format("gradients overflowed {} times and came again under a smaller loss scale",
                      comparison.overflows()));
  }
  print(fmt::format("{} of {} tensors are above {:g}", marked, comparison.errors().worst().size(), bound));
  return marked == 0 ? 0 : static_cast<int>(ExitCode::device);
}

}  // namespace dpll
