// Biases in front of a batch norm: in training the mean that it takes away has the bias in it, so that the
// gradient is exactly zero. No backend adds up for it what would be rounding.
#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "backend/host_copy.h"
#include "backend/observed_backend.h"
#include "emulation/emulated_backend.h"
#include "emulation/emulator.h"
#include "model/layers.h"
#include "support/doctest.h"
#include "support/tiny_network.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr InputShape kInput{8, 8, 1, 4};
const std::set<std::string> kBeforeNorm = {"conv.0.bias", "conv.4.bias", "linear.0.bias"};  // of LeNet

std::vector<std::unique_ptr<Backend>> backends() {
  std::vector<std::unique_ptr<Backend>> all;
  all.push_back(make_reference_backend());
  all.push_back(make_cpu_backend({.threads = 2}));
  all.push_back(make_emulated_cuda_backend(DType::f32));
  all.push_back(make_emulated_cuda_backend(DType::f16));
  return all;
}

void fill(Backend& backend, const Tensor& tensor, double scale) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    values.push_back(static_cast<float>(scale * std::sin(0.7 * static_cast<double>(i * i % 1009))));
  }
  write_floats(backend, tensor, values);
}

bool has_bias(const PreactConvSpec& spec) {
  return spec.bias;
}
bool has_bias(const LinearSpec& /*spec*/) {
  return true;
}
int columns_of(const PreactConvSpec& spec) {
  return spec.out_channels;
}
int columns_of(const LinearSpec& spec) {
  return spec.out_features;
}

struct Biases {
  int summed = 0, left_out = 0;
  double largest_rounding = 0;  // of a sum that is left out, relative to the sum of magnitudes
  double launches_saved = 0;    // of a call without the sums, on the emulator
};

// Runs the call; where it has no sums, on a copy of d_bias with them as well.
template <typename Spec, typename Call>
void note(Backend& backend, const OperationCall<Spec, Call>& observed, Biases& biases) {
  const auto launches_of = [&](const Call& call) {
    const std::uint64_t before = emulation::counters().launches;
    observed.run(call);
    return static_cast<double>(emulation::counters().launches - before);
  };
  if constexpr (requires(Call c) { c.d_bias; }) {
    Call summing = observed.call;
    if (has_bias(observed.spec) && !summing.d_bias.defined()) {
      ++biases.left_out;
      const std::int64_t columns = columns_of(observed.spec);
      const Buffer buffer = backend.allocate(static_cast<std::size_t>(columns) * 8, "a test's sums");
      summing.d_bias = buffer.tensor(backend.master_dtype(), {columns});
      const double with = launches_of(summing), without = launches_of(observed.call);
      biases.launches_saved += with - without;
      const std::vector<float> d_y = read_floats(backend, summing.d_y),
                               sums = read_floats(backend, summing.d_bias);
      std::vector<double> magnitudes(sums.size());
      for (std::size_t i = 0; i < d_y.size(); ++i) {
        magnitudes[i % magnitudes.size()] += std::abs(static_cast<double>(d_y[i]));
      }
      for (std::size_t c = 0; c < sums.size(); ++c) {
        if (magnitudes[c] == 0) continue;
        biases.largest_rounding =
            std::max(biases.largest_rounding, std::abs(static_cast<double>(sums[c])) / magnitudes[c]);
      }
      return;
    }
    if (summing.d_bias.defined()) ++biases.summed;
  }
  launches_of(observed.call);
}

// `zero`: the parameters that have no gradient.
Biases biases_of(std::unique_ptr<Backend> inner, const RunConfig::Model& model,
                 const std::set<std::string>& zero) {
  Biases biases;
  auto watched = std::make_unique<ObservedBackend>(*inner);
  ObservedBackend& observed = *watched;
  TinyNetwork net(std::move(watched), model, kInput, {Mode::train, 2, 3});
  ModelState& state = net.network->state();
  state.initialise(5);
  fill(observed, net.program->images(), 1);
  net.program->forward(net.rows);
  fill(observed, net.program->d_logits(), 0.25);
  observed.observe(
      [&](const AnyCall& any) { std::visit([&](const auto& call) { note(*inner, call, biases); }, any); });
  net.program->backward(net.rows);
  observed.observe({});
  for (int i = 0; i < state.parameters(); ++i) {
    const std::vector<float> gradient = state.read(ModelState::Array::gradient, i);
    const bool is_zero = std::all_of(gradient.begin(), gradient.end(), [](float g) { return g == 0; });
    const std::string& name = state.spec(i).name;
    CHECK_MESSAGE(is_zero == (zero.count(name) == 1), inner->description(), ": ", name);
  }
  return biases;
}

}  // namespace

