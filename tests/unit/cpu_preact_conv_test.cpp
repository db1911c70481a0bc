// What the CPU's preact_conv saves and refuses. Its results are compared with the reference's in
// tests/parity.
#include "backend/cpu/convolution_kernels.h"
#include "backend/cpu/cpu_ops.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE(
    "cpu preact_conv: a layer with a projection saves no activation where both gradients go by chunks") {
  if (cpu::convolution_kernels() == nullptr) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
  PreactConvSpec spec{.views = 1,
                      .batch = 4,
                      .height = 8,
                      .width = 8,
                      .in_channels = 32,
                      .out_channels = 64,
                      .stride = 2,
                      .projection = true};
  const auto activation = static_cast<std::size_t>(spec.rows() * 8 * 8 * 32) * sizeof(float);
  CHECK(cpu::make_preact_conv(spec)->saved_bytes() < activation);
  spec.dropout = 0.1;
  CHECK(cpu::make_preact_conv(spec)->saved_bytes() >= activation);
}

TEST_CASE("cpu preact_conv: an impossible geometry is refused with its numbers") {
  PreactConvSpec spec{.height = 2, .width = 2, .kernel = 5, .pad = 0};
  CHECK_THROWS_WITH_AS(cpu::make_preact_conv(spec), doctest::Contains("kernel 5 on 2x2 images"), Error);
}
