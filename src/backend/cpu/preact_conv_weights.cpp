#include "backend/cpu/preact_conv_parts.h"

namespace dpll::cpu {

WeightGradients::WeightGradients(const CpuConvSpec& spec, const Cut& cut, MemoryPlan& plan)
    : chunks_(cut.chunks),
      lanes_(cut.lanes),
      out_elements_(cut.out_elements),
      main_(make(main_geometry(spec, cut.images), plan)) {
  if (spec.projection) projection_ = make(projection_geometry(spec, cut.images), plan);
  std::size_t scratch = main_.whole ? main_.whole->scratch_bytes() : 0;
  if (projection_ && projection_->whole) scratch = std::max(scratch, projection_->whole->scratch_bytes());
  batch_scratch_ = plan.add_bytes(scratch);
}

WeightGradients::Gradient WeightGradients::make(const ConvGeometry& chunk, MemoryPlan& plan) const {
  Gradient made;
  made.partial = make_partial_weight_gradient(chunk, lanes_);
  if (made.partial) {
    made.scratch = plan.add_bytes(made.partial->scratch_bytes(), lanes_);
    return made;
  }
  ConvGeometry batch = chunk;
  batch.images *= chunks_;
  made.whole = make_conv_backward_weight(batch);
  return made;
}

bool WeightGradients::need_no_batch(const CpuConvSpec& spec) {
  return has_partial_weight_gradient(main_geometry(spec, 1)) &&
         (!spec.projection || has_partial_weight_gradient(projection_geometry(spec, 1)));
}

std::size_t WeightGradients::sums_bytes() const {
  std::size_t bytes = main_.partial ? main_.partial->sums_bytes() : 0;
  if (projection_ && projection_->partial) bytes += projection_->partial->sums_bytes();
  return bytes;
}

void WeightGradients::run(const PreactConvBackward& call, const float* a) const {
  void* scratch = batch_scratch_.in(call.workspace);
  if (main_.whole) main_.whole->run(call.d_weight.as<float>(), a, call.d_y.as<float>(), scratch);
  if (projection_ && projection_->whole) {
    projection_->whole->run(call.d_projection_weight.as<float>(), a, call.d_projected.as<float>(), scratch);
  }
}

void WeightGradients::begin(void* workspace, int lane) const {
  if (main_.partial) main_.partial->begin(main_.scratch.in(workspace, lane));
  if (projection_ && projection_->partial) {
    projection_->partial->begin(projection_->scratch.in(workspace, lane));
  }
}

void WeightGradients::add(const PreactConvBackward& call, const float* a, int chunk, int lane) const {
  const std::int64_t at = chunk * out_elements_;
  if (main_.partial) {
    main_.partial->add(lane, a, call.d_y.as<float>() + at, main_.scratch.in(call.workspace, lane));
  }
  if (projection_ && projection_->partial) {
    projection_->partial->add(lane, a, call.d_projected.as<float>() + at,
                              projection_->scratch.in(call.workspace, lane));
  }
}

void WeightGradients::finish(const PreactConvBackward& call) const {
  const auto finish = [&](const Gradient& gradient, float* d_weight) {
    if (gradient.partial == nullptr) return;
    gradient.partial->finish(d_weight, gradient.scratch.in(call.workspace), gradient.scratch.lane_bytes,
                             lanes_);
  };
  finish(main_, call.d_weight.as<float>());
  if (projection_) finish(*projection_, call.d_projection_weight.as<float>());
}

}  // namespace dpll::cpu