TEST_CASE("biases in front of a batch norm: no backend sums their gradient, which would be rounding") {
  for (std::unique_ptr<Backend>& backend : backends()) {
    const std::string name = backend->description();
    CAPTURE(name);
    // Stored gradients are rounded one by one in 16 bits, and statistics are in float32.
    const double rounding = backend->compute_dtype() == DType::f16 ? 1e-3 : 1e-5;
    const bool emulated = backend->is_gpu();
    const Biases lenet = biases_of(std::move(backend), tiny_lenet(), kBeforeNorm);
    CHECK(lenet.summed == 1);  // of the classifier
    CHECK(lenet.left_out == 3);
    CHECK(lenet.largest_rounding < rounding);
    CHECK(lenet.launches_saved == (emulated ? 3 : 0));
  }
}

TEST_CASE("biases without a batch norm behind them have a gradient") {
  RunConfig::Model plain = tiny_mlp({7, 4});
  plain.batch_norm = false;
  for (std::unique_ptr<Backend>& backend : backends()) {
    const Biases biases = biases_of(std::move(backend), plain, {});
    CHECK(biases.summed == 3);
    CHECK(biases.left_out == 0);
  }
  const std::set<std::string> normalised = {"hidden.0.linear.bias", "hidden.1.linear.bias"};
  CHECK(biases_of(make_cpu_backend({.threads = 2}), tiny_mlp({7, 4}), normalised).summed == 1);
}

TEST_CASE("biases in front of a batch norm and of a layer that reads them as they are have a gradient") {
  const auto backend = make_reference_backend();
  ModelState state;
  LayerList net(*backend, state, {1, 1, 5, 3});
  const auto add = [&](const char* name, int units, Activation x) {
    const ParameterId weight = net.linear_weight(name, units, x),
                      bias = net.bias(name, units, InitRule::zeros);
    return net.add(LinearLayer{.layer = name, .output = name, .x = x, .weight = weight, .bias = bias});
  };
  const Activation x = add("first", 4, LayerList::images());
  net.add(Activate{.layer = "bn", .output = "bn", .x = x, .bn = net.batch_norm("bn", 4)});
  CHECK(net[x].only_normalised());
  add("second", 3, x);
  CHECK(!net[x].only_normalised());
}

// PyTorch's SGD on a gradient of zero. What PyTorch itself computes is off from it by the rounding of its
// sums; tests/golden has its values.
TEST_CASE("biases in front of a batch norm move by weight decay and momentum alone") {
  constexpr double kMomentum = 0.9, kDecay = 0.01, kRate = 0.125;
  TinyNetwork net(make_reference_backend(), tiny_lenet(), kInput, {Mode::train, 2, 3});
  Backend& backend = *net.backend;
  ModelState& state = net.network->state();
  state.initialise(5);
  std::vector<std::vector<double>> wanted, velocities;
  std::vector<int> biases;
  for (int i = 0; i < state.parameters(); ++i) {
    if (kBeforeNorm.count(state.spec(i).name) == 0) continue;
    const Tensor value = state.value({i});
    biases.push_back(i);
    wanted.emplace_back(value.as<double>(), value.as<double>() + value.elements());
    velocities.emplace_back(wanted.back().size());
  }
  REQUIRE(biases.size() == 3);
  const auto update = backend.make_sgd({.elements = state.flat_elements(),
                                        .weights = state.flat_weights(),
                                        .momentum = kMomentum,
                                        .weight_decay = kDecay});
  const Buffer health = backend.allocate(sizeof(UpdateHealth), "a test's health");
  auto* const step = static_cast<StepState*>(net.state_buffer.data());
  *step = {.learning_rate = static_cast<float>(kRate)};
  for (int i = 0; i < 4; ++i) {
    fill(backend, net.program->images(), 1 + i);
    net.program->forward(net.rows);
    fill(backend, net.program->d_logits(), 0.25);
    net.program->backward(net.rows);
    SgdCall call = state.update_call();
    call.health = static_cast<UpdateHealth*>(health.data());
    call.step = step;
    update->run(call);
    for (std::size_t b = 0; b < biases.size(); ++b) {
      for (std::size_t c = 0; c < wanted[b].size(); ++c) {
        velocities[b][c] = kMomentum * velocities[b][c] + kDecay * wanted[b][c];
        wanted[b][c] -= kRate * velocities[b][c];
        const double got = state.value({biases[b]}).as<double>()[c];
        REQUIRE(std::abs(got - wanted[b][c]) <= 1e-15);
      }
    }
  }
}
