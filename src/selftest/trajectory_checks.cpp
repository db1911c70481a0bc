// Ten training steps of tiny networks against PyTorch in float64.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "dpll/candidates.h"
#include "dpll/model/network.h"
#include "selftest/golden_checks.h"
#include "selftest/pattern.h"
#include "selftest/temp_folder.h"

namespace dpll::selftest {
namespace {

// Loads the network's values from a file, as for a user.
void load_initial_values(ModelState& state) {
  SafetensorsWriter writer;
  for (int i = 0; i < state.parameters(); ++i) {
    const ParameterSpec& spec = state.spec(i);
    writer.add(spec.name, DType::f32, spec.dims, initial_value(spec.name, spec.dims).data());
  }
  for (int i = 0; i < state.buffers(); ++i) {
    const std::string& name = state.buffer_name(i);
    const std::vector<std::int64_t> dims{static_cast<std::int64_t>(state.read_buffer(i).size())};
    writer.add(name, DType::f32, dims, initial_value(name, dims).data());
    const std::string layer = name.substr(0, name.rfind('.'));
    const std::int64_t tracked = 0;
    if (name.ends_with("running_mean")) writer.add(layer + ".num_batches_tracked", DType::i64, {}, &tracked);
  }
  const TempFolder folder;
  writer.write(folder.file("init.safetensors"));
  const SafetensorsFile file = SafetensorsFile::read(folder.file("init.safetensors"));
  state.load(file, ModelState::Array::value, "");
  state.load_buffers(file, "");
  state.refuse_unknown(file, "");
}

// The keys of [model] that the case names; without them a WRN-10-1 or LeNet.
RunConfig::Model model_of(const GoldenCase& c) {
  RunConfig::Model model;
  const auto keys = c.value<nlohmann::json>("model", nlohmann::json{});
  if (keys.is_null()) {
    model.depth = 10;
    model.width = 1;
    if (c.value<std::string>("network") == "lenet") model.architecture = Architecture::lenet;
    return model;
  }
  std::string text = "[model]\n";
  for (const auto& [key, value] : keys.items()) {
    std::string word = value.is_string() ? value.get<std::string>() : value.dump();
    std::erase_if(word, [](char letter) { return letter == '[' || letter == ']'; });
    text += fmt::format("{} = {}\n", key, word);
  }
  return parse_config(text, c.name(), {}).model;
}

class Trajectory {
 public:
  Trajectory(Backend& backend, GoldenCase& c)
      : backend_(backend),
        case_(c),
        classes_(c.value<int>("classes")),
        samples_(c.value<int>("samples")),
        views_(c.value<int>("views")),
        side_(c.value<int>("size")),
        channels_(c.value<int>("channels")),
        lambdas_(c.value<std::vector<float>>("lambdas")),
        rates_(c.value<std::vector<float>>("learning_rates")),
        order_(c.file().get<std::int32_t>(c.name() + "/order")),
        images_(pattern(c.name() + "/images", std::int64_t{views_} * samples_ * side_ * side_ * channels_)) {
    network_ = make_network(backend, model_of(c), {side_, side_, channels_, classes_}, false);
    load_initial_values(network_->state());
    sgd_ = backend.make_sgd({.elements = network_->state().flat_elements(),
                             .weights = network_->state().flat_weights(),
                             .momentum = c.value<double>("momentum"),
                             .weight_decay = c.value<double>("weight_decay"),
                             .nesterov = c.value<bool>("nesterov")});

    const std::vector<std::uint8_t> mask = c.file().get<std::uint8_t>(c.name() + "/mask");
    CandidateSets sets(samples_, classes_);
    HostTensor targets({samples_, classes_});
    for (std::int64_t i = 0; i < samples_; ++i) {
      const auto row = mask.begin() + i * classes_;
      const auto size = static_cast<double>(std::count(row, row + classes_, 1));
      for (int j = 0; j < classes_; ++j) {
        if (row[j] == 0) continue;
        sets.insert(i, j);
        targets[i * classes_ + j] = 1 / size;
      }
    }
    targets_ = c.put(targets, backend.master_dtype());
    candidates_ = {c.memory(sets.words.size() * 8), DType::u64, {samples_, std::int64_t{sets.words_per_row}}};
    backend.copy_in(candidates_, sets.words.data());
    last_ = static_cast<ObjectiveMetrics*>(c.memory(sizeof(ObjectiveMetrics)));
    total_ = static_cast<ObjectiveMetrics*>(c.memory(sizeof(ObjectiveMetrics)));
    health_ = static_cast<UpdateHealth*>(c.memory(sizeof(UpdateHealth)));
  }

  // Per step: total, supervised and consistency loss, means over the batch.
  HostTensor train() {
    const int steps = case_.value<int>("steps"), batch = case_.value<int>("batch");
    HostTensor losses({steps, 3});
    std::int64_t first = 0, epoch = 0;
    for (int step = 0; step < steps; ++step) {
      const std::int64_t size = std::min<std::int64_t>(batch, samples_ - first);
      run_step(epoch, first, static_cast<int>(size));
      const HostTensor metrics = case_.take({last_, DType::f64, {kObjectiveMetricsFields}});
      for (std::int64_t i = 0; i < 3; ++i) losses[step * 3 + i] = metrics[1 + i] / static_cast<double>(size);
      first += size;
      if (first == samples_) {
        first = 0;
        ++epoch;
      }
    }
    return losses;
  }

