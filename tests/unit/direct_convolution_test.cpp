// The gradients of convolutions that are products of pixels where they lie, every instruction set that this
// processor has, against the plain sums in double.
#include "backend/cpu/direct_convolution.h"

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

constexpr std::uint64_t kSeed = 23;

using Results = ConvolutionResults;

// images, height, width, in, out, kernel, stride, pad
std::vector<ConvGeometry> geometries() {
  return {
      {1, 1, 1, 16, 16, 1, 1, 0},    // one product
      {2, 5, 3, 16, 48, 1, 1, 0},    // half a panel, images that are taken as one
      {3, 8, 8, 32, 16, 1, 2, 0},    // pixels that no tap sees
      {2, 9, 7, 48, 32, 1, 2, 0},    // a last row and column that are seen
      {1, 7, 8, 16, 32, 1, 3, 0},    // most pixels unseen
      {2, 8, 8, 16, 32, 3, 2, 1},    // WideResNet's
      {3, 7, 9, 32, 48, 3, 2, 1},    // odd sizes
      {2, 6, 8, 16, 16, 3, 2, 0},    // a last row and column that no tap sees
      {1, 1, 1, 16, 16, 3, 2, 1},    // taps outside on all sides
      {2, 2, 1, 16, 32, 3, 1, 1},    // no column sees all taps
      {2, 5, 6, 16, 16, 5, 2, 2},    // two columns at a border
      {1, 6, 5, 16, 16, 5, 1, 1},    // a smaller output
      {1, 5, 4, 32, 16, 5, 3, 4},    // padding that only corners of the kernel reach into
      {1, 3, 3, 16, 16, 2, 2, 1},    // an even kernel
      {2, 32, 32, 16, 32, 3, 2, 1},  // several blocks of rows
      {1, 16, 64, 16, 16, 3, 1, 1},  // a row wider than a block
      {1, 4, 4, 256, 288, 3, 2, 1},  // panels in pieces
      {1, 4, 5, 32, 416, 1, 2, 0},   // the first of which writes
  };
}

Results direct(const ConvolutionProblem& p, const ConvolutionKernels& kernels, std::int64_t images,
               int lanes) {
  Results results;
  results.d_a = run_convolution(*direct_backward_data(p.g, kernels), p.d_y, p.weight, p.a.shape);
  const auto make = [&](const ConvGeometry& g) { return direct_backward_weight(g, kernels); };
  results.d_weight = run_partial_weight_gradient(p, make, images, lanes);
  return results;
}

// Partial sum k of `length` independent products is sqrt(k / length) of the result and rounded by up to half
// an ulp: the errors of all of them add up to sqrt(length / 6) of a half ulp. One more for an addition to
// what was there.
Tolerance rounding(double length, const HostTensor& want) {
  double square = 0, count = 0;
  for (const double value : want.values) {
    square += value * value;
    count += value != 0 ? 1 : 0;  // no tap sees the others
  }
  constexpr double kHalfUlp = 0x1p-24, kSigmas = 6;
  return {0, kSigmas * kHalfUlp * (1 + std::sqrt(length / 6)) * std::sqrt(square / std::max(1.0, count))};
}

std::string name_of(const ConvGeometry& g, const ConvolutionKernels& kernels) {
  std::string name = kernels.name;
  for (const auto number :
       {g.images, std::int64_t{g.height}, std::int64_t{g.width}, std::int64_t{g.in_channels},
        std::int64_t{g.out_channels}, std::int64_t{g.kernel}, std::int64_t{g.stride}, std::int64_t{g.pad}}) {
    name += " " + std::to_string(number);
  }
  return name;
}

}  // namespace

TEST_CASE("direct gradients equal the plain sums for all kernels, strides, paddings and borders") {
  const auto sets = available_convolution_kernels();
  for (const ConvGeometry& g : geometries()) {
    const ConvolutionProblem problem(g, kSeed);
    const Results want = plain_sums<double>(problem);
    const double taps = double(g.kernel) * g.kernel,
                 pixels = double(g.images) * g.out_height() * g.out_width();
    for (const ConvolutionKernels* kernels : sets) {
      REQUIRE(direct_suits(g, *kernels));
      const std::string label = name_of(g, *kernels);
      for (const int lanes : {1, 3}) {
        const ThreadCount count(lanes);
        // Alone all images at once.
        const Results got = direct(problem, *kernels, lanes == 1 ? g.images : 1, lanes);
        CHECK(difference(label + ", d_a", kSeed, got.d_a, want.d_a,
                         rounding(taps * g.out_channels, want.d_a)) == "");
        CHECK(difference(label + ", d_weight", kSeed, got.d_weight, want.d_weight,
                         rounding(pixels, want.d_weight)) == "");
      }
    }
  }
  if (sets.empty()) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
}

TEST_CASE("direct gradients add to what is there, and leave alone what no tap sees") {
  const auto sets = available_convolution_kernels();
  for (const ConvGeometry& g : geometries()) {
    const ConvolutionProblem problem(g, kSeed);
    const HostTensor term = plain_sums<double>(problem).d_a, &before = problem.a;
    HostTensor want = before;
    for (std::size_t i = 0; i < want.values.size(); ++i) want.values[i] += term.values[i];
    for (const ConvolutionKernels* kernels : sets) {
      const auto conv = direct_backward_data(g, *kernels);
      REQUIRE(conv->can_add());
      const HostTensor got = run_convolution(*conv, problem.d_y, problem.weight, before.shape, &before);
      CHECK(difference(name_of(g, *kernels) + ", added", kSeed, got, want,
                       rounding(double(g.kernel) * g.kernel * g.out_channels, want)) == "");
      std::size_t changed = 0;
      for (std::size_t i = 0; i < want.values.size(); ++i) {
        if (term.values[i] == 0 && got.values[i] != before.values[i]) ++changed;
      }
      CHECK(changed == 0);
    }
  }
  if (sets.empty()) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
}

TEST_CASE("direct gradients give the same bits in every run") {
  const auto sets = available_convolution_kernels();
  const ConvolutionProblem problem({3, 9, 11, 32, 48, 3, 2, 1}, kSeed);
  for (const ConvolutionKernels* kernels : sets) {
    const Results first = direct(problem, *kernels, 1, 3), again = direct(problem, *kernels, 1, 3);
    CHECK(first.d_a.values == again.d_a.values);
    CHECK(first.d_weight.values == again.d_weight.values);
  }
  if (sets.empty()) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
}

TEST_CASE("direct gradients take whole vectors, and windows that reach into the image") {
  const ConvolutionKernels* kernels = convolution_kernels();
  if (kernels == nullptr) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
  const ConvGeometry good{1, 8, 8, 32, 16, 3, 2, 1};
  CHECK(direct_suits(good, *kernels));
  ConvGeometry bad = good;
  bad.pad = 3;
  CHECK_FALSE(direct_suits(bad, *kernels));
  bad = good;
  bad.in_channels += kernels->lanes / 2;
  CHECK_FALSE(direct_suits(bad, *kernels));
  bad = good;
  bad.out_channels += kernels->lanes / 2;
  CHECK_FALSE(direct_suits(bad, *kernels));
}
