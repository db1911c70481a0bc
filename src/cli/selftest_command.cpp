// Repeats the most important tests on the user's machine: operations against PyTorch, repeatability, resume.
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "backend/cpu/usable_threads.h"
#include "cli/commands.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "selftest/golden_checks.h"
#include "selftest/network_checks.h"
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
  // Runs `checks`, which report what passed. They end if an engine is wrong.
  void attempt(const char* name, const std::function<void()>& checks) {
    try {
      checks();
    } catch (const WrongResult& wrong) {
      add({selftest::Verdict::failed, fmt::format("{}: {}", name, wrong.what())});
    } catch (const selftest::WrongNumbers& wrong) {
      add({selftest::Verdict::failed, fmt::format("{}: {}", wrong.check, wrong.why)});
    }
  }
  int end() const {
    std::printf("%d passed, %d failed, %d skipped\n", counts_[0], counts_[1], counts_[2]);
    return counts_[1] == 0 ? 0 : static_cast<int>(ExitCode::internal);
  }

 private:
  int counts_[3] = {};
};

// The section [run] of the configuration, with the device of `arguments`.
RunConfig::Run run_of(const SelftestArguments& arguments) {
  RunConfig::Run run = arguments.config ? arguments.config->run : RunConfig::Run{};
  run.device = arguments.device == "cpu" ? DeviceChoice::cpu : DeviceChoice::cuda;
  if (arguments.device.starts_with("cuda:")) run.gpu = std::stoi(arguments.device.substr(5));
  run.qualify = false;  // the same checks run here
  if (!arguments.precision.empty() || !arguments.config) {
    run.precision = arguments.precision == "f16"    ? Precision::f16
                    : arguments.precision == "bf16" ? Precision::bf16
                                                    : Precision::f32;
  }
  if (run.device == DeviceChoice::cpu &&
      (run.precision == Precision::f16 || run.precision == Precision::tf32)) {
    fail(ExitCode::usage, "selftest: precision {} is for --device cuda; the CPU has f32 and bf16",
         to_string(run.precision));
  }
  if (arguments.threads > 0 || !arguments.config) run.threads = arguments.threads;
  const cpu::ThreadChoice threads = cpu::choose_threads(run.threads);
  run.threads = threads.count;
  if (!threads.warning.empty()) print_warning(threads.warning);
  resolve_devices(run);
  return run;
}

// Checks the network of the configuration like the GPU test before a run, but in this process.
void check_network(const RunConfig& config, Report& report) {
  using selftest::Verdict;
  const DataSet data = load_data(config);
  const std::unique_ptr<Backend> backend = make_backend(config.run);
  report.attempt("network", [&] {
    selftest::prove_network(*backend, config, data);
    report.add({Verdict::passed, fmt::format("network: {} convolutions and products at their own shapes",
                                             backend->proven_ways())});
    if (!config.run.deterministic) {
      report.add({Verdict::skipped, "equal bits: run.deterministic = false"});
      return;
    }
    selftest::check_equal_bits(*backend, config, data);
    report.add({Verdict::passed, "equal bits: two training steps of the network, twice"});
  });
}

}  // namespace

int selftest_command(const SelftestArguments& arguments) {
  RunConfig::Run run = run_of(arguments);
  const bool tuning = run.tuning;
  run.tuning = false;  // the shapes are tiny
  const std::unique_ptr<Backend> backend = make_backend(run);
  std::printf("%s\n", backend->description().c_str());
  Report report;
  report.attempt("operations", [&] {
    selftest::check_operations(*backend, [&](const CheckResult& result) { report.add(result); });
  });
  report.add(selftest::check_repeat(run));
  report.add(selftest::check_resume(run));
  if (arguments.config) {
    RunConfig config = *arguments.config;
    config.run = run;
    config.run.tuning = tuning;
    check_network(config, report);
  }
  return report.end();
}

}  // namespace dpll
