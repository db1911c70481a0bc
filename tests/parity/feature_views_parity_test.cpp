// feature_views on the CPU and in CUDA against the reference backend, and the distribution of what it draws.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("feature_views: the backends agree with the reference") {
  for (const FeatureViewsCase& c : small_feature_views_cases()) {
    for (const std::uint64_t seed : {1201, 1202}) {
      const Tensors inputs = feature_views_inputs(c, seed);
      const auto run = [&](Backend& backend) { return run_feature_views(backend, c, inputs); };
      const Tolerances t = feature_views_tolerances();
      check_cpu_parity(fmt::format("feature_views {}", c.name), seed, {}, run, t);
      check_cuda_parity(fmt::format("feature_views {}", c.name), seed, run, t);
    }
  }
}

TEST_CASE("feature_views: the CUDA backend agrees with the reference in 16 bits") {
  for (const FeatureViewsCase& c : small_feature_views_cases()) {
    check_cuda_parity_in_16_bits(
        {fmt::format("feature_views {}", c.name), 1203, [&](DType) { return feature_views_inputs(c, 1203); },
         [&](Backend& backend, const Tensors& inputs) { return run_feature_views(backend, c, inputs); },
         [&](DType type, const Tensors&, const Tensors&) { return feature_views_tolerances(type); }});
  }
}

TEST_CASE("feature_views: noise is normal and independent, features are dropped at their rate") {
  const FeatureViewsCase c{
      "many",
      {.views = 2, .batch = 2000, .features = 60, .weak = {.noise = 1}, .strong = {.dropout = 0.25F}}};
  Tensors inputs = feature_views_inputs(c, 9);
  for (double& x : inputs.at("features").values) x = 1;
  const std::unique_ptr<Backend> cpu = make_cpu_backend({});
  const HostTensor views = run_feature_views(*cpu, c, inputs).outputs.at("views");
  const std::size_t half = views.values.size() / 2;
  // 120,000 draws: deviations of the moments of z are sqrt(1, 2, 15, 96) / sqrt(n); five of them.
  const double n = static_cast<double>(half), five = 5 / std::sqrt(n);
  double moments[4] = {}, neighbours = 0, dropped = 0;
  for (std::size_t i = 0; i < half; ++i) {
    const double z = views.values[i] - 1;
    for (int k = 0; k < 4; ++k) moments[k] += std::pow(z, k + 1) / n;
    if (i % 2 == 0) neighbours += z * (views.values[i + 1] - 1) / (n / 2);
    const double strong = views.values[half + i];
    REQUIRE((strong == 0 || strong == 1));
    if (strong == 0) dropped += 1 / n;
  }
  CHECK(std::abs(moments[0]) < five);
  CHECK(std::abs(moments[1] - 1) < std::sqrt(2.0) * five);
  CHECK(std::abs(moments[2]) < std::sqrt(15.0) * five);
  CHECK(std::abs(moments[3] - 3) < std::sqrt(96.0) * five);
  CHECK(std::abs(neighbours) < std::sqrt(2.0) * five);
  CHECK(std::abs(dropped - 0.25) < std::sqrt(0.25 * 0.75) * five);
}
