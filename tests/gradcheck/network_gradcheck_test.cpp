// Whole networks in float64: the gradient along random directions against central differences. The loss is
// the inner product of the logits of all views with a random cotangent, batch-norm statistics per view
// included.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "dpll/core/philox.h"
#include "support/doctest.h"
#include "support/tiny_network.h"

using namespace dpll;

namespace {

double normal_like(
    PhiloxStream& draw) {  // variance 1, bounded: a sum of uniforms keeps kinks away from extremes
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += draw.next_float();
  return sum - 6;
}

void check_network(const RunConfig::Model& model, const InputShape& input, int views, int batch,
                   std::uint32_t seed) {
  test::TinyNetwork net(make_reference_backend(), model, input, {Mode::train, views, batch});
  ModelState& state = net.network->state();
  state.initialise(seed);
  PhiloxStream draw(seed, Purpose::split, 1, 2, 3);
  // Batch-norm scales and biases away from 1 and 0, so that their gradients are told apart.
  for (int i = 0; i < state.parameters(); ++i) {
    if (state.spec(i).dims.size() != 1) continue;
    double* values = state.value(ParameterId{i}).as<double>();
    for (std::int64_t j = 0; j < state.spec(i).dims[0]; ++j) values[j] += 0.2 * normal_like(draw);
  }
  const Tensor& images = net.program->images();
  const auto fill_images = [&] {
    PhiloxStream pixels(seed, Purpose::split, 7, 7, 7);
    for (std::int64_t i = 0; i < images.elements(); ++i) images.as<double>()[i] = normal_like(pixels);
  };
  std::vector<double> cotangent(static_cast<std::size_t>(net.program->logits().elements()));
  for (double& c : cotangent) c = normal_like(draw);

  const auto loss = [&] {
    fill_images();
    net.program->forward(net.rows);
    double sum = 0;
    for (std::size_t i = 0; i < cotangent.size(); ++i)
      sum += cotangent[i] * net.program->logits().as<double>()[i];
    return sum;
  };

  loss();
  std::copy(cotangent.begin(), cotangent.end(), net.program->d_logits().as<double>());
  net.program->backward(net.rows);
  std::vector<std::vector<double>> gradients;
  for (int i = 0; i < state.parameters(); ++i) {
    const Tensor tensor = state.gradient(i);
    gradients.emplace_back(tensor.as<double>(), tensor.as<double>() + tensor.elements());
  }

  // Truncation O(h^2), rounding O(1e-16 / h), a kink crossed within h changes a derivative by O(h): 1e-5
  // covers them.
  constexpr double kStep = 1e-6, kTolerance = 1e-5;
  for (int i = 0; i < state.parameters(); ++i) {
    CAPTURE(state.spec(i).name);
    const Tensor value = state.value(ParameterId{i});
    const auto n = static_cast<std::size_t>(value.elements());
    const std::vector<double>& gradient = gradients[static_cast<std::size_t>(i)];
    const std::vector<double> saved(value.as<double>(), value.as<double>() + n);
    std::vector<double> direction(n);
    double analytic = 0, norm = 0;
    for (std::size_t j = 0; j < n; ++j) {
      direction[j] = normal_like(draw);
      norm += direction[j] * direction[j];
    }
    norm = std::sqrt(norm);
    for (std::size_t j = 0; j < n; ++j) {
      direction[j] /= norm;
      analytic += direction[j] * gradient[j];
    }
    const auto moved = [&](double step) {
      for (std::size_t j = 0; j < n; ++j) value.as<double>()[j] = saved[j] + step * direction[j];
      return loss();
    };
    const double numeric = (moved(kStep) - moved(-kStep)) / (2 * kStep);
    std::copy(saved.begin(), saved.end(), value.as<double>());
    double scale = 0;
    for (std::size_t j = 0; j < n; ++j) scale += gradient[j] * gradient[j];
    CAPTURE(numeric);
    CAPTURE(analytic);
    CHECK(std::isfinite(analytic));
    CHECK(std::abs(numeric - analytic) <= kTolerance * (1e-2 + std::sqrt(scale)));
  }
}

}  // namespace

TEST_CASE("gradient of a tiny WideResNet, three views, float64") {
  check_network(test::tiny_wide_resnet(), {8, 8, 3, 5}, 3, 3, 11);
}

TEST_CASE("gradient of a tiny WideResNet with dropout and a projection in every group, float64") {
  RunConfig::Model model = test::tiny_wide_resnet(0.3);
  model.width = 2;
  check_network(model, {6, 6, 1, 3}, 2, 2, 12);
}

TEST_CASE("gradient of a deeper WideResNet with identity blocks, float64") {
  RunConfig::Model model = test::tiny_wide_resnet();
  model.depth = 16;
  check_network(model, {8, 8, 1, 3}, 2, 2, 13);
}

TEST_CASE("gradient of LeNet, float64") {
  check_network(test::tiny_lenet(), {8, 8, 1, 4}, 2, 3, 14);
}

TEST_CASE("gradient of a perceptron on features, on images and without hidden layers, float64") {
  check_network(test::tiny_mlp({7, 4}), {1, 1, 9, 4}, 3, 4, 15);
  check_network(test::tiny_mlp({6}), {3, 2, 3, 4}, 2, 5, 16);
  check_network(test::tiny_mlp({}), {1, 1, 5, 3}, 2, 4, 17);
}

TEST_CASE("gradient of residual networks with projections and with padded identities, float64") {
  check_network(test::tiny_resnet(ShortcutKind::projection), {8, 8, 3, 4}, 2, 3, 18);
  check_network(test::tiny_resnet(ShortcutKind::identity, 14), {7, 5, 1, 3}, 2, 3, 19);
}

TEST_CASE("gradient of ResNet-18 and PreAct ResNet-18, float64") {
  check_network(test::tiny_resnet18(Architecture::resnet18), {16, 12, 3, 3}, 2, 2, 20);
  check_network(test::tiny_resnet18(Architecture::preact_resnet18), {16, 12, 3, 3}, 2, 2, 21);
}

TEST_CASE("gradient of a perceptron without batch norm, float64") {
  RunConfig::Model model = test::tiny_mlp({7, 4});
  model.batch_norm = false;
  check_network(model, {1, 1, 9, 4}, 3, 4, 22);
}
