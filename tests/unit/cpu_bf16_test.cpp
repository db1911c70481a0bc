// run.precision = bf16 on the CPU: the factors of every product of a convolution are rounded to bfloat16, and
// nothing else is.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/convolution.h"
#include "backend/cpu/elementwise.h"
#include "core/half.h"
#include "dpll/backend.h"
#include "selftest/golden_checks.h"
#include "support/compare.h"
#include "support/doctest.h"
#include "support/random.h"
#include "support/threads.h"

using namespace dpll;
using namespace dpll::cpu;
using namespace dpll::test;

namespace {

constexpr std::uint64_t kSeed = 23;
constexpr const char* kNoBf16 = "this processor has no instructions for bf16 (AVX512_BF16 or AMX)";

using Floats = std::vector<float>;

struct alignas(64) Line {
  std::array<float, 16> values;
};

std::vector<Line> memory(std::size_t bytes) {
  Line line{};
  line.values.fill(std::numeric_limits<float>::quiet_NaN());
  return std::vector<Line>(bytes / sizeof(Line) + 1, line);
}

Floats floats_of(const HostTensor& tensor) {
  return {tensor.values.begin(), tensor.values.end()};
}

HostTensor to_bf16(HostTensor tensor) {
  for (double& value : tensor.values) value = bf16_to_float(float_to_bf16(static_cast<float>(value)));
  return tensor;
}

struct Bf16Problem {
  explicit Bf16Problem(const ConvGeometry& geometry) : g(geometry) {
    Random random(kSeed);
    a = random.normal_tensor({g.images, g.height, g.width, g.in_channels});
    weight = random.normal_tensor({g.out_channels, g.in_channels, g.kernel, g.kernel});
    d_y = random.normal_tensor({g.images, g.out_height(), g.out_width(), g.out_channels});
  }
  ConvGeometry g;
  HostTensor a, weight, d_y;
};

struct Results {
  HostTensor y, d_a, d_weight;
};

// The sums themselves, in double, of rounded factors.
Results expected(const Bf16Problem& p) {
  const ConvGeometry& g = p.g;
  const HostTensor a = to_bf16(p.a), weight = to_bf16(p.weight), d_y = to_bf16(p.d_y);
  Results r{HostTensor(p.d_y.shape), HostTensor(p.a.shape), HostTensor(p.weight.shape)};
  const int taps = g.kernel * g.kernel;
  for (std::int64_t n = 0; n < g.images; ++n) {
    for (int k = 0; k < g.out_height() * g.out_width() * taps; ++k) {
      const int oh = k / taps / g.out_width(), ow = k / taps % g.out_width(), tap = k % taps;
      const int h = oh * g.stride + tap / g.kernel - g.pad, w = ow * g.stride + tap % g.kernel - g.pad;
      if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
      const std::int64_t in = ((n * g.height + h) * g.width + w) * g.in_channels;
      const std::int64_t out = ((n * g.out_height() + oh) * g.out_width() + ow) * g.out_channels;
      for (int o = 0; o < g.out_channels; ++o) {
        for (int i = 0; i < g.in_channels; ++i) {
          const std::int64_t f = (std::int64_t{o} * g.in_channels + i) * taps + tap;
          r.y[out + o] += a[in + i] * weight[f];
          r.d_a[in + i] += d_y[out + o] * weight[f];
          r.d_weight[f] += d_y[out + o] * a[in + i];
        }
      }
    }
  }
  return r;
}

HostTensor convolve(const Convolution& conv, const HostTensor& from, const HostTensor& weight,
                    const Shape& to) {
  const Floats in = floats_of(from), w = floats_of(weight);
  auto scratch = memory(conv.scratch_bytes()), packed = memory(conv.packed_bytes());
  Floats out(static_cast<std::size_t>(to.elements()), std::numeric_limits<float>::quiet_NaN());
  const float* ready = conv.pack(packed.front().values.data(), w.data(), scratch.data());
  conv.run(0, out.data(), in.data(), ready, nullptr, scratch.data());
  conv.check();
  return host_tensor(out.data(), to);
}

HostTensor whole_gradient(const Bf16Problem& p) {
  const auto gradient = make_conv_backward_weight(p.g);
  const Floats a = floats_of(p.a), d_y = floats_of(p.d_y);
  auto scratch = memory(gradient->scratch_bytes());
  Floats d_weight(p.weight.values.size(), std::numeric_limits<float>::quiet_NaN());
  gradient->run(d_weight.data(), a.data(), d_y.data(), scratch.data());
  return host_tensor(d_weight.data(), p.weight.shape);
}

// Image by image on two lanes in turn.
HostTensor partial_gradient(const Bf16Problem& p) {
  ConvGeometry image = p.g;
  image.images = 1;
  constexpr int kLanes = 2;
  const auto gradient = make_partial_weight_gradient(image, kLanes);
  const std::size_t lines = gradient->scratch_bytes() / sizeof(Line) + 1;
  auto scratch = memory(kLanes * lines * sizeof(Line));
  for (std::size_t lane = 0; lane < kLanes; ++lane) gradient->begin(scratch.data() + lane * lines);
  const Floats a = floats_of(p.a), d_y = floats_of(p.d_y);
  const std::size_t images = static_cast<std::size_t>(p.g.images);
  for (std::size_t n = 0; n < images; ++n) {
    gradient->add(static_cast<int>(n % kLanes), a.data() + n * a.size() / images,
                  d_y.data() + n * d_y.size() / images, scratch.data() + n % kLanes * lines);
  }
  Floats d_weight(p.weight.values.size(), std::numeric_limits<float>::quiet_NaN());
  gradient->finish(d_weight.data(), scratch.data(), lines * sizeof(Line), kLanes);
  return host_tensor(d_weight.data(), p.weight.shape);
}

// Products of two bf16 values are exact in float32; their sums in float32 are rounded at each step, as
// independent errors of half a unit of the running sum.
Tolerance rounding(double length, const HostTensor& want) {
  double square = 0;
  for (const double value : want.values) square += value * value;
  const double rms = std::sqrt(square / static_cast<double>(want.values.size()));
  constexpr double kHalfUlp = 0x1p-24, kSigmas = 6;
  return {0, kSigmas * kHalfUlp * (3 + std::sqrt(length)) * rms};
}

}  // namespace

