#include "dpll/core/check.h"
#include "selftest/golden_checks.h"

namespace dpll::selftest {
namespace {

CheckResult verdict_on(const char* operation, const GoldenResult& result, const char* passed) {
  if (result.complaints.empty()) {
    return {Verdict::passed, fmt::format("{}: {} cases {}", operation, result.cases, passed)};
  }
  const std::size_t more = result.complaints.size() - 1;
  return {Verdict::failed, fmt::format("{}: {}{}", operation, result.complaints.front(),
                                       more == 0 ? "" : fmt::format(" ({} more)", more))};
}

}  // namespace

void check_operations(Backend& backend, const std::function<void(const CheckResult&)>& report) {
  const auto check = [&](const char* operation, void (*one)(Backend&, GoldenCase&)) {
    report(verdict_on(operation, check_golden_cases(backend, operation, one),
                      "as PyTorch computes them in float64"));
  };
  const auto uses = [&](DType type) {
    return backend.compute_dtype() == type || backend.product_dtype() == type;
  };
  if (uses(DType::bf16)) {
    report({Verdict::skipped, "layers: rounding the goldens' inputs to bf16 moves some across ReLU's kink"});
  } else {
    check("preact_conv", check_preact_conv);
    check("bn_relu_pool", check_bn_relu_pool);
    check("linear", check_linear);
  }
  check("pll_objective", check_objective);
  check("sgd", check_sgd);
  // In 16 bits the network's results are compared, not each parameter.
  const bool sixteen_bits = uses(DType::f16) || uses(DType::bf16);
  check("trajectory", sixteen_bits ? check_trajectory_results : check_trajectory);
  report(verdict_on("augment", check_views(backend), "of views, the bytes of Pillow's"));
}

}  // namespace dpll::selftest
