// The checks of each operation against its golden values.
#pragma once

#include <functional>

#include "selftest/check_result.h"
#include "selftest/golden_case.h"

namespace dpll::selftest {

void check_preact_conv(Backend& backend, GoldenCase& c);
void check_bn_relu_pool(Backend& backend, GoldenCase& c);
void check_linear(Backend& backend, GoldenCase& c);
// The method of a golden case with the case's keys.
Method golden_method(const std::string& name, const nlohmann::json& keys);
void check_objective(Backend& backend, GoldenCase& c);
void check_sgd(Backend& backend, GoldenCase& c);

// Whole views under the policies, to the bit, in the backend's own type.
GoldenResult check_views(Backend& backend);

// All checks of operations that `selftest` makes of a backend, in its own precision, each reported as it
// ends.
void check_operations(Backend& backend, const std::function<void(const CheckResult&)>& report);

// Ten training steps of tiny networks: forward, objective, backward and update together, with two batch
// sizes, three views and the target table moving along.
void check_trajectory(Backend& backend, GoldenCase& c);
// Its losses, final targets and logits alone. In 16 bits rounding moves pre-activations across zero here and
// there, and some parameters' gradients with them: what the whole network makes of it is compared.
void check_trajectory_results(Backend& backend, GoldenCase& c);
// Per step: total, supervised and consistency loss, means over the batch.
HostTensor trajectory_losses(Backend& backend, GoldenCase& c);

}  // namespace dpll::selftest
