// Makers of the reference backend's operations, one source file each: float64, plain loops that follow the
// equations of the contracts in dpll/ops/ line by line. They are what gradients are checked on and what other
// backends are compared with, so they share no arithmetic with any other backend. Not meant for training.
#pragma once

#include <memory>

#include "dpll/backend.h"

namespace dpll::reference {

std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec);
std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec);
std::unique_ptr<Linear> make_linear(const LinearSpec& spec);
std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec);
std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec);
std::unique_ptr<Augment> make_augment(const AugmentSpec& spec);
std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec);
void cross_entropy(const CrossEntropyCall& call);

// Data set index of row r of every view.
std::int64_t sample_of(const BatchRows& rows, std::int64_t r);
// The same, checked to be a row of `table` [N, ...].
std::int64_t row_in(const Tensor& table, const BatchRows& rows, std::int64_t r);

}  // namespace dpll::reference
