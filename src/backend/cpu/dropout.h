// Dropout of preact_conv (dpll/ops/preact_conv.h), for one image on the calling thread.
#pragma once

#include <cstdint>

#include "dpll/ops/common.h"

namespace dpll::cpu {

struct DropoutSpec {
  double p = 0;
  std::uint32_t site = 0;
};

// a [elements]: an image's activation, which is `sample` of the data set seen as view `view`.
void dropout_apply(float* a, std::int64_t elements, const DropoutSpec& spec, const StepState& step,
                   std::uint32_t sample, std::uint32_t view);

// d_a becomes the gradient of relu(z) where it counts: a = dropout(relu(z)) is positive exactly where z is
// and the element was kept.
void dropout_backward(float* d_a, const float* a, std::int64_t elements, const DropoutSpec& spec);

}  // namespace dpll::cpu
