// The check of every operation's calls: what a backend makes of its inputs beside what they should give, see
// arithmetic.h.
#pragma once

#include <functional>
#include <string>

#include "check/batch_norm_model.h"
#include "check/host_operations.h"

namespace dpll::check {

inline std::size_t size(std::int64_t count) {
  return static_cast<std::size_t>(count);
}

// What the checks of one call share.
struct CheckContext {
  Backend& cpu;
  Arithmetic arithmetic;
  ConvWeightLayout layout;  // of the recorded weights of convolutions
  HostRows rows;            // of the call, where the check looks at them
  // Takes a result: the tensor's name and shape, and what was found.
  std::function<void(const std::string& tensor, const Shape& shape, const Outcome& outcome)> report;
};

// `before`: what the call reads and changes, as it was; `after`: what it writes and changes, when it has run.
template <typename Spec, typename Call>
struct RecordedCall {
  const Spec& spec;
  const Recording &before, &after;
};

void check_call(const CheckContext& context, const RecordedCall<PreactConvSpec, PreactConvForward>& call);
void check_call(const CheckContext& context, const RecordedCall<PreactConvSpec, PreactConvBackward>& call);
void check_call(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolForward>& call);
void check_call(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolBackward>& call);
void check_call(const CheckContext& context, const RecordedCall<LinearSpec, LinearForward>& call);
void check_call(const CheckContext& context, const RecordedCall<LinearSpec, LinearBackward>& call);
void check_call(const CheckContext& context, const RecordedCall<PllObjectiveSpec, PllObjectiveCall>& call);
void check_call(const CheckContext& context, const RecordedCall<SgdSpec, SgdCall>& call);
void check_call(const CheckContext& context, const RecordedCall<AugmentSpec, AugmentCall>& call);
void check_call(const CheckContext& context, const RecordedCall<FeatureViewsSpec, FeatureViewsCall>& call);

// A 16-bit copy of weights beside their master values, to the bit.
void check_weight_copy(const CheckContext& context, const std::string& name, const Shape& shape,
                       const Floats& copy, const Floats& master);

// Of several operations.
// Statistics of y as it was stored; `y` [V, n, C].
void check_statistics(const CheckContext& context, const Groups& y_groups, const Floats& y,
                      const Recording& after);
// One of the batch norms of a call, by the names of its fields.
struct NormNames {
  std::string x = "x", bn = "bn";
};
// The running statistics after a forward pass over x [V, n, C].
void check_running_statistics(const CheckContext& context, const Groups& x_groups, const Recording& before,
                              const Recording& after, const NormNames& names = {});
// Sums of the columns of d_y.
void check_bias_gradient(const CheckContext& context, const Groups& y_groups, const Floats& d_y,
                         const Recording& after);
// d_x, d_gamma and d_beta of a batch norm with ReLU whose gradient `d_a` is off by `error_of_d_a` (root mean
// square of each group); `old_d_x` is added to d_x where it is not empty.
void check_batch_norm_gradient(const CheckContext& context, const BatchNormModel& model,
                               const BatchNormModel::Gradient& want, const Doubles& error_of_d_a,
                               const Floats& old_d_x, const Recording& after, const NormNames& names = {});

}  // namespace dpll::check
