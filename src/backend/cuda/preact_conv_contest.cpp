// A contest between the variants of preact_conv.
#include <algorithm>
#include <cmath>
#include <memory>

#include "backend/cuda/contest_tensors.h"
#include "backend/cuda/convolution_contest.h"
#include "backend/cuda/large_means.h"
#include "backend/cuda/preact_conv.h"
#include "backend/cuda/recomputed.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// Device copies of the calls' structs.
struct Calls {
  PreactConvForward forward;
  PreactConvBackward backward;
  // Forward changes these, so every run begins with copies of them.
  const void *running_mean = nullptr, *running_var = nullptr;
};

ConvolutionShape shape_of(const Context& context, const PreactConvSpec& spec) {
  return {.images = spec.rows(),
          .height = spec.height,
          .width = spec.width,
          .in_channels = spec.in_channels,
          .out_channels = spec.out_channels,
          .kernel = spec.kernel,
          .stride = spec.stride,
          .pad = spec.pad,
          .type = context.compute};
}

class CallMaker {
 public:
  CallMaker(const Context& context, const PreactConvSpec& spec, Contest& contest)
      : context_(context), spec_(spec), contest_(contest), make_(context.runtime, contest) {}

  Calls calls() {
    const double taps = spec_.kernel * spec_.kernel;
    const double weight_scale = 1 / std::sqrt(taps * spec_.in_channels);
    Calls calls;
    PreactConvForward& forward = calls.forward;
    PreactConvBackward& backward = calls.backward;
    std::function<void()> draw_x;
    forward.x = {make_.random(type_, elements(in_shape()), 2, kQuantum, &draw_x), type_, in_shape()};
    if (spec_.preact) add_norm(calls);
    forward.weight = random(weight_shape(spec_.kernel), weight_scale);
    if (spec_.bias) forward.bias = master({spec_.out_channels}, 1);
    if (spec_.residual) forward.residual = random(out_shape(), 1);
    backward.x = forward.x;
    backward.x_stats = forward.x_stats;
    backward.weight = forward.weight;
    backward.d_y = random(out_shape(), 1);

    // The values that the convolution reads are of size 1, or 2 without batch norm; scale and bias of the
    // fused ones are rounded to the type of x, as is the activation.
    const double unit = unit_roundoff(type_), activation = spec_.preact ? 1.5 : 2 * kUniformRms;
    const double of_factors = spec_.preact ? 8 * unit : 0;
    const double rows_in = double(spec_.rows()) * spec_.height * spec_.width,
                 rows_out = double(spec_.rows()) * spec_.out_height() * spec_.out_width();
    Bound of_y =
        bound_of_sum(type_, taps * spec_.in_channels, activation * kUniformRms * weight_scale, of_factors);
    of_y.absolute += spec_.residual ? 4 * unit : 0;  // the sum is rounded again
    forward.y = output("y", out_shape(), of_y);
    const ElementReader activation_of = read_activation(forward);
    know_forward(forward, activation_of);
    if (spec_.stats) {
      // Of the mean, and of the mean of squares of y of size about 1.
      const Bound of_stats = {8 * unit, 4 * of_y.absolute + 8 * unit + 16 * 0x1p-23};
      forward.y_stats = master_output("y_stats", view_stats_shape(spec_.views, spec_.out_channels), of_stats);
      know_statistics(forward);
      examine_statistics(forward, draw_x);
    }
    if (spec_.projection) {
      const double projection_scale = 1 / std::sqrt(double(spec_.in_channels));
      forward.projection_weight = backward.projection_weight = random(weight_shape(1), projection_scale);
      forward.projected = output(
          "projected", out_shape(),
          bound_of_sum(type_, spec_.in_channels, activation * kUniformRms * projection_scale, of_factors));
      make_.known(
          [s = projection_shape(), activation_of, weight = read(forward.projection_weight)](std::int64_t i) {
            return recomputed_element(s, ConvolutionPass::forward, i, activation_of, weight, {});
          });
      backward.d_projected = random(out_shape(), 1);
    }
    Bound of_weights = bound_of_sum(type_, rows_out, activation * kUniformRms, of_factors);
    of_weights.absolute +=
        4 * unit * activation * std::sqrt(rows_out);  // views are rounded before they are added
    backward.d_weight = output("d_weight", weight_shape(spec_.kernel), of_weights);
    know_weight_gradient(shape_of(context_, spec_), activation_of, backward.d_y);
    if (spec_.projection) {
      backward.d_projection_weight = output("d_projection_weight", weight_shape(1), of_weights);
      know_weight_gradient(projection_shape(), activation_of, backward.d_projected);
    }
    if (spec_.bias) {
      backward.d_bias = master_output("d_bias", {spec_.out_channels}, {1e-5, 1e-5 * std::sqrt(rows_out)});
      make_.known([d_y = read(backward.d_y), rows = static_cast<std::int64_t>(rows_out),
                   channels = spec_.out_channels](std::int64_t c) {
        double sum = 0;
        for (std::int64_t row = 0; row < rows; ++row) sum += d_y(row * channels + c);
        return sum;
      });
    }
    // d_a is of this size; rounded, then scaled by gamma / deviation, at most 2.25.
    const double d_a = 2 * std::sqrt(double(spec_.out_channels) / spec_.in_channels);
    const Bound of_d_a =
        bound_of_sum(type_, taps * spec_.out_channels, kUniformRms * kUniformRms * weight_scale, 0);
    const double off = of_d_a.absolute + 16 * unit * d_a;
    if (spec_.input_gradient) {
      backward.d_x = output("d_x", in_shape(), {4 * unit, spec_.preact ? 2.25 * off : off});
    }
    if (spec_.preact) {
      const Bound of_sums = {4 * unit, 4 * off * std::sqrt(rows_in) + 4 * 0x1p-23 * rows_in * d_a};
      backward.bn.d_gamma = master_output("d_gamma", {spec_.in_channels}, of_sums);
      backward.bn.d_beta = master_output("d_beta", {spec_.in_channels}, of_sums);
      know_norm_gradients(backward, forward.bn);
    }
    return calls;
  }

