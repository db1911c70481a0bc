#include "check/host_operations.h"

#include <utility>

namespace dpll::check {
namespace {

// Only the convolution and the projection.
PreactConvSpec products_of(const PreactConvSpec& spec, bool data) {
  return {.mode = Mode::train,
          .views = spec.views,
          .batch = spec.batch,
          .height = spec.height,
          .width = spec.width,
          .in_channels = spec.in_channels,
          .out_channels = spec.out_channels,
          .kernel = spec.kernel,
          .stride = spec.stride,
          .pad = spec.pad,
          .preact = false,
          .projection = spec.projection,
          .input_gradient = data};
}

Shape shape_of_x(const PreactConvSpec& s) {
  return {s.rows(), s.height, s.width, s.in_channels};
}
Shape shape_of_y(const PreactConvSpec& s) {
  return {s.rows(), s.out_height(), s.out_width(), s.out_channels};
}
Shape shape_of_weight(const PreactConvSpec& s) {
  return {s.out_channels, s.in_channels, s.kernel, s.kernel};
}

}  // namespace

Convolved convolve(Backend& cpu, const PreactConvSpec& spec, const Floats& a, const Floats& weight,
                   const Floats& projection_weight) {
  const PreactConvSpec s = products_of(spec, false);
  const std::unique_ptr<PreactConv> op = cpu.make_preact_conv(s);
  CpuTensors make(cpu);
  PreactConvForward call;
  call.y = make.empty(DType::f32, shape_of_y(s));
  call.x = make.of(a, shape_of_x(s));
  call.weight = make.of(weight, shape_of_weight(s));
  if (s.projection) {
    call.projected = make.empty(DType::f32, shape_of_y(s));
    call.projection_weight = make.of(projection_weight, {s.out_channels, s.in_channels, 1, 1});
  }
  call.saved = make.bytes(op->saved_bytes());
  call.workspace = make.bytes(op->workspace_bytes());
  op->forward(call);
  return {make.values(call.y), s.projection ? make.values(call.projected) : Floats{}};
}

ConvolutionGradients convolution_gradients(Backend& cpu, const PreactConvSpec& spec,
                                           const ConvolutionFactors& factors, bool data) {
  const PreactConvSpec s = products_of(spec, data);
  const std::unique_ptr<PreactConv> op = cpu.make_preact_conv(s);
  CpuTensors make(cpu);
  PreactConvBackward call;
  if (data) call.d_x = make.empty(DType::f32, shape_of_x(s));
  call.d_weight = make.empty(DType::f32, shape_of_weight(s));
  call.d_y = make.of(factors.d_y, shape_of_y(s));
  call.x = make.of(factors.a, shape_of_x(s));
  call.weight = make.of(factors.weight, shape_of_weight(s));
  if (s.projection) {
    const Shape shape{s.out_channels, s.in_channels, 1, 1};
    call.d_projection_weight = make.empty(DType::f32, shape);
    call.d_projected = make.of(factors.d_projected, shape_of_y(s));
    call.projection_weight = make.of(factors.projection_weight, shape);
  }
  call.saved = make.bytes(op->saved_bytes());  // 0 bytes without batch norm
  call.workspace = make.bytes(op->workspace_bytes());
  op->backward(call);
  return {data ? make.values(call.d_x) : Floats{}, make.values(call.d_weight),
          s.projection ? make.values(call.d_projection_weight) : Floats{}};
}

Floats multiply(Backend& cpu, const LinearSpec& spec, const Floats& x, const Floats& weight) {
  const LinearSpec s{.views = spec.views,
                     .batch = spec.batch,
                     .in_features = spec.in_features,
                     .out_features = spec.out_features};
  const std::unique_ptr<Linear> op = cpu.make_linear(s);
  CpuTensors make(cpu);
  const LinearForward call{.y = make.empty(DType::f32, {s.rows(), s.out_features}),
                           .x = make.of(x, {s.rows(), s.in_features}),
                           .weight = make.of(weight, {s.out_features, s.in_features}),
                           .bias = make.empty(DType::f32, {s.out_features}),
                           .workspace = make.bytes(op->workspace_bytes())};
  op->forward(call);
  return make.values(call.y);
}

LinearGradients linear_gradients(Backend& cpu, const LinearSpec& spec, const Floats& x, const Floats& weight,
                                 const Floats& d_y) {
  LinearSpec s = spec;
  s.stats = false;
  const std::unique_ptr<Linear> op = cpu.make_linear(s);
  CpuTensors make(cpu);
  LinearBackward call{.d_weight = make.empty(DType::f32, {s.out_features, s.in_features}),
                      .d_bias = make.empty(DType::f32, {s.out_features}),
                      .d_y = make.of(d_y, {s.rows(), s.out_features}),
                      .x = make.of(x, {s.rows(), s.in_features}),
                      .weight = make.of(weight, {s.out_features, s.in_features}),
                      .workspace = make.bytes(op->workspace_bytes())};
  if (s.input_gradient) call.d_x = make.empty(DType::f32, {s.rows(), s.in_features});
  op->backward(call);
  return {s.input_gradient ? make.values(call.d_x) : Floats{}, make.values(call.d_weight)};
}

Floats to_oihw(const Floats& weight, ConvWeightLayout layout, int out_channels, int in_channels, int kernel) {
  if (layout == ConvWeightLayout::oihw) return weight;
  const std::size_t in = static_cast<std::size_t>(in_channels),
                    taps = static_cast<std::size_t>(kernel) * static_cast<std::size_t>(kernel);
  Floats result(weight.size());
  for (std::size_t o = 0; o < static_cast<std::size_t>(out_channels); ++o) {
    for (std::size_t t = 0; t < taps; ++t) {
      for (std::size_t i = 0; i < in; ++i) result[(o * in + i) * taps + t] = weight[(o * taps + t) * in + i];
    }
  }
  return result;
}

Tensor CpuTensors::empty(DType type, const Shape& shape) {
  const Tensor like{nullptr, type, shape};
  return {bytes(like.bytes()), type, shape};
}

Tensor CpuTensors::of(const Floats& values, const Shape& shape) {
  const Tensor tensor = empty(DType::f32, shape);
  DPLL_CHECK(static_cast<std::int64_t>(values.size()) == shape.elements(), "{} values for {}", values.size(),
             shape.to_string());
  cpu_.copy_in(tensor, values.data());
  return tensor;
}

Tensor CpuTensors::of(const Recording& recording, const std::string& name, DType type) {
  const Tensor tensor = empty(type, recording.shape(name));
  cpu_.copy_in(tensor, recording.bytes(name).data());
  return tensor;
}

void* CpuTensors::bytes(std::size_t count) {
  buffers_.push_back(cpu_.allocate(count, "an operation that is checked"));
  return buffers_.back().data();
}

Floats CpuTensors::values(const Tensor& tensor) const {
  Floats values(static_cast<std::size_t>(tensor.elements()));
  cpu_.copy_out(values.data(), tensor);
  return values;
}

BatchRows CpuTensors::rows(const HostRows& rows) {
  BatchRows result{.step = place(rows.step), .order = {}};
  if (!rows.order.empty()) {
    result.order = empty(DType::i32, {static_cast<std::int64_t>(rows.order.size())});
    cpu_.copy_in(result.order, rows.order.data());
  }
  return result;
}

}  // namespace dpll::check
