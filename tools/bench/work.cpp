#include "bench/work.h"

namespace dpll::bench {
namespace {

struct CountBytes {
  double bytes = 0;

  void operator()(const char* /*name*/, const Tensor& tensor, Access access) {
    if (!tensor.defined() || access == Access::gather) return;
    bytes += static_cast<double>(tensor.bytes()) * (access == Access::update ? 2 : 1);
  }
  template <typename Struct>
  void operator()(const char* /*name*/, Struct* /*in_backend_memory*/, Access access) {
    bytes += static_cast<double>(sizeof(Struct)) * (access == Access::update ? 2 : 1);
  }
};

// Without the gathered tables.
template <typename Call>
double plain_bytes(Call call) {
  CountBytes count;
  visit_fields(call, count);
  return count.bytes;
}

// `samples` rows of a table, each moved `times`.
double row_bytes(const Tensor& table, double samples, int times = 1) {
  if (!table.defined()) return 0;
  return static_cast<double>(table.bytes()) / static_cast<double>(table.shape[0]) * samples * times;
}

// Operations of one pass through the convolution and the projection.
double convolution(const PreactConvSpec& s) {
  const double pixels = double(s.rows()) * s.out_height() * s.out_width();
  const double taps = double(s.kernel) * s.kernel + (s.projection ? 1 : 0);
  return 2 * pixels * s.out_channels * s.in_channels * taps;
}

double product(const LinearSpec& s) {
  return 2.0 * s.rows() * s.in_features * s.out_features;
}

}  // namespace

Work work_of(const PreactConvSpec& spec, const PreactConvForward& call) {
  return {plain_bytes(call), convolution(spec)};
}

Work work_of(const PreactConvSpec& spec, const PreactConvBackward& call) {
  return {plain_bytes(call), convolution(spec) * (spec.input_gradient ? 2 : 1)};
}

Work work_of(const BnReluPoolSpec& /*spec*/, const BnReluPoolForward& call) {
  return {plain_bytes(call), 0};
}

Work work_of(const BnReluPoolSpec& /*spec*/, const BnReluPoolBackward& call) {
  return {plain_bytes(call), 0};
}

Work work_of(const LinearSpec& spec, const LinearForward& call) {
  return {plain_bytes(call), product(spec)};
}

Work work_of(const LinearSpec& spec, const LinearBackward& call) {
  return {plain_bytes(call), product(spec) * (spec.input_gradient ? 2 : 1)};
}

Work work_of(const PllObjectiveSpec& spec, const PllObjectiveCall& call) {
  return {plain_bytes(call) + row_bytes(call.targets, spec.batch, 2) + row_bytes(call.kept, spec.batch, 2) +
              row_bytes(call.candidates, spec.batch) + row_bytes(call.labels, spec.batch),
          0};
}

Work work_of(const CrossEntropyCall& call) {
  const auto rows = static_cast<double>(call.logits.shape[0]);
  return {plain_bytes(call) + row_bytes(call.predictions, rows) + row_bytes(call.confidences, rows) +
              row_bytes(call.labels, rows),
          0};
}

Work work_of(const SgdSpec& /*spec*/, const SgdCall& call) {
  return {plain_bytes(call), 0};
}

Work work_of(const AugmentSpec& spec, const AugmentCall& call) {
  return {plain_bytes(call) + row_bytes(call.pixels, spec.batch), 0};
}

Work work_of(const FeatureViewsSpec& spec, const FeatureViewsCall& call) {
  return {plain_bytes(call) + row_bytes(call.features, spec.batch), 0};
}

}  // namespace dpll::bench