 private:
  ElementReader read(const Tensor& tensor) {
    const auto values =
        std::make_shared<const HostValues>(make_.on_host(tensor.data, tensor.dtype, tensor.shape.elements()));
    return [values](std::int64_t i) { return (*values)[i]; };
  }
  ConvolutionShape projection_shape() const {
    ConvolutionShape s = shape_of(context_, spec_);
    s.kernel = 1;
    s.pad = 0;
    return s;
  }

  // What the convolutions read, by its index in [V*B, H, W, in], before it is rounded.
  ElementReader read_activation(const PreactConvForward& forward) {
    const std::int64_t channels = spec_.in_channels;
    const ElementReader x = read(forward.x);
    if (!spec_.preact) return x;
    const std::int64_t of_view = std::int64_t{spec_.batch} * spec_.height * spec_.width * channels;
    return [=, stats = read(forward.x_stats), gamma = read(forward.bn.gamma),
            beta = read(forward.bn.beta)](std::int64_t i) {
      const std::int64_t c = i % channels, of_mean = i / of_view * 2 * channels + c;
      const double inverse = 1 / std::sqrt(stats(of_mean + channels) + kBatchNormEpsilon);
      return std::max(gamma(c) * (x(i) - stats(of_mean)) * inverse + beta(c), 0.0);
    };
  }

  // Of the output that was made last, as the other know_ functions.
  void know_forward(const PreactConvForward& forward, const ElementReader& activation) {
    const ElementReader weight = read(forward.weight),
                        bias = spec_.bias ? read(forward.bias) : [](std::int64_t) { return 0.0; },
                        residual = spec_.residual ? read(forward.residual) : [](std::int64_t) { return 0.0; };
    make_.known([=, s = shape_of(context_, spec_)](std::int64_t i) {
      return recomputed_element(s, ConvolutionPass::forward, i, activation, weight, {}) +
             bias(i % s.out_channels) + residual(i);
    });
  }
  void know_weight_gradient(const ConvolutionShape& s, const ElementReader& activation, const Tensor& d_y) {
    make_.known([=, d_y = read(d_y)](std::int64_t i) {
      return recomputed_element(s, ConvolutionPass::weight_gradient, i, activation, {}, d_y);
    });
  }
  // Of y as it was stored.
  void know_statistics(const PreactConvForward& forward) {
    const ContestOutput output = contest_.outputs.back();
    const std::int64_t channels = spec_.out_channels, elements = out_shape().elements(),
                       rows = elements / channels / spec_.views;
    contest_.measures.push_back([=, type = type_, y = forward.y.data,
                                 &runtime = context_.runtime]() -> std::string {
      const HostValues stored(runtime, y, type, elements);
      for (const std::int64_t of : spread_indices(output.elements / 2, 2)) {
        const std::int64_t view = of / channels, c = of % channels, first = view * rows;
        double mean = 0, variance = 0;
        for (std::int64_t row = first; row < first + rows; ++row) mean += stored[row * channels + c];
        mean /= static_cast<double>(rows);
        for (std::int64_t row = first; row < first + rows; ++row) {
          const double apart = stored[row * channels + c] - mean;
          variance += apart * apart;
        }
        variance /= static_cast<double>(rows);
        const std::int64_t of_mean = view * 2 * channels + c;
        std::string wrong = complaint_about(
            runtime,
            {output.name, {of_mean, of_mean + channels}, {mean, variance}, output.relative, output.absolute},
            output.data, output.type);
        if (!wrong.empty()) return wrong;
      }
      return "";
    });
  }

