// Operations and whole training steps against PyTorch in float64, on every backend that this machine has. The
// checks and the golden files are those of `dpll_engine selftest`.
#include <map>

#include "emulation/emulated_backend.h"
#include "selftest/golden_checks.h"
#include "support/doctest.h"
#include "support/encode.h"

using namespace dpll;
using namespace dpll::test;

namespace {

using Check = void (*)(Backend&, GoldenCase&);

void check_cases(Backend& backend, const std::string& operation, Check check) {
  const GoldenResult result = check_golden_cases(backend, operation, check);
  CHECK(result.cases > 0);
  for (const std::string& complaint : result.complaints) FAIL_CHECK(complaint);
}

void check_layers(Backend& backend) {
  check_cases(backend, "preact_conv", check_preact_conv);
  check_cases(backend, "bn_relu_pool", check_bn_relu_pool);
  check_cases(backend, "linear", check_linear);
}

}  // namespace

TEST_CASE("golden layers on the reference backend") {
  check_layers(*make_reference_backend());
}

TEST_CASE("golden layers on the CPU backend") {
  check_layers(*make_cpu_backend({.threads = 2}));
}

TEST_CASE("golden objective on the reference backend") {
  check_cases(*make_reference_backend(), "pll_objective", check_objective);
}

TEST_CASE("golden update on the reference backend") {
  check_cases(*make_reference_backend(), "sgd", check_sgd);
}

TEST_CASE("golden objective on the CPU backend") {
  check_cases(*make_cpu_backend({.threads = 2}), "pll_objective", check_objective);
}

TEST_CASE("golden update on the CPU backend") {
  check_cases(*make_cpu_backend({.threads = 2}), "sgd", check_sgd);
}

TEST_CASE("golden trajectories on the reference backend") {
  check_cases(*make_reference_backend(), "trajectory", check_trajectory);
}

TEST_CASE("golden trajectories on the CPU backend") {
  check_cases(*make_cpu_backend({.threads = 2}), "trajectory", check_trajectory);
}

TEST_CASE("golden trajectories of methods on the reference backend") {
  check_cases(*make_reference_backend(), "method_trajectory", check_method_trajectory);
}

TEST_CASE("golden trajectories of methods on the CPU backend") {
  check_cases(*make_cpu_backend({.threads = 2}), "method_trajectory", check_method_trajectory);
}

TEST_CASE("golden trajectories of methods on the emulated CUDA backend") {
  check_cases(*make_emulated_cuda_backend(DType::f32), "method_trajectory", check_method_trajectory);
}

TEST_CASE("the emulated CUDA backend's float32 losses stay within 1e-5 of the CPU's") {
  std::map<std::string, HostTensor> on_cpu;
  check_golden_cases(*make_cpu_backend({.threads = 2}), "trajectory", [&](Backend& backend, GoldenCase& c) {
    on_cpu[c.name()] = trajectory_losses(backend, c);
  });
  check_golden_cases(*make_emulated_cuda_backend(DType::f32), "trajectory",
                     [&](Backend& backend, GoldenCase& c) {
                       CHECK(difference(c.name(), 0, trajectory_losses(backend, c), on_cpu.at(c.name()),
                                        {.relative = 1e-5}) == "");
                     });
  CHECK(on_cpu.size() == 7);  // every architecture
}

TEST_CASE("golden values, as selftest checks them, on the emulated CUDA backend in every precision") {
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    int passed = 0;
    check_operations(*make_emulated_cuda_backend(type), [&](const CheckResult& result) {
      CHECK_MESSAGE(result.verdict != Verdict::failed, result.text);
      passed += result.verdict == Verdict::passed ? 1 : 0;
    });
    CHECK(passed == (type == DType::bf16 ? 4 : 7));
  }
}

TEST_CASE("golden checks complain about a wrong result") {
  // The values of one operation through the check of another case: every case must be told apart.
  const auto wrong = [](Backend& backend, GoldenCase& c) {
    HostTensor y = c.stored("y");
    y[y.elements() - 1] += 1e-3;
    c.check("y", y);
    c.check("y", c.put(HostTensor(y.shape, std::nan("")), backend.master_dtype()));
  };
  const GoldenResult result = check_golden_cases(*make_cpu_backend({}), "linear", wrong);
  CHECK(result.cases > 0);
  CHECK(result.complaints.size() == static_cast<std::size_t>(2 * result.cases));
}
