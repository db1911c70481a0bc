#include "backend/cuda/recomputed.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/half.h"
#include "dpll/core/check.h"
#include "dpll/core/philox.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

double decoded(const std::byte* from, DType type) {
  if (type == DType::f32) {
    float value = 0;
    std::memcpy(&value, from, sizeof value);
    return static_cast<double>(value);
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, from, sizeof bits);
  return static_cast<double>(type == DType::f16 ? f16_to_float(bits) : bf16_to_float(bits));
}

// The place of an element: [outer, rows, columns, channels].
struct Place {
  std::int64_t outer;
  int row, column;
  std::int64_t channel;
};

Place place_of(std::int64_t index, int rows, int columns, int channels) {
  const std::int64_t pixel = index / channels, line = pixel / columns;
  return {line / rows, static_cast<int>(line % rows), static_cast<int>(pixel % columns), index % channels};
}

double forward_element(const ConvolutionShape& s, std::int64_t index, const ElementReader& x,
                       const ElementReader& weight) {
  const Place at = place_of(index, s.out_height(), s.out_width(), s.out_channels);
  double sum = 0;
  for (int kh = 0; kh < s.kernel; ++kh) {
    for (int kw = 0; kw < s.kernel; ++kw) {
      const int h = at.row * s.stride - s.pad + kh, w = at.column * s.stride - s.pad + kw;
      if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
      const std::int64_t from_x = ((at.outer * s.height + h) * s.width + w) * s.in_channels,
                         from_w = ((at.channel * s.kernel + kh) * s.kernel + kw) * s.in_channels;
      for (int c = 0; c < s.in_channels; ++c) sum += x(from_x + c) * weight(from_w + c);
    }
  }
  return sum;
}

// Calls body(pixel of y, kh, kw) for each output pixel that reads pixel (image, h, w) of x.
template <typename Body>
void for_each_reader(const ConvolutionShape& s, std::int64_t image, int h, int w, const Body& body) {
  for (int kh = 0; kh < s.kernel; ++kh) {
    for (int kw = 0; kw < s.kernel; ++kw) {
      const int down = h + s.pad - kh, right = w + s.pad - kw;
      if (down < 0 || right < 0 || down % s.stride != 0 || right % s.stride != 0) continue;
      const int oh = down / s.stride, ow = right / s.stride;
      if (oh >= s.out_height() || ow >= s.out_width()) continue;
      body((image * s.out_height() + oh) * s.out_width() + ow, kh, kw);
    }
  }
}

double data_gradient_element(const ConvolutionShape& s, std::int64_t index, const ElementReader& weight,
                             const ElementReader& y) {
  const Place at = place_of(index, s.height, s.width, s.in_channels);
  double sum = 0;
  for_each_reader(s, at.outer, at.row, at.column, [&](std::int64_t pixel, int kh, int kw) {
    for (int o = 0; o < s.out_channels; ++o) {
      const std::int64_t tap = (std::int64_t{o} * s.kernel + kh) * s.kernel + kw;
      sum += y(pixel * s.out_channels + o) * weight(tap * s.in_channels + at.channel);
    }
  });
  return sum;
}

double weight_gradient_element(const ConvolutionShape& s, std::int64_t index, const ElementReader& x,
                               const ElementReader& y) {
  const Place at = place_of(index, s.kernel, s.kernel, s.in_channels);
  double sum = 0;
  for (std::int64_t n = 0; n < s.images; ++n) {
    for (int oh = 0; oh < s.out_height(); ++oh) {
      const int h = oh * s.stride - s.pad + at.row;
      if (h < 0 || h >= s.height) continue;
      for (int ow = 0; ow < s.out_width(); ++ow) {
        const int w = ow * s.stride - s.pad + at.column;
        if (w < 0 || w >= s.width) continue;
        sum += x(((n * s.height + h) * s.width + w) * s.in_channels + at.channel) *
               y(((n * s.out_height() + oh) * s.out_width() + ow) * s.out_channels + at.outer);
      }
    }
  }
  return sum;
}

}  // namespace

HostValues::HostValues(Runtime& runtime, const void* data, DType type, std::int64_t elements)
    : type_(type), bytes_(static_cast<std::size_t>(elements) * size_of(type)) {
  runtime.copy_out(bytes_.data(), data, bytes_.size());
}

