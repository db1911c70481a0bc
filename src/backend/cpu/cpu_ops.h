// Makers of the CPU backend's operations, one source file each. All memory is host memory, all tensors
// float32.
#pragma once

#include <memory>

#include "dpll/backend.h"

namespace dpll::cpu {

std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec, DType products = DType::f32);
std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec);
std::unique_ptr<BnReluPool> make_block_join(const BnReluPoolSpec& spec);        // of those, with a shortcut
std::unique_ptr<BnReluPool> make_plain_activation(const BnReluPoolSpec& spec);  // without batch norm
std::unique_ptr<Linear> make_linear(const LinearSpec& spec);
std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec);
std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec);
std::unique_ptr<Augment> make_augment(const AugmentSpec& spec);
std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec);
void cross_entropy(const CrossEntropyCall& call);

}  // namespace dpll::cpu
