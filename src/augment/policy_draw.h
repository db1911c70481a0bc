// Draws the operations of a view from the words from kFirstPolicyWord on, numbered as in dpll/ops/augment.h.
#pragma once

#include <cstdint>

#include "augment/policies.h"
#include "dpll/core/host_device.h"
#include "dpll/core/philox.h"

namespace dpll {

struct DrawnOp {
  ImageOp op;
  std::uint8_t level;     // second index of PreparedPolicy::settings
  std::uint8_t negative;  // third
};

struct PolicyDraw {
  int count;  // operations that are applied, in order
  DrawnOp ops[kMaxPolicyOps];
};

// word / 2^32 < tenths / 10, in integers.
DPLL_HD bool step_fires(std::uint32_t word, std::uint8_t tenths) {
  return std::uint64_t{word} * 10 < std::uint64_t{tenths} << 32;
}

DPLL_HD DrawnOp drawn_op(const PreparedPolicy& policy, ImageOp op, std::uint8_t level,
                         std::uint32_t sign_word) {
  const bool has_sign = op_is_signed(op) || (op == ImageOp::rotate && policy.signed_rotate != 0);
  return {op, level, static_cast<std::uint8_t>(has_sign ? sign_word >> 31 : 0)};
}

// The next word of `stream` is kFirstPolicyWord, as after draw_view().
DPLL_HD PolicyDraw draw_policy(PhiloxStream& stream, const PreparedPolicy& policy) {
  PolicyDraw draw{};
  for (int i = 0; i < policy.rand_n; ++i) {
    const auto op = static_cast<ImageOp>(stream.next_below(kRandOps));
    draw.ops[draw.count++] = drawn_op(policy, op, 0, stream.next());
  }
  if (policy.entries == 0) return draw;
  const SubPolicy& entry = policy.table[stream.next_below(static_cast<std::uint32_t>(policy.entries))];
  for (const PolicyStep& step : entry.steps) {
    const std::uint32_t fire = stream.next(), sign = stream.next();
    if (step_fires(fire, step.tenths)) draw.ops[draw.count++] = drawn_op(policy, step.op, step.level, sign);
  }
  return draw;
}

DPLL_HD const OpSetting& setting_of(const PreparedPolicy& policy, const DrawnOp& op) {
  return policy.settings[static_cast<int>(op.op)][op.level][op.negative];
}

}  // namespace dpll
