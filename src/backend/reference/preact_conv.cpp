#include <algorithm>

#include "backend/reference/batch_norm.h"
#include "backend/reference/reference_ops.h"
#include "dpll/core/philox.h"

namespace dpll::reference {
namespace {

// One convolution without batch norm, bias or residual: the kernel x kernel one or the 1x1 projection.
struct ConvGeometry {
  int images, height, width, in_channels;
  int out_height, out_width, out_channels;
  int kernel, stride, pad;

  std::int64_t in_at(int n, int h, int w, int c) const {
    return ((std::int64_t{n} * height + h) * width + w) * in_channels + c;
  }
  std::int64_t out_at(int n, int h, int w, int c) const {
    return ((std::int64_t{n} * out_height + h) * out_width + w) * out_channels + c;
  }
  std::int64_t weight_at(int o, int c, int kh, int kw) const {
    return ((std::int64_t{o} * in_channels + c) * kernel + kh) * kernel + kw;
  }

  // Calls body(index into a, index into weight, index into y) for every product of the convolution; those
  // with the zero padding are left out.
  template <typename Body>
  void for_each_product(const Body& body) const {
    for (int n = 0; n < images; ++n) {
      for (int oh = 0; oh < out_height; ++oh) {
        for (int ow = 0; ow < out_width; ++ow) {
          for (int kh = 0; kh < kernel; ++kh) {
            for (int kw = 0; kw < kernel; ++kw) {
              const int h = oh * stride + kh - pad;
              const int w = ow * stride + kw - pad;
              if (h < 0 || h >= height || w < 0 || w >= width) continue;
              for (int o = 0; o < out_channels; ++o) {
                for (int c = 0; c < in_channels; ++c) {
                  body(in_at(n, h, w, c), weight_at(o, c, kh, kw), out_at(n, oh, ow, o));
                }
              }
            }
          }
        }
      }
    }
  }
};

void conv_forward(double* y, const double* a, const double* weight, const ConvGeometry& g) {
  g.for_each_product([&](std::int64_t i, std::int64_t w, std::int64_t o) { y[o] += a[i] * weight[w]; });
}

// Adds to d_a (unless null), overwrites d_weight.
void conv_backward(double* d_a, const Tensor& d_weight, const double* d_y, const double* a,
                   const double* weight, const ConvGeometry& g) {
  auto* d_w = d_weight.as<double>();
  std::fill_n(d_w, d_weight.elements(), 0.0);
  g.for_each_product([&](std::int64_t i, std::int64_t w, std::int64_t o) { d_w[w] += d_y[o] * a[i]; });
  if (d_a == nullptr) return;
  g.for_each_product([&](std::int64_t i, std::int64_t w, std::int64_t o) { d_a[i] += d_y[o] * weight[w]; });
}

class ReferencePreactConv final : public PreactConv {
 public:
  explicit ReferencePreactConv(const PreactConvSpec& spec)
      : spec_(spec),
        conv_{spec.rows(),      spec.height,       spec.width,  spec.in_channels, spec.out_height(),
              spec.out_width(), spec.out_channels, spec.kernel, spec.stride,      spec.pad},
        projection_{spec.rows(),      spec.height,       spec.width, spec.in_channels, spec.out_height(),
                    spec.out_width(), spec.out_channels, 1,          spec.stride,      0},
        bn_x_(bn_geometry(spec.views, spec.batch, std::int64_t{spec.height} * spec.width, spec.in_channels,
                          spec.share)),
        bn_y_(bn_geometry(spec.views, spec.batch, std::int64_t{spec.out_height()} * spec.out_width(),
                          spec.out_channels, spec.share)) {}

  // a [V*B, H, W, in]. It is positive exactly where ReLU and dropout let x through, so backward needs no
  // more.
  std::size_t saved_bytes() const override {
    return spec_.preact && spec_.mode == Mode::train ? activation_bytes() : 0;
  }
  // In evaluation a, in backward d_a.
  std::size_t workspace_bytes() const override { return activation_bytes(); }

  void forward(const PreactConvForward& call) override {
    const double* a = call.x.as<double>();
    if (spec_.preact) {
      auto* activated = static_cast<double*>(spec_.mode == Mode::train ? call.saved : call.workspace);
      activate(activated, call);
      a = activated;
    }
    auto* y = call.y.as<double>();
    const std::int64_t outputs = call.y.elements();
    for (std::int64_t i = 0; i < outputs; ++i) {
      const double residual = spec_.residual ? call.residual.as<double>()[i] : 0.0;
      const double bias = spec_.bias ? call.bias.as<double>()[i % spec_.out_channels] : 0.0;
      y[i] = residual + bias;
    }
    conv_forward(y, a, call.weight.as<double>(), conv_);
    if (spec_.stats) view_stats(call.y_stats.as<double>(), y, bn_y_);
    if (spec_.projection) {
      auto* projected = call.projected.as<double>();
      std::fill_n(projected, outputs, 0.0);
      conv_forward(projected, a, call.projection_weight.as<double>(), projection_);
    }
  }

