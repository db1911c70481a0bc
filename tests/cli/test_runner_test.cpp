// The runner of these tests, support/test_run.h, on test cases that nothing else runs.
#include <unistd.h>

#include <csignal>

#include "cli/engine_runs.h"

using namespace dpll::test;

TEST_CASE("of the runner: passes 1" * doctest::skip()) {
  CHECK(true);
}
TEST_CASE("of the runner: crashes" * doctest::skip()) {
  raise(SIGABRT);
}
TEST_CASE("of the runner: fails" * doctest::skip()) {
  CHECK_MESSAGE(false, "what the failing one says");
}
TEST_CASE("of the runner: ends the process" * doctest::skip()) {
  _exit(7);
}
TEST_CASE("of the runner: is skipped" * doctest::skip()) {
  DPLL_SKIP("for a reason");
}
TEST_CASE("of the runner: passes 2" * doctest::skip()) {
  CHECK(true);
}

namespace {

ProcessResult runner(const std::string& cases, const std::string& jobs,
                     const std::vector<std::string>& options = {}) {
  std::vector<std::string> command = {std::filesystem::read_symlink("/proc/self/exe").string(), "--no-skip",
                                      "-tc=of the runner: " + cases, "--jobs=" + jobs};
  command.insert(command.end(), options.begin(), options.end());
  return run_process(command);
}

}  // namespace

TEST_CASE("the test runner: one sum over all processes, with what failed, crashed and was skipped") {
  for (const char* jobs : {"2", "9"}) {
    CAPTURE(jobs);
    const ProcessResult result = runner("*", jobs);
    CHECK(result.exit_code == 1);
    const std::vector<std::string> lines = lines_of(result.out);
    CHECK(lines.back() == "2 passed, 3 failed, 1 skipped");
    CHECK(has(result.out, "what the failing one says"));
    CHECK(has(result.out, "CRASHED: SIGABRT"));
    for (const char* line :
         {"failed: of the runner: fails", "skipped: of the runner: is skipped: for a reason",
          "failed: of the runner: crashes: the process ended with signal 6",
          "failed: of the runner: ends the process: the process ended with exit code 7"}) {
      CHECK_MESSAGE(std::count(lines.begin(), lines.end(), line) == 1, line);
    }
  }
}

TEST_CASE("the test runner: exit code 0 and each test case once, in one process and in several") {
  for (const char* jobs : {"1", "2", "64"}) {
    CAPTURE(jobs);
    const ProcessResult result = runner("passes*", jobs, {"--duration"});
    CHECK(result.exit_code == 0);
    const std::vector<std::string> lines = lines_of(result.out);
    CHECK(lines.back() == "2 passed, 0 failed, 0 skipped");
    for (const std::string name : {"passes 1", "passes 2"}) {
      CHECK(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
              return line.ends_with(" s: of the runner: " + name);
            }) == 1);
    }
  }
}

TEST_CASE("the test runner: what asks for one process gets one") {
  CHECK(lines_of(runner("*", "2", {"--first=1", "--last=1"}).out).back() == "1 passed, 0 failed, 0 skipped");
  CHECK(lines_of(runner("fails,of the runner: passes 2", "2", {"-aa=1"}).out).back() ==
        "0 passed, 1 failed, 0 skipped");
  const ProcessResult list = runner("*", "2", {"--list-test-cases"});
  CHECK(list.exit_code == 0);
  CHECK(has(list.out, "of the runner: passes 2"));
  CHECK_FALSE(has(list.out, "passed,"));
}
