// The tensors of every operation's call, one by one, with what the operation does to them. `visit` is called
// as visit(tensor, access) and, for a struct in backend memory, as visit(pointer, access). What is left out:
// the step's values and the order, which all calls share, saved and workspace, which the operation chooses.
#pragma once

#include "dpll/backend.h"

namespace dpll::bench {

enum class Access {
  read,
  write,
  update,  // read and written
  gather,  // a table of all samples, of which the call reads (or updates) the batch's rows
};

template <typename Visit>
void visit_batch_norm_forward(BatchNorm& bn, Visit&& visit) {
  visit(bn.gamma, Access::read);
  visit(bn.beta, Access::read);
  visit(bn.running_mean, Access::update);
  visit(bn.running_var, Access::update);
}

template <typename Visit>
void visit_batch_norm_backward(BatchNorm& bn, Visit&& visit) {
  visit(bn.gamma, Access::read);
  visit(bn.beta, Access::read);
  visit(bn.d_gamma, Access::write);
  visit(bn.d_beta, Access::write);
}

template <typename Visit>
void visit_fields(PreactConvForward& call, Visit&& visit) {
  visit(call.y, Access::write);
  visit(call.y_stats, Access::write);
  visit(call.projected, Access::write);
  visit(call.x, Access::read);
  visit(call.x_stats, Access::read);
  visit_batch_norm_forward(call.bn, visit);
  visit(call.weight, Access::read);
  visit(call.bias, Access::read);
  visit(call.projection_weight, Access::read);
  visit(call.residual, Access::read);
}

template <typename Visit>
void visit_fields(PreactConvBackward& call, Visit&& visit) {
  visit(call.d_x, call.accumulate == Accumulate::yes ? Access::update : Access::write);
  visit(call.d_weight, Access::write);
  visit(call.d_bias, Access::write);
  visit(call.d_projection_weight, Access::write);
  visit_batch_norm_backward(call.bn, visit);
  visit(call.d_y, Access::read);
  visit(call.d_projected, Access::read);
  visit(call.x, Access::read);
  visit(call.x_stats, Access::read);
  visit(call.weight, Access::read);
  visit(call.projection_weight, Access::read);
}

template <typename Visit>
void visit_fields(BnReluPoolForward& call, Visit&& visit) {
  visit(call.y, Access::write);
  visit(call.x, Access::read);
  visit(call.x_stats, Access::read);
  visit_batch_norm_forward(call.bn, visit);
}

template <typename Visit>
void visit_fields(BnReluPoolBackward& call, Visit&& visit) {
  visit(call.d_x, Access::write);
  visit_batch_norm_backward(call.bn, visit);
  visit(call.d_y, Access::read);
  visit(call.x, Access::read);
  visit(call.x_stats, Access::read);
}

template <typename Visit>
void visit_fields(LinearForward& call, Visit&& visit) {
  visit(call.y, Access::write);
  visit(call.y_stats, Access::write);
  visit(call.x, Access::read);
  visit(call.weight, Access::read);
  visit(call.bias, Access::read);
}

template <typename Visit>
void visit_fields(LinearBackward& call, Visit&& visit) {
  visit(call.d_x, Access::write);
  visit(call.d_weight, Access::write);
  visit(call.d_bias, Access::write);
  visit(call.d_y, Access::read);
  visit(call.x, Access::read);
  visit(call.weight, Access::read);
}

template <typename Visit>
void visit_fields(PllObjectiveCall& call, Visit&& visit) {
  visit(call.d_logits, Access::write);
  visit(call.targets, Access::gather);
  visit(call.last, Access::write);
  visit(call.total, Access::update);
  visit(call.logits, Access::read);
  visit(call.candidates, Access::gather);
  visit(call.labels, Access::gather);
}

template <typename Visit>
void visit_fields(CrossEntropyCall& call, Visit&& visit) {
  visit(call.sums, Access::update);
  visit(call.predictions, Access::gather);
  visit(call.confidences, Access::gather);
  visit(call.logits, Access::read);
  visit(call.labels, Access::gather);
}

template <typename Visit>
void visit_fields(SgdCall& call, Visit&& visit) {
  visit(call.value, Access::update);
  visit(call.velocity, Access::update);
  visit(call.average, Access::update);
  visit(call.weight, Access::write);
  visit(call.health, Access::update);
  visit(call.step, Access::update);
  visit(call.d_weight, Access::read);
  visit(call.d_value, Access::read);
}

template <typename Visit>
void visit_fields(AugmentCall& call, Visit&& visit) {
  visit(call.images, Access::write);
  visit(call.pixels, Access::gather);
}

template <typename Visit>
void visit_fields(FeatureViewsCall& call, Visit&& visit) {
  visit(call.views, Access::write);
  visit(call.features, Access::gather);
}

}  // namespace dpll::bench
