// The tensors of every operation's call, one by one, with their names and what the operation does to them.
// `visit` is called as visit(name, tensor, access) and, for a struct in backend memory, as visit(name,
// pointer, access). Names are those of the call's fields: "x", "bn.gamma". What is left out: the step's
// values and the order, which all calls share, saved and workspace, which the operation chooses.
#pragma once

#include "dpll/backend.h"

namespace dpll {

enum class Access {
  read,
  write,
  update,  // read and written
  gather,  // a table of all samples, of which the call reads (or updates) the batch's rows
};

template <typename Visit>
void visit_batch_norm_forward(BatchNorm& bn, Visit&& visit) {
  visit("bn.gamma", bn.gamma, Access::read);
  visit("bn.beta", bn.beta, Access::read);
  visit("bn.running_mean", bn.running_mean, Access::update);
  visit("bn.running_var", bn.running_var, Access::update);
}

template <typename Visit>
void visit_batch_norm_backward(BatchNorm& bn, Visit&& visit) {
  visit("bn.gamma", bn.gamma, Access::read);
  visit("bn.beta", bn.beta, Access::read);
  visit("bn.d_gamma", bn.d_gamma, Access::write);
  visit("bn.d_beta", bn.d_beta, Access::write);
}

// Of a block's shortcut.
template <typename Visit>
void visit_second_batch_norm_forward(BatchNorm& bn, Visit&& visit) {
  visit("shortcut_bn.gamma", bn.gamma, Access::read);
  visit("shortcut_bn.beta", bn.beta, Access::read);
  visit("shortcut_bn.running_mean", bn.running_mean, Access::update);
  visit("shortcut_bn.running_var", bn.running_var, Access::update);
}

template <typename Visit>
void visit_second_batch_norm_backward(BatchNorm& bn, Visit&& visit) {
  visit("shortcut_bn.gamma", bn.gamma, Access::read);
  visit("shortcut_bn.beta", bn.beta, Access::read);
  visit("shortcut_bn.d_gamma", bn.d_gamma, Access::write);
  visit("shortcut_bn.d_beta", bn.d_beta, Access::write);
}

template <typename Visit>
void visit_fields(PreactConvForward& call, Visit&& visit) {
  visit("y", call.y, Access::write);
  visit("y_stats", call.y_stats, Access::write);
  visit("projected", call.projected, Access::write);
  visit("x", call.x, Access::read);
  visit("x_stats", call.x_stats, Access::read);
  visit_batch_norm_forward(call.bn, visit);
  visit("weight", call.weight, Access::read);
  visit("bias", call.bias, Access::read);
  visit("projection_weight", call.projection_weight, Access::read);
  visit("residual", call.residual, Access::read);
}

template <typename Visit>
void visit_fields(PreactConvBackward& call, Visit&& visit) {
  visit("d_x", call.d_x, call.accumulate == Accumulate::yes ? Access::update : Access::write);
  visit("d_weight", call.d_weight, Access::write);
  visit("d_bias", call.d_bias, Access::write);
  visit("d_projection_weight", call.d_projection_weight, Access::write);
  visit_batch_norm_backward(call.bn, visit);
  visit("d_y", call.d_y, Access::read);
  visit("d_projected", call.d_projected, Access::read);
  visit("x", call.x, Access::read);
  visit("x_stats", call.x_stats, Access::read);
  visit("weight", call.weight, Access::read);
  visit("projection_weight", call.projection_weight, Access::read);
}

template <typename Visit>
void visit_fields(BnReluPoolForward& call, Visit&& visit) {
  visit("y", call.y, Access::write);
  visit("x", call.x, Access::read);
  visit("x_stats", call.x_stats, Access::read);
  visit_batch_norm_forward(call.bn, visit);
  visit("shortcut", call.shortcut, Access::read);
  visit("shortcut_stats", call.shortcut_stats, Access::read);
  visit_second_batch_norm_forward(call.shortcut_bn, visit);
}

template <typename Visit>
void visit_fields(BnReluPoolBackward& call, Visit&& visit) {
  visit("d_x", call.d_x, Access::write);
  visit_batch_norm_backward(call.bn, visit);
  visit("d_shortcut", call.d_shortcut, Access::write);
  visit_second_batch_norm_backward(call.shortcut_bn, visit);
  visit("d_y", call.d_y, Access::read);
  visit("x", call.x, Access::read);
  visit("x_stats", call.x_stats, Access::read);
  visit("shortcut", call.shortcut, Access::read);
  visit("shortcut_stats", call.shortcut_stats, Access::read);
}

template <typename Visit>
void visit_fields(LinearForward& call, Visit&& visit) {
  visit("y", call.y, Access::write);
  visit("y_stats", call.y_stats, Access::write);
  visit("x", call.x, Access::read);
  visit("weight", call.weight, Access::read);
  visit("bias", call.bias, Access::read);
}

template <typename Visit>
void visit_fields(LinearBackward& call, Visit&& visit) {
  visit("d_x", call.d_x, Access::write);
  visit("d_weight", call.d_weight, Access::write);
  visit("d_bias", call.d_bias, Access::write);
  visit("d_y", call.d_y, Access::read);
  visit("x", call.x, Access::read);
  visit("weight", call.weight, Access::read);
}

template <typename Visit>
void visit_fields(PllObjectiveCall& call, Visit&& visit) {
  visit("d_logits", call.d_logits, Access::write);
  visit("targets", call.targets, Access::gather);
  visit("kept", call.kept, Access::gather);
  visit("last", call.last, call.adds ? Access::update : Access::write);
  visit("total", call.total, Access::update);
  visit("logits", call.logits, Access::read);
  visit("teacher_logits", call.teacher_logits, Access::read);
  visit("candidates", call.candidates, Access::gather);
  visit("labels", call.labels, Access::gather);
  visit("class_values", call.class_values, Access::read);
}

template <typename Visit>
void visit_fields(CrossEntropyCall& call, Visit&& visit) {
  visit("sums", call.sums, Access::update);
  visit("predictions", call.predictions, Access::gather);
  visit("confidences", call.confidences, Access::gather);
  visit("logits", call.logits, Access::read);
  visit("labels", call.labels, Access::gather);
}

template <typename Visit>
void visit_fields(SgdCall& call, Visit&& visit) {
  visit("value", call.value, Access::update);
  visit("velocity", call.velocity, Access::update);
  visit("square", call.square, Access::update);
  visit("average", call.average, Access::update);
  visit("weight", call.weight, Access::write);
  visit("average_weight", call.average_weight, Access::write);
  visit("health", call.health, Access::update);
  visit("step", call.step, Access::update);
  visit("d_weight", call.d_weight, Access::read);
  visit("d_value", call.d_value, Access::read);
}

template <typename Visit>
void visit_fields(AugmentCall& call, Visit&& visit) {
  visit("images", call.images, Access::write);
  visit("pixels", call.pixels, Access::gather);
}

template <typename Visit>
void visit_fields(FeatureViewsCall& call, Visit&& visit) {
  visit("views", call.views, Access::write);
  visit("features", call.features, Access::gather);
}

}  // namespace dpll