  // d_gamma, d_beta and d_x of one channel, by the derivative of batch norm in training.
  void know_norm_gradients(const PreactConvBackward& backward, const BatchNorm& bn) {
    const int channel = spec_.in_channels / 2;
    const auto known = std::make_shared<std::vector<KnownElements>>();
    std::vector<ContestOutput> outputs;
    for (const ContestOutput& output : contest_.outputs) {
      if (output.name == "d_gamma" || output.name == "d_beta" || output.name == "d_x")
        outputs.push_back(output);
    }
    const PreactConvSpec spec = spec_;
    const ConvolutionShape plain = shape_of(context_, spec_), projection = projection_shape();
    contest_.measures.push_back([=, &runtime = context_.runtime]() -> std::string {
      if (known->empty()) {
        const auto host = [&](const Tensor& tensor) {
          return HostValues(runtime, tensor.data, tensor.dtype, tensor.shape.elements());
        };
        std::vector<double> d_z =
            recomputed_channel(plain, channel, host(backward.weight), host(backward.d_y));
        if (spec.projection) {
          const std::vector<double> more = recomputed_channel(
              projection, channel, host(backward.projection_weight), host(backward.d_projected));
          for (std::size_t i = 0; i < d_z.size(); ++i) d_z[i] += more[i];
        }
        const HostValues x = host(backward.x), stats = host(backward.x_stats);
        const double gamma = host(bn.gamma)[channel], beta = host(bn.beta)[channel];
        const std::int64_t channels = spec.in_channels,
                           rows = std::int64_t{spec.batch} * spec.height * spec.width;
        KnownElements d_gamma{"d_gamma", {channel}, {0}}, d_beta{"d_beta", {channel}, {0}},
            d_x{"d_x", {}, {}};
        for (std::int64_t view = 0; view < spec.views; ++view) {
          const double mean = stats[view * 2 * channels + channel],
                       inverse =
                           1 / std::sqrt(stats[(view * 2 + 1) * channels + channel] + kBatchNormEpsilon);
          const auto x_hat = [&](std::int64_t row) { return (x[row * channels + channel] - mean) * inverse; };
          double sum = 0, product = 0;
          for (std::int64_t row = view * rows; row < (view + 1) * rows; ++row) {
            double& value = d_z[static_cast<std::size_t>(row)];
            if (!(gamma * x_hat(row) + beta > 0)) value = 0;
            sum += value;
            product += value * x_hat(row);
          }
          d_gamma.values[0] += product;
          d_beta.values[0] += sum;
          const auto count = static_cast<double>(rows);
          for (const std::int64_t at : spread_indices(rows, 16)) {
            const std::int64_t row = view * rows + at;
            d_x.indices.push_back(row * channels + channel);
            d_x.values.push_back(
                gamma * inverse *
                (d_z[static_cast<std::size_t>(row)] - sum / count - x_hat(row) * product / count));
          }
        }
        *known = {d_gamma, d_beta, d_x};
        for (KnownElements& of : *known) {
          for (const ContestOutput& output : outputs) {
            if (output.name != of.name) continue;
            of.relative = output.relative;
            of.absolute = output.absolute;
          }
        }
      }
      for (const ContestOutput& output : outputs) {
        for (const KnownElements& of : *known) {
          if (output.name != of.name) continue;
          std::string wrong = complaint_about(runtime, of, output.data, output.type);
          if (!wrong.empty()) return wrong;
        }
      }
      return "";
    });
  }
  void examine_statistics(const PreactConvForward& forward, const std::function<void()>& draw_x) {
    LargeMeans means = {.shape = shape_of(context_, spec_),
                        .views = spec_.views,
                        .weight = forward.weight.data,
                        .y = forward.y.data,
                        // What the convolution reads scatters by about 1, its weights' squares sum up to 1/3.
                        .deviation = kUniformRms,
                        .stats = forward.y_stats.as<float>()};
    if (spec_.preact) {
      offset_by_factors(context_.runtime, make_, forward.bn.gamma.data, forward.bn.beta.data, DType::f32,
                        means);
    } else {
      offset_by_input(context_.runtime, make_, forward.x.data, draw_x, means);
    }
    examine_large_means(context_.runtime, contest_, make_, means);
  }
  Shape in_shape() const { return {spec_.rows(), spec_.height, spec_.width, spec_.in_channels}; }
  Shape out_shape() const {
    return {spec_.rows(), spec_.out_height(), spec_.out_width(), spec_.out_channels};
  }
  Shape weight_shape(int kernel) const { return {spec_.out_channels, spec_.in_channels, kernel, kernel}; }
  static std::int64_t elements(const Shape& shape) { return shape.elements(); }

