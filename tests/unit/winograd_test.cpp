// The convolutions by Winograd's filtering, every instruction set that this processor has, against the plain
// sums in double, and their rounding error against that of the plain sums in float32.
#include "backend/cpu/winograd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/compare.h"
#include "support/doctest.h"
#include "support/random.h"
#include "support/threads.h"

using namespace dpll;
using namespace dpll::cpu;
using namespace dpll::test;

namespace {

constexpr std::uint64_t kSeed = 11;

struct Set {
  const WinogradKernels* kernels;
  bool runs;
};

std::vector<Set> sets() {
#if defined(__x86_64__)
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  const bool v4 = false, v3 = false;
#endif
  return {{winograd_kernels_avx512(), v4}, {winograd_kernels_avx2(), v3}};
}

using Floats = std::vector<float>;

// Memory as the ops hand it out: 64-byte aligned, here full of NaN.
struct alignas(64) Line {
  float values[16];
};

std::vector<Line> poisoned(std::size_t bytes) {
  Line line{};
  for (float& value : line.values) value = std::numeric_limits<float>::quiet_NaN();
  return std::vector<Line>(bytes / sizeof(Line) + 1, line);
}

Floats floats_of(const HostTensor& tensor) {
  return {tensor.values.begin(), tensor.values.end()};
}

struct Problem {
  explicit Problem(const ConvGeometry& geometry, std::uint64_t seed = kSeed) : g(geometry) {
    Random random(seed);
    a = random.normal_tensor({g.images, g.height, g.width, g.in_channels});
    weight = random.normal_tensor({g.out_channels, g.in_channels, 3, 3});
    d_y = random.normal_tensor({g.images, g.height, g.width, g.out_channels});
  }
  ConvGeometry g;
  HostTensor a, weight, d_y;
};

struct Results {
  HostTensor y, d_a, d_weight;
};

// The plain sums, all in T.
template <typename T>
Results plain(const Problem& p) {
  const ConvGeometry& g = p.g;
  std::vector<T> y(p.d_y.values.size()), d_a(p.a.values.size()), d_weight(p.weight.values.size());
  for (std::int64_t n = 0; n < g.images; ++n) {
    for (int pixel = 0; pixel < g.height * g.width; ++pixel) {
      for (int k = 0; k < 9; ++k) {
        const int h = pixel / g.width + k / 3 - 1, w = pixel % g.width + k % 3 - 1;
        if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
        const std::int64_t in = ((n * g.height + h) * g.width + w) * g.in_channels;
        const std::int64_t out = (n * g.height * g.width + pixel) * g.out_channels;
        for (std::int64_t o = 0; o < g.out_channels; ++o) {
          for (std::int64_t i = 0; i < g.in_channels; ++i) {
            const std::int64_t f = (o * g.in_channels + i) * 9 + k;
            const auto at = [](auto& values, std::int64_t index) -> auto& {
              return values[static_cast<std::size_t>(index)];
            };
            at(y, out + o) += static_cast<T>(p.a[in + i]) * static_cast<T>(p.weight[f]);
            at(d_a, in + i) += static_cast<T>(p.d_y[out + o]) * static_cast<T>(p.weight[f]);
            at(d_weight, f) += static_cast<T>(p.d_y[out + o]) * static_cast<T>(p.a[in + i]);
          }
        }
      }
    }
  }
  return {host_tensor(y.data(), p.d_y.shape), host_tensor(d_a.data(), p.a.shape),
          host_tensor(d_weight.data(), p.weight.shape)};
}

HostTensor run(const Convolution& conv, const HostTensor& from, const HostTensor& weight, const Shape& to) {
  const Floats in = floats_of(from), w = floats_of(weight);
  auto scratch = poisoned(conv.scratch_bytes()), packed = poisoned(conv.packed_bytes());
  Floats out(static_cast<std::size_t>(to.elements()), std::numeric_limits<float>::quiet_NaN());
  const float* ready = conv.pack(packed.front().values, w.data(), scratch.data());
  conv.run(0, out.data(), in.data(), ready, nullptr, scratch.data());
  conv.check();
  return host_tensor(out.data(), to);
}

Results winograd(const Problem& p, const WinogradKernels& kernels) {
  Results results;
  results.y = run(*winograd_forward(p.g, kernels), p.a, p.weight, p.d_y.shape);
  results.d_a = run(*winograd_backward_data(p.g, kernels), p.d_y, p.weight, p.a.shape);
  // Image by image, on as many lanes as there are images but for one, which has nothing to add.
  ConvGeometry image = p.g;
  image.images = 1;
  const auto gradient = winograd_backward_weight(image, kernels);
  const std::size_t lane_bytes = (gradient->scratch_bytes() + 63) / 64 * 64;
  const int lanes = static_cast<int>(std::max<std::int64_t>(2, p.g.images - 1));
  const Floats a = floats_of(p.a), d_y = floats_of(p.d_y);
  auto scratch = poisoned(lane_bytes * static_cast<std::size_t>(lanes));
  const auto of_lane = [&](int lane) {
    return scratch.data() + static_cast<std::size_t>(lane) * lane_bytes / sizeof(Line);
  };
  for (int lane = 0; lane < lanes; ++lane) gradient->begin(of_lane(lane));
  for (std::int64_t n = 0; n < p.g.images; ++n) {
    const auto pixels = static_cast<std::size_t>(n * p.g.height * p.g.width);
    gradient->add(0, a.data() + pixels * static_cast<std::size_t>(p.g.in_channels),
                  d_y.data() + pixels * static_cast<std::size_t>(p.g.out_channels),
                  of_lane(static_cast<int>(n % (lanes - 1))));
  }
  Floats d_weight(p.weight.values.size(), std::numeric_limits<float>::quiet_NaN());
  gradient->finish(d_weight.data(), scratch.data(), lane_bytes, lanes);
  results.d_weight = host_tensor(d_weight.data(), p.weight.shape);
  return results;
}

// The result is a sum of nine of the 16 products, each a sum of `length` products of values that the
// transforms made four and 9/4 times as large at most; the errors add up as independent ones do.
Tolerance rounding(double length, const HostTensor& want) {
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
  bool any = false;
  for (const Set& set : sets()) {
    if (!set.runs || set.kernels == nullptr) continue;
    any = true;
    for (const ConvGeometry& g : geometries) {
      REQUIRE(winograd_suits(g, *set.kernels));
      const Problem problem(g);
      const Results want = plain<double>(problem);
      for (const int threads : {1, 3}) {
        const ThreadCount count(threads);
        const Results got = winograd(problem, *set.kernels);
        const std::string label = set.kernels->name;
        CHECK(difference(label + ", y", kSeed, got.y, want.y, rounding(g.in_channels, want.y)) == "");
        CHECK(difference(label + ", d_a", kSeed, got.d_a, want.d_a, rounding(g.out_channels, want.d_a)) ==
              "");
        CHECK(difference(label + ", d_weight", kSeed, got.d_weight, want.d_weight,
                         rounding(double(g.images) * g.height * g.width, want.d_weight)) == "");
      }
    }
  }
  if (!any) DPLL_SKIP("this processor has neither AVX-512 nor AVX2");
}

TEST_CASE("Winograd's rounding error is at most 1.5 times that of the plain float32 sums") {
  bool any = false;
  const Problem problem({.images = 4, .height = 16, .width = 16, .in_channels = 64, .out_channels = 32});
  const Results want = plain<double>(problem), single = plain<float>(problem);
  for (const Set& set : sets()) {
    if (!set.runs || set.kernels == nullptr) continue;
    any = true;
    const Results got = winograd(problem, *set.kernels);
    const auto times = [](const HostTensor& error, const HostTensor& plain_error, const HostTensor& exact) {
      return rms_error(error, exact) / rms_error(plain_error, exact);
    };
    const double y = times(got.y, single.y, want.y), d_a = times(got.d_a, single.d_a, want.d_a);
    const double d_weight = times(got.d_weight, single.d_weight, want.d_weight);
    INFO(std::string(set.kernels->name) << ": y " << y << ", d_a " << d_a << ", d_weight " << d_weight);
    CHECK(y < 1.5);
    CHECK(d_a < 1.5);
    CHECK(d_weight < 1.5);
  }
  if (!any) DPLL_SKIP("this processor has neither AVX-512 nor AVX2");
}

TEST_CASE("Winograd takes 3x3 convolutions of stride 1 and whole vectors only") {
  const WinogradKernels* kernels = winograd_kernels();
  if (kernels == nullptr) DPLL_SKIP("this processor has neither AVX-512 nor AVX2");
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
  bad.in_channels = 20;
  CHECK_FALSE(winograd_suits(bad, *kernels));
  bad = good;
  bad.out_channels = 50;
  CHECK_FALSE(winograd_suits(bad, *kernels));
}
