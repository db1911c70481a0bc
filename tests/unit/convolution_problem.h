// Convolutions as tests pose them: random operands, the plain sums, and the classes of
// backend/cpu/convolution.h run on memory that shows what they read before they write it, and beyond their
// end.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/convolution.h"
#include "backend/cpu/convolution_kernels.h"
#include "support/compare.h"
#include "support/doctest.h"
#include "support/random.h"

namespace dpll::test {

inline std::vector<float> floats_of(const HostTensor& tensor) {
  return {tensor.values.begin(), tensor.values.end()};
}

// Memory as the ops hand it out, 64-byte aligned, of exactly `bytes`, here full of NaN, and a guard behind
// it.
class GuardedMemory {
 public:
  explicit GuardedMemory(std::size_t bytes)
      : floats_((bytes + sizeof(float) - 1) / sizeof(float)), lines_(floats_ / 16 + 2, nan_line()) {}
  ~GuardedMemory() {
    const float *end = data() + floats_, *all = data() + lines_.size() * 16;
    CHECK_MESSAGE(std::all_of(end, all, [](float value) { return std::isnan(value); }),
                  "something was written behind " << floats_ << " floats");
  }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  float* data() { return lines_.front().values; }

 private:
  struct alignas(64) Line {
    float values[16];
  };
  static Line nan_line() {
    Line line{};
    for (float& value : line.values) value = std::numeric_limits<float>::quiet_NaN();
    return line;
  }
  std::size_t floats_;
  std::vector<Line> lines_;
};

struct ConvolutionProblem {
  explicit ConvolutionProblem(const cpu::ConvGeometry& geometry, std::uint64_t seed) : g(geometry) {
    Random random(seed);
    a = random.normal_tensor({g.images, g.height, g.width, g.in_channels});
    weight = random.normal_tensor({g.out_channels, g.in_channels, g.kernel, g.kernel});
    d_y = random.normal_tensor({g.images, g.out_height(), g.out_width(), g.out_channels});
  }
  cpu::ConvGeometry g;
  HostTensor a, weight, d_y;
};

struct ConvolutionResults {
  HostTensor y, d_a, d_weight;
};

// The plain sums, all in T.
template <typename T>
ConvolutionResults plain_sums(const ConvolutionProblem& p) {
  const cpu::ConvGeometry& g = p.g;
  std::vector<T> y(p.d_y.values.size()), d_a(p.a.values.size()), d_weight(p.weight.values.size());
  const auto at = [](auto& values, std::int64_t index) -> auto& {
    return values[static_cast<std::size_t>(index)];
  };
  const int out_width = g.out_width(), pixels = g.out_height() * out_width, taps = g.kernel * g.kernel;
  for (std::int64_t n = 0; n < g.images; ++n) {
    for (int pixel = 0; pixel < pixels; ++pixel) {
      for (int k = 0; k < taps; ++k) {
        const int h = pixel / out_width * g.stride + k / g.kernel - g.pad;
        const int w = pixel % out_width * g.stride + k % g.kernel - g.pad;
        if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
        const std::int64_t in = ((n * g.height + h) * g.width + w) * g.in_channels;
        const std::int64_t out = (n * pixels + pixel) * g.out_channels;
        for (std::int64_t o = 0; o < g.out_channels; ++o) {
          for (std::int64_t i = 0; i < g.in_channels; ++i) {
            const std::int64_t f = (o * g.in_channels + i) * taps + k;
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

// conv(from) or, with `before`, before + conv(from).
inline HostTensor run_convolution(const cpu::Convolution& conv, const HostTensor& from,
                                  const HostTensor& weight, const Shape& to,
                                  const HostTensor* before = nullptr) {
  const std::vector<float> in = floats_of(from), w = floats_of(weight);
  GuardedMemory scratch(conv.scratch_bytes()), packed(conv.packed_bytes());
  std::vector<float> out(static_cast<std::size_t>(to.elements()), std::numeric_limits<float>::quiet_NaN());
  const float* ready = conv.pack(packed.data(), w.data(), scratch.data());
  if (before == nullptr) {
    conv.run(0, out.data(), in.data(), ready, nullptr, scratch.data());
  } else {
    out = floats_of(*before);
    conv.add(0, out.data(), in.data(), ready, scratch.data());
  }
  conv.check();
  return host_tensor(out.data(), to);
}

// d_weight by adds of `images` images each, in turn on all of `lanes` lanes but for the last, which has
// nothing to add unless it is the only one. make(geometry of an add).
template <typename Make>
HostTensor run_partial_weight_gradient(const ConvolutionProblem& p, const Make& make, std::int64_t images,
                                       int lanes) {
  cpu::ConvGeometry part = p.g;
  part.images = images;
  const auto gradient = make(part);
  const std::size_t lane_bytes = (gradient->scratch_bytes() + 63) / 64 * 64;
  const std::vector<float> a = floats_of(p.a), d_y = floats_of(p.d_y);
  GuardedMemory scratch(lane_bytes * static_cast<std::size_t>(lanes));
  const auto of_lane = [&](int lane) {
    return scratch.data() + static_cast<std::size_t>(lane) * lane_bytes / sizeof(float);
  };
  for (int lane = 0; lane < lanes; ++lane) gradient->begin(of_lane(lane));
  const std::size_t parts = static_cast<std::size_t>(p.g.images / images);
  for (std::size_t n = 0; n < parts; ++n) {
    const int lane = static_cast<int>(n) % std::max(1, lanes - 1);
    gradient->add(lane, a.data() + n * (a.size() / parts), d_y.data() + n * (d_y.size() / parts),
                  of_lane(lane));
  }
  std::vector<float> d_weight(p.weight.values.size(), std::numeric_limits<float>::quiet_NaN());
  gradient->finish(d_weight.data(), scratch.data(), lane_bytes, lanes);
  return host_tensor(d_weight.data(), p.weight.shape);
}

}  // namespace dpll::test
