// The operations of policies on one image, by one thread.
#pragma once

#include <cstdint>

#include "augment/colour_draw.h"
#include "augment/pixel_ops.h"
#include "augment/policy_draw.h"

namespace dpll::cpu {

// `to` and `from`: uint8 [H, W, C], C 1 or 3, apart from each other.
void apply_op(std::uint8_t* to, const std::uint8_t* from, const OpSetting& setting, const ImageShape& shape);

// The changes of colours, then all operations of the policy, in place; `scratch` holds another image.
void apply_draws(std::uint8_t* image, std::uint8_t* scratch, const ColourDraw& colours,
                 const PreparedPolicy& policy, const PolicyDraw& draw, const ImageShape& shape);

}  // namespace dpll::cpu