  // Logits of the first samples' weak views in evaluation mode.
  HostTensor evaluate(int count) {
    const auto program = place({Mode::eval, 1, count});
    fill_images(*program, 0, 0, count, {});
    program->forward({.step = case_.put_step({}), .order = {}});
    return case_.take(program->logits());
  }

  Tensor targets() const { return targets_; }
  const ModelState& state() const { return network_->state(); }

 private:
  struct Step {
    std::unique_ptr<Program> program;
    std::unique_ptr<PllObjective> objective;
    void* objective_workspace = nullptr;
  };

  std::unique_ptr<Program> place(const ProgramSpec& spec) {
    std::unique_ptr<Program> program = network_->make_program(spec);
    program->plan().bind(case_.memory(program->plan().solve()));
    return program;
  }

  Step& step_of(int batch) {
    Step& step = steps_[batch];
    if (step.program == nullptr) {
      step.program = place({Mode::train, views_, batch});
      step.objective = backend_.make_pll_objective(
          {.views = views_,
           .batch = batch,
           .classes = classes_,
           .method = Plcr{.variant = case_.value<std::string>("variant") == "article"
                                         ? ObjectiveVariant::article
                                         : ObjectiveVariant::published}});
      step.objective_workspace = case_.memory(step.objective->workspace_bytes());
    }
    return step;
  }

  // Rows of sample order[epoch][first + r], or sample first + r without an order.
  void fill_images(const Program& program, std::int64_t epoch, std::int64_t first, int batch,
                   const std::vector<std::int32_t>& order) {
    const std::int64_t pixels = std::int64_t{side_} * side_, stored = program.images().shape[3];
    HostTensor input(program.images().shape);
    for (int v = 0; v < program.spec().views; ++v) {
      for (std::int64_t r = 0; r < batch; ++r) {
        const std::int64_t position = epoch * samples_ + first + r;
        const std::int64_t sample = order.empty() ? first + r : order[static_cast<std::size_t>(position)];
        for (std::int64_t p = 0; p < pixels * channels_; ++p) {
          const std::int64_t from = (v * samples_ + sample) * pixels * channels_ + p;
          const std::int64_t to = ((v * batch + r) * pixels + p / channels_) * stored + p % channels_;
          input[to] = 2 * images_[static_cast<std::size_t>(from)];
        }
      }
    }
    case_.fill(program.images(), input);
  }

  void run_step(std::int64_t epoch, std::int64_t first, int batch) {
    Step& step = step_of(batch);
    const auto e = static_cast<std::size_t>(epoch);
    const auto begin = order_.begin() + epoch * samples_;
    StepState* const step_state = case_.put_step({.epoch = static_cast<std::uint32_t>(epoch),
                                                  .first = static_cast<std::uint32_t>(first),
                                                  .learning_rate = rates_[e],
                                                  .scalars = {lambdas_[e]}});
    const BatchRows rows{.step = step_state, .order = case_.put_int32({begin, begin + samples_})};
    fill_images(*step.program, epoch, first, batch, order_);
    step.program->forward(rows);
    step.objective->run({.d_logits = step.program->d_logits(),
                         .targets = targets_,
                         .last = last_,
                         .total = total_,
                         .logits = step.program->logits(),
                         .candidates = candidates_,
                         .rows = rows,
                         .workspace = step.objective_workspace});
    step.program->backward(rows);
    SgdCall update = network_->state().update_call();
    update.health = health_;
    update.step = step_state;
    sgd_->run(update);
  }

  Backend& backend_;
  GoldenCase& case_;
  int classes_;
  std::int64_t samples_;
  int views_, side_, channels_;
  std::vector<float> lambdas_, rates_;  // per epoch
  std::vector<std::int32_t> order_;     // [epochs, samples]
  std::vector<double> images_;          // [V, samples, H, W, C], half the value
  std::unique_ptr<Network> network_;
  std::unique_ptr<Sgd> sgd_;
  std::map<int, Step> steps_;  // by batch size
  Tensor targets_, candidates_;
  ObjectiveMetrics* last_ = nullptr;
  ObjectiveMetrics* total_ = nullptr;
  UpdateHealth* health_ = nullptr;
};

void check_results(Backend& backend, GoldenCase& c, Trajectory& trajectory) {
  c.set_coarsest(backend.product_dtype());
  c.check("losses", trajectory.train());
  c.check("targets", trajectory.targets());
  c.check("logits", trajectory.evaluate(static_cast<int>(c.stored("logits").shape[0])));
}

}  // namespace

void check_trajectory(Backend& backend, GoldenCase& c) {
  Trajectory trajectory(backend, c);
  check_results(backend, c, trajectory);
  const ModelState& state = trajectory.state();
  for (int i = 0; i < state.parameters(); ++i) {
    c.check_probe(state.spec(i).name, state.read(ModelState::Array::value, i));
  }
  for (int i = 0; i < state.buffers(); ++i) c.check_probe(state.buffer_name(i), state.read_buffer(i));
}

void check_trajectory_results(Backend& backend, GoldenCase& c) {
  Trajectory trajectory(backend, c);
  check_results(backend, c, trajectory);
}

HostTensor trajectory_losses(Backend& backend, GoldenCase& c) {
  return Trajectory(backend, c).train();
}

}  // namespace dpll::selftest
