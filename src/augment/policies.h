// AutoAugment policies: tables of sub-policies, and the data of a policy that a backend needs for images of
// one size.
//
// A sub-policy has two operations, one after the other; each is applied with its own probability. One
// sub-policy is drawn uniformly for every view. RandAugment has no table: it draws rand_n of 14 operations,
// which are always applied.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "augment/image_op.h"
#include "dpll/ops/augment.h"

namespace dpll {

struct PolicyStep {
  ImageOp op;
  std::uint8_t tenths;  // probability in tenths: 0 never, 10 always
  std::uint8_t level;   // of op_magnitude(op, level, kPolicyLevels)
};

struct SubPolicy {
  PolicyStep steps[2];
};
static_assert(sizeof(SubPolicy) == 6);

// The method's published implementation. It draws uniformly, so its five repeated entries count twice.
extern const std::array<SubPolicy, 97> kPlcrCifarPolicy;
extern const std::array<SubPolicy, 25> kSvhnPolicy;
// The AutoAugment article's (CIFAR-10).
extern const std::array<SubPolicy, 25> kAutoaugmentCifarPolicy;

// Empty for none and randaugment.
std::span<const SubPolicy> sub_policies(AugmentPolicy policy);

inline constexpr int kMaxSubPolicies = 97;
inline constexpr int kMaxPolicyOps = 8;        // maximum number of operations on one view
inline constexpr std::uint32_t kRandOps = 14;  // RandAugment draws one of these

// A recipe and its policy as one block, which a backend copies to the memory of its kernels byte by byte.
// Without a policy both counts are 0.
struct PreparedPolicy {
  ViewRecipe recipe;
  std::int32_t entries;        // sub-policies in `table`
  std::int32_t rand_n;         // number of RandAugment's operations; level 0 of `settings` is then rand_m
  std::int32_t signed_rotate;  // 1: rotate has a random sign; in the published implementation it has none
  SubPolicy table[kMaxSubPolicies];
  OpSetting settings[kImageOps][kPolicyLevels][2];  // [op][level][negative]
};

PreparedPolicy prepare_policy(const ViewRecipe& recipe, int height, int width);

}  // namespace dpll
