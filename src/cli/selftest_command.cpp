// What the tests prove on the developers' machines, for the user's: operations against PyTorch, repeat,
// resume.
#include <cstdio>
#include <string>

#include "backend/cpu/usable_threads.h"
#include "cli/commands.h"
#include "selftest/golden_checks.h"
#include "selftest/run_checks.h"
#include "train/devices.h"

namespace dpll {
namespace {

using selftest::CheckResult;

class Report {
 public:
  void add(const CheckResult& result) {
    constexpr const char* kWords[] = {"passed", "failed", "skipped"};
    const auto index = static_cast<std::size_t>(result.verdict);
    ++counts_[index];
    std::printf("%-8s %s\n", kWords[index], result.text.c_str());
    std::fflush(stdout);
  }
  int end() const {
    std::printf("%d passed, %d failed, %d skipped\n", counts_[0], counts_[1], counts_[2]);
    return counts_[1] == 0 ? 0 : static_cast<int>(ExitCode::internal);
  }

 private:
  int counts_[3] = {};
};

}  // namespace

int selftest_command(const SelftestArguments& arguments) {
  RunConfig::Run run;
  run.device = arguments.device == "cpu" ? DeviceChoice::cpu : DeviceChoice::cuda;
  if (arguments.device.starts_with("cuda:")) run.gpu = std::stoi(arguments.device.substr(5));
  run.qualify = false;  // that is what happens here, afresh
  run.tuning = false;   // of tiny shapes
  run.precision = arguments.precision == "f16"    ? Precision::f16
                  : arguments.precision == "bf16" ? Precision::bf16
                                                  : Precision::f32;
  if (run.device == DeviceChoice::cpu && run.precision == Precision::f16) {
    fail(ExitCode::usage, "selftest --precision {} is for --device cuda; the CPU has f32 and bf16",
         arguments.precision);
  }
  const cpu::ThreadChoice threads = cpu::choose_threads(arguments.threads);
  run.threads = threads.count;
  if (!threads.warning.empty()) print_warning(threads.warning);
  const std::unique_ptr<Backend> backend = make_backend(run);
  std::printf("%s\n", backend->description().c_str());
  Report report;
  selftest::check_operations(*backend, [&](const CheckResult& result) { report.add(result); });
  report.add(selftest::check_repeat(run));
  report.add(selftest::check_resume(run));
  return report.end();
}

}  // namespace dpll