TEST_CASE("bf16 on the CPU: convolutions are the sums of products of rounded factors") {
  if (!has_fast_bf16()) DPLL_SKIP(kNoBf16);
  const std::vector<ConvGeometry> geometries = {
      {.images = 3, .height = 8, .width = 8, .in_channels = 32, .out_channels = 32},
      {.images = 2, .height = 9, .width = 7, .in_channels = 16, .out_channels = 48},
      {.images = 2, .height = 8, .width = 6, .in_channels = 32, .out_channels = 64, .stride = 2},
      {.images = 2,
       .height = 8,
       .width = 8,
       .in_channels = 32,
       .out_channels = 64,
       .kernel = 1,
       .stride = 2,
       .pad = 0},
      {.images = 2, .height = 5, .width = 6, .in_channels = 64, .out_channels = 160},
  };
  for (ConvGeometry g : geometries) {
    g.products = DType::bf16;
    const Bf16Problem problem(g);
    const Results want = expected(problem);
    const std::string label = fmt::format("{}x{} stride {}, {} -> {}, ", g.kernel, g.kernel, g.stride,
                                          g.in_channels, g.out_channels);
    const double taps = g.kernel * g.kernel;
    const double pixels = static_cast<double>(g.images) * g.out_height() * g.out_width();
    CHECK(difference(label + "y", kSeed,
                     convolve(*make_conv_forward(g, false, 1), problem.a, problem.weight, want.y.shape),
                     want.y, rounding(taps * g.in_channels, want.y)) == "");
    CHECK(difference(label + "d_a", kSeed,
                     convolve(*make_conv_backward_data(g, 1), problem.d_y, problem.weight, want.d_a.shape),
                     want.d_a, rounding(taps * g.out_channels, want.d_a)) == "");
    for (const int threads : {1, 3}) {
      const ThreadCount count(threads);
      CHECK(difference(label + "d_weight", kSeed, whole_gradient(problem), want.d_weight,
                       rounding(pixels, want.d_weight)) == "");
    }
    ConvGeometry image = g;
    image.images = 1;
    if (!has_partial_weight_gradient(image)) continue;
    CHECK(difference(label + "d_weight by images", kSeed, partial_gradient(problem), want.d_weight,
                     rounding(pixels, want.d_weight)) == "");
  }
}

TEST_CASE(
    "bf16 on the CPU: ten training steps are PyTorch's within what bf16 rounds off, and not within "
    "float32's") {
  if (!has_fast_bf16()) DPLL_SKIP(kNoBf16);
  const auto backend = make_cpu_backend({.threads = 2, .products = DType::bf16});
  CHECK(backend->compute_dtype() == DType::f32);
  CHECK(backend->product_dtype() == DType::bf16);
  const selftest::GoldenResult result =
      selftest::check_golden_cases(*backend, "trajectory", selftest::check_trajectory_results);
  CHECK(result.cases > 0);
  for (const std::string& complaint : result.complaints) FAIL_CHECK(complaint);
  const selftest::GoldenResult strict = selftest::check_golden_cases(
      *backend, "trajectory",
      [](Backend& b, selftest::GoldenCase& c) { c.check("losses", selftest::trajectory_losses(b, c)); });
  CHECK_FALSE(strict.complaints.empty());
}

TEST_CASE("bf16 on the CPU: rounding a row of values is rounding each of them") {
  Random random(kSeed);
  Floats values = {0.0F,
                   -0.0F,
                   1.0F,
                   std::numeric_limits<float>::infinity(),
                   -std::numeric_limits<float>::infinity(),
                   std::numeric_limits<float>::quiet_NaN(),
                   std::numeric_limits<float>::max(),
                   std::numeric_limits<float>::denorm_min(),
                   std::bit_cast<float>(0x7F800001U),
                   std::bit_cast<float>(0x3F808000U),
                   std::bit_cast<float>(0x3F818000U),
                   std::bit_cast<float>(0x3F808001U)};
  for (int i = 0; i < 1000; ++i) {
    const auto low = static_cast<std::uint32_t>(random.below(1 << 16));
    const auto high = static_cast<std::uint32_t>(random.below(1 << 16));
    values.push_back(std::bit_cast<float>(high << 16 | low));
  }
  std::vector<std::uint16_t> got(values.size() + 1, 0xABCD);
  round_to_bf16(got.data(), values.data(), static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    INFO("value " << i << ", bits " << std::bit_cast<std::uint32_t>(values[i]));
    CHECK(got[i] == float_to_bf16(values[i]));
  }
  CHECK(got.back() == 0xABCD);
}
