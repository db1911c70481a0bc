#include "emulation/reference_library.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <vector>

#include "core/half.h"
#include "dpll/core/check.h"
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

// Most of the time of the emulated backend's tests is spent in these two, under sanitizers ten times as much.
// They run on copies of our own: what reaches the backend's memory, read() and write(), stays checked.
#define DPLL_UNCHECKED __attribute__((no_sanitize("address", "undefined"), noinline))

// sum + a[0] b[0] + a[1] b[1] + ..., one after the other.
DPLL_UNCHECKED double add_products(double sum, const double* a, const double* b, int count) {
  for (int i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// to[i] += factor from[i]
DPLL_UNCHECKED void add_scaled(double* to, double factor, const double* from, int count) {
  for (int i = 0; i < count; ++i) to[i] += factor * from[i];
}

// Without what float32 has no digits for.
double cut_to_float(double value) {
  const auto nearest = static_cast<float>(value);
  return std::abs(static_cast<double>(nearest)) > std::abs(value) ? std::nextafter(nearest, 0.0F) : nearest;
}

// A factor as tensor cores take it.
double cut_to_tf32(double value) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) & 0xFFFFE000U);
}

int products_at_once(DType type) {
  return type == DType::f32 ? 8 : 16;
}

// A pass by its definition.
class Loops {
 public:
  Loops(const ConvolutionShape& shape, Behaviour behaviour)
      : s_(shape),
        sums_in_order_(behaviour == Behaviour::sums_in_order),
        tensor_cores_(behaviour == Behaviour::tensor_cores),
        x_(static_cast<std::size_t>(shape.x_elements())),
        y_(static_cast<std::size_t>(shape.y_elements())),
        weight_(static_cast<std::size_t>(shape.weight_elements())) {}

  void run(ConvolutionPass pass, const ConvolutionTensors& t) const {
    switch (pass) {
      case ConvolutionPass::forward:
        write(t.y, s_.type, forward(factor(t.x, x_), factor(t.weight, weight_)));
        return;
      case ConvolutionPass::data_gradient:
        write(t.x, s_.type, data_gradient(t));
        return;
      case ConvolutionPass::weight_gradient:
        write(t.weight, s_.type, weight_gradient(t, factor(t.x, x_)));
        return;
      case ConvolutionPass::forward_statistics:
        forward_statistics(t, factor(t.x, x_));
        return;
      case ConvolutionPass::activated_forward_statistics:
        forward_statistics(t, activation(t));
        return;
      case ConvolutionPass::activated_weight_gradient:
        write(t.weight, s_.type, weight_gradient(t, activation(t)));
        return;
      case ConvolutionPass::data_gradient_reductions:
        data_gradient_reductions(t);
        return;
    }
  }

 private:
  std::vector<double> factor(const void* from, std::size_t count) const {
    std::vector<double> values = read(from, s_.type, count);
    if (tensor_cores_ && s_.type == DType::f32) {
      std::transform(values.begin(), values.end(), values.begin(), cut_to_tf32);
    }
    return values;
  }

  std::vector<double> forward(const std::vector<double>& x, const std::vector<double>& weight) const {
    std::vector<double> y(y_);
    const int at_once = tensor_cores_ ? products_at_once(s_.type) : s_.in_channels;
    for_each_row([&](std::size_t iy, std::size_t ix, std::size_t iw) {
      for (int i = 0; i < s_.in_channels; i += at_once) {
        const auto at = static_cast<std::size_t>(i);
        y[iy] = add_products(y[iy], &x[ix + at], &weight[iw + at], std::min(at_once, s_.in_channels - i));
        if (tensor_cores_) y[iy] = cut_to_float(y[iy]);
      }
    });
    return y;
  }
  std::vector<double> data_gradient(const ConvolutionTensors& t) const {
    const std::vector<double> y = factor(t.y, y_), weight = factor(t.weight, weight_);
    std::vector<double> x(x_);
    const auto channels = static_cast<std::size_t>(s_.out_channels);
    for_each_row([&](std::size_t iy, std::size_t ix, std::size_t iw) {
      add_scaled(&x[ix], y[iy], &weight[iw], s_.in_channels);
      cut_sums(&x[ix], iy % channels, channels);
    });
    return x;
  }
  std::vector<double> weight_gradient(const ConvolutionTensors& t, const std::vector<double>& x) const {
    const std::vector<double> y = factor(t.y, y_);
    std::vector<double> weight(weight_);
    const auto channels = static_cast<std::size_t>(s_.out_channels);
    for_each_row([&](std::size_t iy, std::size_t ix, std::size_t iw) {
      add_scaled(&weight[iw], y[iy], &x[ix], s_.in_channels);
      cut_sums(&weight[iw], iy / channels, y_ / channels);
    });
    return weight;
  }
  // Of in_channels sums, when product `index` of `count` has been added to each.
  void cut_sums(double* sums, std::size_t index, std::size_t count) const {
    if (!tensor_cores_) return;
    const auto at_once = static_cast<std::size_t>(products_at_once(s_.type));
    if ((index + 1) % at_once != 0 && index + 1 != count) return;
    std::transform(sums, sums + s_.in_channels, sums, cut_to_float);
  }