  Tensor random(const Shape& shape, double scale) {
    return {make_.random(type_, shape.elements(), scale), type_, shape};
  }
  Tensor master(const Shape& shape, double scale) {
    return {make_.random(DType::f32, shape.elements(), scale), DType::f32, shape};
  }
  Tensor output(const std::string& name, const Shape& shape, const Bound& bound) {
    return {make_.output(name, type_, shape.elements(), bound), type_, shape};
  }
  Tensor master_output(const std::string& name, const Shape& shape, const Bound& bound) {
    return {make_.output(name, DType::f32, shape.elements(), bound), DType::f32, shape};
  }

  void add_norm(Calls& calls) {
    const Shape shape = {spec_.in_channels};
    const NormVectors parameters(spec_.in_channels, 1);
    std::vector<float> stats, betas;
    for (int view = 0; view < spec_.views; ++view) {
      const NormVectors of_view(spec_.in_channels, 2 + static_cast<std::uint32_t>(view));
      stats.insert(stats.end(), of_view.mean.begin(), of_view.mean.end());
      // One deviation for all views: only then is beta, which they share, a number of quanta in each.
      for (const float inverse : parameters.inverse_deviation) {
        stats.push_back(static_cast<float>(1.0 / (double(inverse) * inverse) - kBatchNormEpsilon));
      }
    }
    calls.forward.x_stats = {make_.vector(stats), DType::f32,
                             view_stats_shape(spec_.views, spec_.in_channels)};
    BatchNorm& bn = calls.forward.bn;
    bn.gamma = {make_.vector(parameters.gamma), DType::f32, shape};
    bn.beta = {make_.vector(parameters.beta), DType::f32, shape};
    calls.running_mean = make_.vector(parameters.mean);
    calls.running_var = make_.vector(parameters.inverse_deviation);
    bn.running_mean = master_output("running_mean", shape, {0x1p-22, 0x1p-22});
    bn.running_var = master_output("running_var", shape, {0x1p-22, 0x1p-22});
    calls.backward.bn = bn;
  }

  Context context_;
  PreactConvSpec spec_;
  DType type_ = context_.compute;
  Contest& contest_;
  ContestTensors make_;
};

}  // namespace

std::string key_of(const Context& context, const PreactConvSpec& spec) {
  return fmt::format(
      "preact_conv of {} {} views of {}x{}x{}x{} to {} channels, {}x{}, stride {}, pad {}{}{}{}{}{}{}",
      dpll::name_of(context.compute), spec.views, spec.batch, spec.height, spec.width, spec.in_channels,
      spec.out_channels, spec.kernel, spec.kernel, spec.stride, spec.pad, spec.preact ? ", preact" : "",
      spec.bias ? ", bias" : "", spec.projection ? ", projection" : "", spec.residual ? ", residual" : "",
      spec.stats ? ", stats" : "",
      (spec.input_gradient ? "" : ", no input gradient") + std::string(spec.dropout > 0 ? ", dropout" : ""));
}

Contest preact_conv_contest(const Context& context, const PreactConvSpec& spec,
                            const std::vector<PreactVariant>& variants) {
  Contest contest;
  // Dropout needs a step and an order, and changes nothing about which variant is best.
  PreactConvSpec tried = spec;
  tried.dropout = 0;
  tried.share = {};  // each rank tries alone
  const Calls calls = CallMaker(context, tried, contest).calls();
  contest.operations = 3 * operations_of(shape_of(context, spec));
  for (const PreactVariant& variant : variants) {
    contest.contenders.push_back(
        {name_of(variant), [=]() -> std::function<void()> {
           const std::shared_ptr<PreactConv> made = make_preact_conv(context, tried, variant);
           if (made == nullptr) return {};
           const auto saved = std::make_shared<ScratchMemory>(context.runtime, made->saved_bytes()),
                      workspace = std::make_shared<ScratchMemory>(context.runtime, made->workspace_bytes());
           Calls own = calls;
           own.forward.saved = saved->data();
           own.backward.saved = saved->data();
           own.forward.workspace = own.backward.workspace = workspace->data();
           Runtime& runtime = context.runtime;
           return [own, made, saved, workspace, &runtime] {
             if (own.running_mean != nullptr) {
               const Tensor &mean = own.forward.bn.running_mean, &var = own.forward.bn.running_var;
               runtime.copy(mean.data, own.running_mean, mean.bytes());
               runtime.copy(var.data, own.running_var, var.bytes());
             }
             made->forward(own.forward);
             made->backward(own.backward);
           };
         }});
  }
  return contest;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
