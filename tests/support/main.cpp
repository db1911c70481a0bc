// The test runner: doctest's options (--help) and --jobs=N for N processes,
// then one closing line "N passed, N failed, N skipped" of test cases.
#define DOCTEST_CONFIG_IMPLEMENT
#include "support/doctest.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "backend/cpu/wait_policy.h"
#include "support/test_run.h"

namespace dpll::test {
namespace {

std::string current_name;
std::optional<std::string> current_skipped;  // why, if it was

// Counts test cases. A case that called note_skip() counts as skipped only.
struct Counter : doctest::IReporter {
  explicit Counter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData& data) override {
    current_name = data.m_name;
    current_skipped.reset();
    test_case_begins(data.m_name);
  }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    if ((stats.failure_flags & doctest::TestCaseFailureReason::Crash) != 0) return;
    if (stats.failure_flags != 0) {
      note("failed: " + current_name);
      test_case_ends(Outcome::failed);
    } else if (current_skipped) {
      note("skipped: " + current_name + ": " + *current_skipped);
      test_case_ends(Outcome::skipped);
    } else {
      test_case_ends(Outcome::passed);
    }
  }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("counter", 1, Counter);

// Where a process runs its test cases one by one: doctest's words about each, without a summary of each.
struct CaseReporter : doctest::ConsoleReporter {
  explicit CaseReporter(const doctest::ContextOptions& options) : ConsoleReporter(options) {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
};
REGISTER_REPORTER("case", 0, CaseReporter);

}  // namespace

void note_skip(const std::string& why, bool needs_cuda) {
  const char* require = std::getenv("DPLL_REQUIRE_CUDA");
  if (needs_cuda && require != nullptr && std::string(require) == "1") {
    FAIL_CHECK("DPLL_REQUIRE_CUDA=1, but this test cannot run: ", why);
    return;
  }
  current_skipped = why;
}

}  // namespace dpll::test

int main(int argc, char** argv) {
  using namespace dpll::test;
  dpll::cpu::limit_spinning(argv);
  doctest::Context context(argc, argv);
  const int jobs = jobs_of(argc, argv);
  int result = 0;
  if (jobs == 1 || context.shouldExit()) {
    result = context.run();
    if (context.shouldExit()) return result;
  } else {
    context.setOption("reporters", "case");
    run_in_processes(context, jobs);
  }
  print_notes();
  const TestCounts counts = test_counts();
  std::printf("%d passed, %d failed, %d skipped\n", counts.passed, counts.failed, counts.skipped);
  return counts.failed == 0 && result == 0 ? 0 : 1;
}