  // As a library computes it: in float32 from scale and bias of the type of x, rounded to that type.
  std::vector<double> activation(const ConvolutionTensors& t) const {
    const auto channels = static_cast<std::size_t>(s_.in_channels);
    const std::vector<double> scale = read(t.scale, s_.type, channels),
                              bias = read(t.bias, s_.type, channels);
    std::vector<double> x = read(t.x, s_.type, x_);
    for (std::size_t i = 0; i < x_; ++i) {
      const auto z = static_cast<float>(x[i] * scale[i % channels] + bias[i % channels]);
      x[i] = z < 0 ? 0 : z;
    }
    return rounded(x);
  }

  void forward_statistics(const ConvolutionTensors& t, const std::vector<double>& x) const {
    const std::vector<double> y = forward(x, read(t.weight, s_.type, weight_));
    write(t.y, s_.type, y);
    const auto channels = static_cast<std::size_t>(s_.out_channels);
    std::vector<double> sum(channels), squares(channels);
    const std::vector<double> stored = rounded(y);
    const auto kept = [&](double value) {
      return sums_in_order_ ? static_cast<double>(static_cast<float>(value)) : value;
    };
    for (std::size_t i = 0; i < y_; ++i) {
      sum[i % channels] = kept(sum[i % channels] + stored[i]);
      squares[i % channels] = kept(squares[i % channels] + stored[i] * stored[i]);
    }
    write(t.sum, DType::f32, sum);
    write(t.squares, DType::f32, squares);
  }

  void data_gradient_reductions(const ConvolutionTensors& t) const {
    const auto channels = static_cast<std::size_t>(s_.in_channels);
    const std::vector<double> x = read(t.x, s_.type, x_);
    std::vector<double> d_z = data_gradient(t), d_gamma(channels), d_beta(channels);
    for (std::size_t i = 0; i < x_; ++i) {
      const std::size_t c = i % channels;
      const double x_hat = (x[i] - t.mean[c]) * t.inverse_deviation[c];
      if (!(t.gamma[c] * x_hat + t.beta[c] > 0)) d_z[i] = 0;
      d_beta[c] += d_z[i];
      d_gamma[c] += d_z[i] * x_hat;
    }
    write(t.d_z, s_.type, d_z);
    write(t.d_gamma, DType::f32, d_gamma);
    write(t.d_beta, DType::f32, d_beta);
    std::memset(t.unused, 0xFF, 3 * channels * sizeof(float));
  }

  std::vector<double> rounded(const std::vector<double>& values) const {
    std::vector<std::uint32_t> stored(values.size());
    write(stored.data(), s_.type, values);
    return read(stored.data(), s_.type, values.size());
  }

  // body(index into y, into x, into weight) for the first of every in_channels products that the convolution
  // sums; the others' are the next ones of x and of weight.
  template <typename Body>
  void for_each_row(const Body& body) const {
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
                body(y + static_cast<std::size_t>(o), x, weight);
              }
            }
          }
        }
      }
    }
  }

  ConvolutionShape s_;
  bool sums_in_order_, tensor_cores_;
  std::size_t x_, y_, weight_;  // elements
};

// Tensors once, a multiply-add as two operations; what fused passes add to it is little beside that.
emulation::Work work_of(const ConvolutionShape& s, ConvolutionPass pass) {
  return {.name = fmt::format("{} {}", name_of(pass), s.text()),
          .bytes = static_cast<double>(s.x_elements() + s.y_elements() + s.weight_elements()) *
                   static_cast<double>(size_of(s.type)),
          .operations = 2.0 * static_cast<double>(s.y_elements()) * s.kernel * s.kernel * s.in_channels};
}
emulation::Work work_of(const ProductShape& s) {
  const double a = double{1} * s.m * s.k, b = double{1} * s.k * s.n, c = double{1} * s.m * s.n;
  return {.name = s.text(),
          .bytes = (a + b) * static_cast<double>(size_of(s.type)) + c * static_cast<double>(size_of(s.out)),
          .operations = 2 * c * s.k};
}

class LoopWay final : public ConvolutionWay {
 public:
  LoopWay(const ConvolutionShape& shape, ConvolutionPass pass, const LoopOffer& offer)
      : shape_(shape), loops_(shape, offer.behaviour), pass_(pass), offer_(offer) {}

  const std::string& name() const override { return offer_.name; }
  std::size_t workspace_bytes() const override { return kWorkspace; }
  void run(const ConvolutionTensors& tensors, void* workspace, Stream stream) const override {
    if (offer_.behaviour == Behaviour::throws) fail(ExitCode::device, "this engine does not run");
    if (offer_.behaviour == Behaviour::ends_context)
      throw ContextLost(ExitCode::device, "an illegal address");
    if (offer_.behaviour == Behaviour::kills) raise(SIGKILL);
    if (offer_.behaviour == Behaviour::asks_to_stop) raise(SIGTERM);
    while (offer_.behaviour == Behaviour::hangs) pause();
    emulation::enqueue(stream, work_of(shape_, pass_), [=, this] {
      std::memset(workspace, 0xFF, kWorkspace);
      const double before = offer_.behaviour == Behaviour::accumulates ? last_value(tensors) : 0;
      loops_.run(pass_, tensors);
      if (offer_.behaviour == Behaviour::accumulates) add_to_last(tensors, before);
      emulated_milliseconds() += offer_.milliseconds;
      if (!is_plain(pass_)) ++fused_runs();
      if (offer_.behaviour == Behaviour::wrong) add_to_last(tensors, 1);
      if (offer_.behaviour == Behaviour::different_each_run) add_to_last(tensors, 1e-7 * ++runs_);
    });
  }