double HostValues::operator[](std::int64_t i) const {
  return decoded(bytes_.data() + static_cast<std::size_t>(i) * size_of(type_), type_);
}

double recomputed_element(const ConvolutionShape& shape, ConvolutionPass pass, std::int64_t index,
                          const ElementReader& x, const ElementReader& weight, const ElementReader& y) {
  DPLL_CHECK(is_plain(pass), "{} is no plain pass", name_of(pass));
  if (pass == ConvolutionPass::forward) return forward_element(shape, index, x, weight);
  if (pass == ConvolutionPass::data_gradient) return data_gradient_element(shape, index, weight, y);
  return weight_gradient_element(shape, index, x, y);
}

double recomputed_element(const ProductShape& s, std::int64_t index, const ElementReader& a,
                          const ElementReader& b) {
  const std::int64_t i = index / s.n, j = index % s.n, m = s.m, n = s.n, k = s.k;
  double sum = 0;
  for (std::int64_t l = 0; l < k; ++l) {
    sum += a(s.transposed_a ? l * m + i : i * k + l) * b(s.transposed_b ? j * k + l : l * n + j);
  }
  return sum;
}

std::vector<double> recomputed_channel(const ConvolutionShape& s, int channel, const HostValues& weight,
                                       const HostValues& y) {
  const std::int64_t taps = std::int64_t{s.kernel} * s.kernel;
  std::vector<double> of_channel(static_cast<std::size_t>(taps * s.out_channels));  // [kernel, kernel, out]
  for (std::int64_t o = 0; o < s.out_channels; ++o) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      of_channel[static_cast<std::size_t>(tap * s.out_channels + o)] =
          weight[(o * taps + tap) * s.in_channels + channel];
    }
  }
  std::vector<float> values(static_cast<std::size_t>(s.y_elements()));  // decoded once, not once a tap
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(y[static_cast<std::int64_t>(i)]);
  const std::int64_t lines = std::int64_t{s.images} * s.height;
  std::vector<double> d_x(static_cast<std::size_t>(lines * s.width));
#pragma omp parallel for schedule(static)
  for (std::int64_t line = 0; line < lines; ++line) {
    for (int w = 0; w < s.width; ++w) {
      double sum = 0;
      for_each_reader(
          s, line / s.height, static_cast<int>(line % s.height), w, [&](std::int64_t pixel, int kh, int kw) {
            const double* const row =
                &of_channel[static_cast<std::size_t>((std::int64_t{kh} * s.kernel + kw) * s.out_channels)];
            const float* const of_pixel = &values[static_cast<std::size_t>(pixel * s.out_channels)];
            for (int o = 0; o < s.out_channels; ++o) sum += row[o] * static_cast<double>(of_pixel[o]);
          });
      d_x[static_cast<std::size_t>(line * s.width + w)] = sum;
    }
  }
  return d_x;
}

std::vector<std::int64_t> spread_indices(std::int64_t elements, int count) {
  std::vector<std::int64_t> indices;
  if (elements <= count) {
    for (std::int64_t i = 0; i < elements; ++i) indices.push_back(i);
    return indices;
  }
  PhiloxStream draw(64, Purpose::split, 0, 0, 0);
  indices.push_back(0);
  for (std::int64_t part = 0; part < count; ++part) {
    const std::int64_t begin = elements * part / count, length = elements * (part + 1) / count - begin;
    indices.push_back(begin + static_cast<std::int64_t>(static_cast<double>(draw.next_float()) *
                                                        static_cast<double>(length)));
  }
  indices.push_back(elements - 1);
  for (std::int64_t& index : indices) index = std::min(index, elements - 1);
  return indices;
}

std::string complaint_about(Runtime& runtime, const KnownElements& known, const void* data, DType type) {
  std::byte stored[sizeof(float)];
  for (std::size_t i = 0; i < known.indices.size(); ++i) {
    const auto offset = static_cast<std::size_t>(known.indices[i]) * size_of(type);
    runtime.copy_out(stored, static_cast<const std::byte*>(data) + offset, size_of(type));
    const double got = decoded(stored, type), want = known.values[i];
    if (std::abs(got - want) <= known.absolute + known.relative * std::abs(want)) continue;
    return fmt::format("{}[{}] is {:g}, and {:g} as the host computes it (bound {:.2g})", known.name,
                       known.indices[i], got, want, known.absolute + known.relative * std::abs(want));
  }
  return "";
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
