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

// Whole views with the policies, bit by bit, in the backend's own type.
GoldenResult check_views(Backend& backend);

// All checks of operations that `selftest` runs on a backend in its own precision. Each is reported when it
// ends.
void check_operations(Backend& backend, const std::function<void(const CheckResult&)>& report);

// Ten training steps of tiny networks: forward, objective, backward and update together, with two batch
// sizes, three views and an updated target table.
void check_trajectory(Backend& backend, GoldenCase& c);
// Only its losses, final targets and logits. In 16 bits rounding moves some pre-activations across zero and
// so changes the gradients of some parameters; therefore only results of the whole network are compared.
void check_trajectory_results(Backend& backend, GoldenCase& c);
// Ten steps of a small MLP with each method, and with rows that are made before the loss or after the update.
void check_method_trajectory(Backend& backend, GoldenCase& c);
// For each step: total, supervised and consistency loss, means over the batch.
HostTensor trajectory_losses(Backend& backend, GoldenCase& c);

}  // namespace dpll::selftest