  void backward(const PreactConvBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "preact_conv has no backward in evaluation");
    const auto* x = call.x.as<double>();
    const auto* a = spec_.preact ? static_cast<const double*>(call.saved) : x;
    const auto* d_y = call.d_y.as<double>();
    // Batch norm's own gradients need d_a even where nobody asks for d_x.
    double* d_a = spec_.preact || spec_.input_gradient ? static_cast<double*>(call.workspace) : nullptr;
    const std::int64_t inputs = call.x.elements();
    if (d_a != nullptr) std::fill_n(d_a, inputs, 0.0);
    conv_backward(d_a, call.d_weight, d_y, a, call.weight.as<double>(), conv_);
    if (spec_.projection) {
      conv_backward(d_a, call.d_projection_weight, call.d_projected.as<double>(), a,
                    call.projection_weight.as<double>(), projection_);
    }
    if (call.d_bias.defined()) bias_gradient(call.d_bias.as<double>(), d_y, call.d_y.elements());
    if (spec_.preact) {
      to_pre_activation_gradient(d_a, a, inputs);
      const std::vector<double> stats = normalising_stats(Mode::train, call.bn, call.x_stats, bn_x_);
      std::vector<double> unwanted;
      double* d_x = nullptr;
      if (spec_.input_gradient) {
        d_x = call.d_x.as<double>();
      } else {
        unwanted.resize(static_cast<std::size_t>(inputs));
        d_x = unwanted.data();
      }
      batch_norm_backward(d_x, call.accumulate, call.bn, d_a, x, stats, bn_x_);
    } else if (spec_.input_gradient) {
      auto* d_x = call.d_x.as<double>();
      for (std::int64_t i = 0; i < inputs; ++i) {
        d_x[i] = (call.accumulate == Accumulate::yes ? d_x[i] : 0.0) + d_a[i];
      }
    }
  }

 private:
  std::size_t activation_bytes() const {
    return static_cast<std::size_t>(bn_x_.views * bn_x_.rows * bn_x_.channels) * sizeof(double);
  }

  // a = dropout(relu(bn(x))), and the running statistics in training.
  void activate(double* a, const PreactConvForward& call) const {
    const std::vector<double> stats = normalising_stats(spec_.mode, call.bn, call.x_stats, bn_x_);
    if (spec_.mode == Mode::train) update_running_stats(call.bn, stats, bn_x_);
    batch_norm(a, call.x.as<double>(), stats, call.bn, bn_x_);
    const std::int64_t inputs = call.x.elements();
    for (std::int64_t i = 0; i < inputs; ++i) a[i] = relu(a[i]);
    if (spec_.dropout > 0 && spec_.mode == Mode::train) drop(a, call.rows);
  }

  void drop(double* a, const BatchRows& rows) const {
    const std::int64_t image = std::int64_t{spec_.height} * spec_.width * spec_.in_channels;
    for (int view = 0; view < spec_.views; ++view) {
      const std::uint32_t purpose_view =
          static_cast<std::uint32_t>(Purpose::dropout) | (static_cast<std::uint32_t>(view) << 16);
      for (int r = 0; r < spec_.batch; ++r) {
        const auto sample = static_cast<std::uint32_t>(sample_of(rows, r));
        for (std::int64_t element = 0; element < image; ++element) {
          const std::uint32_t block = (spec_.dropout_site << 20) + static_cast<std::uint32_t>(element / 4);
          const Philox4 draws = philox4x32(rows.step->seed, block, sample, rows.step->epoch, purpose_view);
          double& value = a[(std::int64_t{view} * spec_.batch + r) * image + element];
          const bool keep = uniform_float(draws.v[element % 4]) >= spec_.dropout;
          value = keep ? value / (1 - spec_.dropout) : 0.0;
        }
      }
    }
  }

  // d_a becomes d_z, the gradient of batch norm's output: ReLU and dropout multiply by 1 / (1 - p) where a is
  // positive, by 0 elsewhere.
  void to_pre_activation_gradient(double* d_a, const double* a, std::int64_t count) const {
    for (std::int64_t i = 0; i < count; ++i) d_a[i] = a[i] > 0 ? d_a[i] / (1 - spec_.dropout) : 0.0;
  }

  void bias_gradient(double* d_bias, const double* d_y, std::int64_t count) const {
    std::fill_n(d_bias, spec_.out_channels, 0.0);
    for (std::int64_t i = 0; i < count; ++i) d_bias[i % spec_.out_channels] += d_y[i];
  }

  PreactConvSpec spec_;
  ConvGeometry conv_, projection_;
  BnGeometry bn_x_, bn_y_;
};

}  // namespace

std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec) {
  return std::make_unique<ReferencePreactConv>(spec);
}

}  // namespace dpll::reference
