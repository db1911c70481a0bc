#include "emulation/reference_library.h"

#include <cstring>
#include <vector>

#include "core/half.h"
#include "emulation/stream.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr std::size_t kWorkspace = 1000;  // no multiple of anything

std::vector<double> read(const void* from, DType type, std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (type == DType::f32) {
      values[i] = static_cast<const float*>(from)[i];
    } else {
      const std::uint16_t bits = static_cast<const std::uint16_t*>(from)[i];
      values[i] = type == DType::f16 ? f16_to_float(bits) : bf16_to_float(bits);
    }
  }
  return values;
}

void write(void* to, DType type, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<float>(values[i]);
    if (type == DType::f32) {
      static_cast<float*>(to)[i] = value;
    } else {
      static_cast<std::uint16_t*>(to)[i] = type == DType::f16 ? float_to_f16(value) : float_to_bf16(value);
    }
  }
}

std::size_t size(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return static_cast<std::size_t>(a * b * c * d);
}

class LoopConvolution final : public Convolution {
 public:
  explicit LoopConvolution(const ConvolutionShape& shape)
      : s_(shape),
        x_(size(s_.images, s_.height, s_.width, s_.in_channels)),
        y_(size(s_.images, s_.out_height(), s_.out_width(), s_.out_channels)),
        weight_(size(s_.out_channels, s_.kernel, s_.kernel, s_.in_channels)) {}

  std::size_t workspace_bytes() const override { return kWorkspace; }

  void forward(void* y, const void* x, const void* weight, void* workspace) override {
    emulation::enqueue([=, this] {
      std::memset(workspace, 0xFF, kWorkspace);
      const std::vector<double> from = read(x, s_.type, x_), by = read(weight, s_.type, weight_);
      std::vector<double> sums(y_);
      for_each_product(
          [&](std::size_t iy, std::size_t ix, std::size_t iw) { sums[iy] += from[ix] * by[iw]; });
      write(y, s_.type, sums);
    });
  }
  void data_gradient(void* d_x, const void* d_y, const void* weight, void* workspace) override {
    emulation::enqueue([=, this] {
      std::memset(workspace, 0xFF, kWorkspace);
      const std::vector<double> from = read(d_y, s_.type, y_), by = read(weight, s_.type, weight_);
      std::vector<double> sums(x_);
      for_each_product(
          [&](std::size_t iy, std::size_t ix, std::size_t iw) { sums[ix] += from[iy] * by[iw]; });
      write(d_x, s_.type, sums);
    });
  }
  void weight_gradient(void* d_weight, const void* d_y, const void* x, void* workspace) override {
    emulation::enqueue([=, this] {
      std::memset(workspace, 0xFF, kWorkspace);
      const std::vector<double> from = read(d_y, s_.type, y_), by = read(x, s_.type, x_);
      std::vector<double> sums(weight_);
      for_each_product(
          [&](std::size_t iy, std::size_t ix, std::size_t iw) { sums[iw] += from[iy] * by[ix]; });
      write(d_weight, s_.type, sums);
    });
  }

 private:
  // body(index into y, into x, into weight) for every product that the convolution sums.
  template <typename Body>
  void for_each_product(const Body& body) const {
    const int out_height = s_.out_height(), out_width = s_.out_width();
    for (int n = 0; n < s_.images; ++n) {
      for (int oh = 0; oh < out_height; ++oh) {
        for (int ow = 0; ow < out_width; ++ow) {
          for (int kh = 0; kh < s_.kernel; ++kh) {
            for (int kw = 0; kw < s_.kernel; ++kw) {
              const int h = oh * s_.stride - s_.pad + kh, w = ow * s_.stride - s_.pad + kw;
              if (h < 0 || h >= s_.height || w < 0 || w >= s_.width) continue;
              const std::size_t y =
                  size((std::int64_t{n} * out_height + oh) * out_width + ow, s_.out_channels, 1, 1);
              const std::size_t x =
                  size((std::int64_t{n} * s_.height + h) * s_.width + w, s_.in_channels, 1, 1);
              for (int o = 0; o < s_.out_channels; ++o) {
                const std::size_t weight =
                    size((std::int64_t{o} * s_.kernel + kh) * s_.kernel + kw, s_.in_channels, 1, 1);
                for (int i = 0; i < s_.in_channels; ++i) {
                  body(y + static_cast<std::size_t>(o), x + static_cast<std::size_t>(i),
                       weight + static_cast<std::size_t>(i));
                }
              }
            }
          }
        }
      }
    }
  }

  ConvolutionShape s_;
  std::size_t x_, y_, weight_;  // elements
};

class LoopProduct final : public Product {
 public:
  explicit LoopProduct(const ProductShape& shape) : s_(shape) {}

  std::size_t workspace_bytes() const override { return kWorkspace; }

  void run(void* c, const void* a, const void* b, void* workspace) override {
    emulation::enqueue([=, this] {
      std::memset(workspace, 0xFF, kWorkspace);
      const std::vector<double> left = read(a, s_.type, size(s_.m, s_.k, 1, 1));
      const std::vector<double> right = read(b, s_.type, size(s_.k, s_.n, 1, 1));
      std::vector<double> sums(size(s_.m, s_.n, 1, 1));
      for (int i = 0; i < s_.m; ++i) {
        for (int j = 0; j < s_.n; ++j) {
          double sum = 0;
          for (int l = 0; l < s_.k; ++l) {
            const std::int64_t at_left =
                s_.transposed_a ? std::int64_t{l} * s_.m + i : std::int64_t{i} * s_.k + l;
            const std::int64_t at_right =
                s_.transposed_b ? std::int64_t{j} * s_.k + l : std::int64_t{l} * s_.n + j;
            sum += left[static_cast<std::size_t>(at_left)] * right[static_cast<std::size_t>(at_right)];
          }
          sums[static_cast<std::size_t>(std::int64_t{i} * s_.n + j)] = sum;
        }
      }
      write(c, s_.out, sums);
    });
  }

 private:
  ProductShape s_;
};

class ReferenceLibrary final : public MathLibrary {
 public:
  std::unique_ptr<Convolution> make_convolution(const ConvolutionShape& shape) override {
    return std::make_unique<LoopConvolution>(shape);
  }
  std::unique_ptr<Product> make_product(const ProductShape& shape) override {
    return std::make_unique<LoopProduct>(shape);
  }
  std::string description() const override { return "plain loops"; }
};

}  // namespace

std::unique_ptr<MathLibrary> make_reference_library() {
  return std::make_unique<ReferenceLibrary>();
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
