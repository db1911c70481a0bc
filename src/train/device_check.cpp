#include "train/device_check.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "check/operation_check.h"
#include "dpll/views.h"
#include "train/initial_weights.h"
#include "train/make_candidates.h"
#include "train/schedule.h"
#include "train/training_step.h"
#include "train/whole_step.h"

namespace dpll {
namespace {

// One of the two sides.
struct Side {
  std::unique_ptr<Backend> owned;
  ObservedBackend backend;
  std::unique_ptr<Network> network;
  std::unique_ptr<TrainingStep> step;
  Buffer arena;

  Side(std::unique_ptr<Backend> backend_, const RunConfig& config, const ViewSetup& views,
       const DataSet& data, const CandidateSets& candidates)
      : owned(std::move(backend_)), backend(*owned) {
    const ImageSet& images = data.train;
    network = make_network(backend, config.model,
                           {static_cast<int>(images.height), static_cast<int>(images.width),
                            static_cast<int>(images.channels), data.classes},
                           config.optimiser.ema > 0);
    step = std::make_unique<TrainingStep>(backend, *network, config, views, data, candidates);
    arena = backend.allocate(step->arena_bytes(), "the activations");
    step->attach(arena.data());
    set_initial_weights(network->state(), config, [](const std::string&) {});
  }

  void run(const std::string& phase) {
    for (const auto& [name, action] : step->phases()) {
      if (name == phase) action();
    }
    backend.synchronize();
  }
  bool finite_gradients() const {
    for (int i = 0; i < network->state().parameters(); ++i) {
      const std::vector<float> values = network->state().read(ModelState::Array::gradient, i);
      if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) return false;
    }
    return true;
  }
};

class DeviceCheck {
 public:
  DeviceCheck(Side& cpu, Side& other, Precision precision)
      : cpu_(cpu),
        other_(other),
        operations_(*other.owned, *cpu.owned, precision, other.network->state().update_call(), layers_),
        whole_({*cpu.owned, *cpu.network, *cpu.step}, {*other.owned, *other.network, *other.step}) {}

  // The other side goes on with what it has; the CPU begins where it is.
  void run_step(int index, const std::vector<StepPlan>& plans) {
    operations_.begin_step(index);
    whole_.begin_step(index);
    for (int i = 0; i < cpu_.network->state().parameters(); ++i) {
      for (const auto array : {ModelState::Array::value, ModelState::Array::velocity}) {
        cpu_.network->state().write(array, i, other_.network->state().read(array, i));
      }
    }
    const std::vector<float> targets = other_.step->targets();
    cpu_.step->set_targets(targets);
    for (Side* side : {&cpu_, &other_}) side->step->begin_epoch(0, index, plans);
    if (other_.backend.compute_dtype() == DType::f16) find_loss_scale(targets);

    run("augment");
    whole_.compare_views();
    run("forward");
    whole_.compare_forward();
    run("objective");
    whole_.compare_objective();
    run("backward");
    run("update");
    whole_.compare_parameters();
  }

  const std::vector<check::Finding>& findings() const { return operations_.findings(); }
  const WholeStep& whole() const { return whole_; }
  int overflows() const { return overflows_; }

 private:
  void run(const std::string& phase) {
    cpu_.run(phase);
    other_.backend.observe([this](const AnyCall& call) { operations_.observe(call); });
    other_.run(phase);
    other_.backend.observe({});
  }

  // In f16 gradients may overflow, which the update answers with half the loss scale. So that the step which
  // is checked is one that training would take, tries it without looking until its gradients are finite.
  void find_loss_scale(const std::vector<float>& targets) {
    for (;;) {
      for (const char* phase : {"augment", "forward", "objective", "backward"}) other_.run(phase);
      other_.step->set_targets(targets);
      const float scale = other_.step->loss_scale();
      if (other_.finite_gradients() || scale <= kLeastLossScale) return;
      ++overflows_;
      other_.step->restore_loss_scale(scale / 2, 0);
    }
  }

  Side &cpu_, &other_;
  check::LayerNames layers_;
  check::OperationCheck operations_;
  WholeStep whole_;
  int overflows_ = 0;
};

// Prints a line for each finding; returns how many are marked.
int print_findings(const std::vector<check::Finding>& findings,
                   const std::function<void(const std::string&)>& print) {
  int marked = 0;
  for (const check::Finding& finding : findings) {
    const check::Outcome& outcome = finding.outcome;
    const bool bad = !(outcome.worst <= 1);
    marked += bad ? 1 : 0;
    const std::string error =
        std::isinf(outcome.worst) ? "beyond any bound" : fmt::format("{:.2g} of the bound", outcome.worst);
    std::string line =
        fmt::format("{} {:>20}  {} {}", bad ? '!' : ' ', error, finding.name, finding.shape.to_string());
    if (bad) {
      line += fmt::format(", step {}{}{}: {:.6g} instead of {:.6g}", finding.step + 1,
                          outcome.where.empty() ? "" : ", ", outcome.where, outcome.got, outcome.want);
    }
    print(line);
  }
  return marked;
}

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
  Side cpu(make_cpu_backend({.threads = run.threads}), config, views, data, candidates);
  Side other(std::move(backend), config, views, data, candidates);
  print(fmt::format("{}; against {}", other.backend.description(), cpu.backend.description()));

  const std::vector<std::int32_t> order =
      sample_order(cpu.step->samples(), config.data.shuffle, config.run.seed, 0);
  cpu.step->set_order(order);
  other.step->set_order(order);
  const std::int64_t steps = cpu.step->steps_per_epoch(), full = data.train.count / config.optimiser.batch;
  DeviceCheck check(cpu, other, run.precision);
  const int count = static_cast<int>(std::min<std::int64_t>(config.run.check_steps, full));
  const std::vector<StepPlan> plans = plans_of_epoch(config, 0, steps);
  for (int i = 0; i < count; ++i) check.run_step(i, plans);

  print(
      fmt::format("largest errors of {} steps, in units of what an operation's arithmetic explains; ! marks "
                  "those above 1",
                  count));
  const int marked = print_findings(check.findings(), print);
  check.whole().print(print);
  if (check.overflows() > 0) {
    print(fmt::format("the loss scale was halved {} times, as gradients overflowed", check.overflows()));
  }
  print(fmt::format("{} of {} results are beyond what their arithmetic explains", marked,
                    check.findings().size()));
  return marked == 0 ? 0 : static_cast<int>(ExitCode::device);
}

}  // namespace dpll
