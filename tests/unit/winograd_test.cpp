// The convolutions by Winograd's filtering, every instruction set that this processor has, against the plain
// sums in double, and their rounding error against that of the plain sums in float32.
#include "backend/cpu/winograd.h"

#include <cmath>
#include <string>
#include <vector>

#include "support/compare.h"
#include "support/doctest.h"
#include "support/threads.h"
#include "unit/convolution_problem.h"

using namespace dpll;
using namespace dpll::cpu;
using namespace dpll::test;

namespace {

constexpr std::uint64_t kWinogradSeed = 11;

using Results = ConvolutionResults;

Results winograd(const ConvolutionProblem& p, const ConvolutionKernels& kernels) {
  Results results;
  results.y = run_convolution(*winograd_forward(p.g, kernels), p.a, p.weight, p.d_y.shape);
  results.d_a = run_convolution(*winograd_backward_data(p.g, kernels), p.d_y, p.weight, p.a.shape);
  // Image by image.
  const auto make = [&](const ConvGeometry& g) { return winograd_backward_weight(g, kernels); };
  results.d_weight = run_partial_weight_gradient(p, make, 1, 3);
  return results;
}

// The result is a sum of nine of the 16 products, each a sum of `length` products of values that the
// transforms made four and 9/4 times as large at most; the errors add up as independent ones do.
Tolerance winograd_rounding(double length, const HostTensor& want) {
  double square = 0;
  for (const double value : want.values) square += value * value;
  const double rms = std::sqrt(square / static_cast<double>(want.values.size()));
  constexpr double kHalfUlp = 0x1p-24, kSigmas = 6;
  return {0, kSigmas * kHalfUlp * (3 + std::sqrt(length)) * rms};
}

double rms_error(const HostTensor& got, const HostTensor& want) {
  double square = 0;
  for (std::int64_t i = 0; i < want.elements(); ++i) square += std::pow(got[i] - want[i], 2);
  return std::sqrt(square / static_cast<double>(want.elements()));
}

}  // namespace

TEST_CASE(
    "Winograd convolutions equal the plain sums on odd sizes, borders, several blocks and half panels") {
  const std::vector<ConvGeometry> geometries = {
      {.images = 1, .height = 1, .width = 1, .in_channels = 16, .out_channels = 16},
      {.images = 3, .height = 2, .width = 5, .in_channels = 32, .out_channels = 16},
      {.images = 2, .height = 7, .width = 1, .in_channels = 16, .out_channels = 48},
      {.images = 2, .height = 8, .width = 8, .in_channels = 128, .out_channels = 64},
      {.images = 2, .height = 33, .width = 31, .in_channels = 16, .out_channels = 32},
      {.images = 5, .height = 4, .width = 6, .in_channels = 48, .out_channels = 80},
      {.images = 1, .height = 3, .width = 70, .in_channels = 16, .out_channels = 16},
  };
  const auto sets = available_convolution_kernels();
  for (const ConvolutionKernels* kernels : sets) {
    for (const ConvGeometry& g : geometries) {
      REQUIRE(winograd_suits(g, *kernels));
      const ConvolutionProblem problem(g, kWinogradSeed);
      const Results want = plain_sums<double>(problem);
      for (const int threads : {1, 3}) {
        const ThreadCount count(threads);
        const Results got = winograd(problem, *kernels);
        const std::string label = kernels->name;
        CHECK(difference(label + ", y", kWinogradSeed, got.y, want.y,
                         winograd_rounding(g.in_channels, want.y)) == "");
        CHECK(difference(label + ", d_a", kWinogradSeed, got.d_a, want.d_a,
                         winograd_rounding(g.out_channels, want.d_a)) == "");
        CHECK(difference(label + ", d_weight", kWinogradSeed, got.d_weight, want.d_weight,
                         winograd_rounding(double(g.images) * g.height * g.width, want.d_weight)) == "");
      }
    }
  }
  if (sets.empty()) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
}

TEST_CASE("Winograd's rounding error is at most 1.25 times that of the plain float32 sums") {
  // Tiles of two columns by narrow images and few channels, of four by the others.
  const std::vector<ConvGeometry> geometries = {
      {.images = 4, .height = 16, .width = 16, .in_channels = 16, .out_channels = 16},
      {.images = 4, .height = 16, .width = 2, .in_channels = 64, .out_channels = 32},
      {.images = 2, .height = 16, .width = 16, .in_channels = 32, .out_channels = 32},
      {.images = 4, .height = 16, .width = 16, .in_channels = 64, .out_channels = 32},
      {.images = 4, .height = 8, .width = 8, .in_channels = 128, .out_channels = 128},
  };
  const auto sets = available_convolution_kernels();
  for (const ConvGeometry& g : geometries) {
    const ConvolutionProblem problem(g, kWinogradSeed);
    const Results want = plain_sums<double>(problem), single = plain_sums<float>(problem);
    for (const ConvolutionKernels* kernels : sets) {
      const Results got = winograd(problem, *kernels);
      const auto times = [](const HostTensor& error, const HostTensor& plain_error, const HostTensor& exact) {
        return rms_error(error, exact) / rms_error(plain_error, exact);
      };
      const double y = times(got.y, single.y, want.y), d_a = times(got.d_a, single.d_a, want.d_a);
      const double d_weight = times(got.d_weight, single.d_weight, want.d_weight);
      INFO(winograd_forward(g, *kernels)->implementation() << " of " << g.in_channels << " channels: y " << y
                                                           << ", d_a " << d_a << ", d_weight " << d_weight);
      CHECK(y < 1.25);
      CHECK(d_a < 1.25);
      CHECK(d_weight < 1.25);
    }
  }
  if (sets.empty()) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
}

TEST_CASE("Winograd takes 3x3 convolutions of stride 1 and whole vectors only") {
  const ConvolutionKernels* kernels = convolution_kernels();
  if (kernels == nullptr) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
  const ConvGeometry good{.height = 8, .width = 8, .in_channels = 32, .out_channels = 16};
  CHECK(winograd_suits(good, *kernels));
  ConvGeometry bad = good;
  bad.stride = 2;
  CHECK_FALSE(winograd_suits(bad, *kernels));
  bad = good;
  bad.kernel = 1;
  bad.pad = 0;
  CHECK_FALSE(winograd_suits(bad, *kernels));
  bad = good;
  bad.pad = 0;
  CHECK_FALSE(winograd_suits(bad, *kernels));
  bad = good;
  bad.in_channels += kernels->lanes / 2;
  CHECK_FALSE(winograd_suits(bad, *kernels));
  bad = good;
  bad.out_channels += kernels->lanes / 2;
  CHECK_FALSE(winograd_suits(bad, *kernels));
}