 private:
  // The last element of what the pass computes.
  void* last_of(const ConvolutionTensors& t) const {
    const bool y = pass_ == ConvolutionPass::forward || pass_ == ConvolutionPass::forward_statistics ||
                   pass_ == ConvolutionPass::activated_forward_statistics;
    const bool x = pass_ == ConvolutionPass::data_gradient;
    const bool d_z = pass_ == ConvolutionPass::data_gradient_reductions;
    void* const tensor = y ? t.y : x ? t.x : d_z ? t.d_z : t.weight;
    const std::int64_t elements = y          ? shape_.y_elements()
                                  : x || d_z ? shape_.x_elements()
                                             : shape_.weight_elements();
    return static_cast<std::byte*>(tensor) + static_cast<std::size_t>(elements - 1) * size_of(shape_.type);
  }
  double last_value(const ConvolutionTensors& t) const { return read(last_of(t), shape_.type, 1)[0]; }
  void add_to_last(const ConvolutionTensors& t, double value) const {
    write(last_of(t), shape_.type, {last_value(t) + value});
  }

  ConvolutionShape shape_;
  Loops loops_;
  ConvolutionPass pass_;
  LoopOffer offer_;
  mutable int runs_ = 0;
};

class LoopProduct final : public Product {
 public:
  LoopProduct(const ProductShape& shape, const LoopOffer& offer)
      : s_(shape), offer_(offer), tensor_cores_(offer.behaviour == Behaviour::tensor_cores) {}

  std::size_t workspace_bytes() const override { return kWorkspace; }

  void run(void* c, const void* a, const void* b, void* workspace, Stream stream) const override {
    if (offer_.behaviour == Behaviour::throws) fail(ExitCode::device, "this algorithm does not run");
    emulation::enqueue(stream, work_of(s_), [=, this] {
      multiply(c, a, b, workspace);
      emulated_milliseconds() += offer_.milliseconds;
    });
  }

 private:
  void multiply(void* c, const void* a, const void* b, void* workspace) const {
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
          double a_factor = left[static_cast<std::size_t>(at_left)],
                 b_factor = right[static_cast<std::size_t>(at_right)];
          if (tensor_cores_ && s_.type == DType::f32) {
            a_factor = cut_to_tf32(a_factor);
            b_factor = cut_to_tf32(b_factor);
          }
          sum += a_factor * b_factor;
          if (tensor_cores_ && (l + 1) % products_at_once(s_.type) == 0) sum = cut_to_float(sum);
        }
        sums[static_cast<std::size_t>(std::int64_t{i} * s_.n + j)] = sum;
      }
    }
    if (offer_.behaviour == Behaviour::wrong) sums.back() += 1;
    write(c, s_.out, sums);
  }

  ProductShape s_;
  LoopOffer offer_;
  bool tensor_cores_;
};

class ReferenceLibrary final : public MathLibrary {
 public:
  explicit ReferenceLibrary(const std::vector<LoopOffer>& ways) : ways_(ways) {}

  std::vector<ConvolutionOffer> offers(const ConvolutionShape& shape, ConvolutionPass pass) override {
    std::vector<ConvolutionOffer> offers;
    for (LoopOffer way : ways_) {
      if (!is_plain(pass)) {
        way.milliseconds = way.fused_milliseconds.value_or(way.milliseconds);
        way.behaviour = way.fused_behaviour.value_or(way.behaviour);
      }
      offers.push_back({way.name, [=]() -> std::shared_ptr<const ConvolutionWay> {
                          if (way.behaviour == Behaviour::cannot_be_built) return nullptr;
                          return std::make_shared<LoopWay>(shape, pass, way);
                        }});
    }
    return offers;
  }
  std::vector<ProductOffer> offers(const ProductShape& shape) override {
    std::vector<ProductOffer> offers;
    for (const LoopOffer& way : ways_) {
      offers.push_back({way.name, [=]() -> std::shared_ptr<const Product> {
                          if (way.behaviour == Behaviour::cannot_be_built) return nullptr;
                          return std::make_shared<LoopProduct>(shape, way);
                        }});
    }
    return offers;
  }
  std::string description() const override { return "plain loops"; }

 private:
  std::vector<LoopOffer> ways_;
};

}  // namespace

std::unique_ptr<MathLibrary> make_reference_library(const std::vector<LoopOffer>& ways) {
  return std::make_unique<ReferenceLibrary>(ways);
}

int& fused_runs() {
  thread_local int runs = 0;
  return runs;
}

double& emulated_milliseconds() {
  thread_local double now = 0;
  return now;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
