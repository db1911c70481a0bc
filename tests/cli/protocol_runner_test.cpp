// What tools/sweep, tools/benchmark and tools/votes are made of (tools/protocol), and whole searches by them.
#include "cli/engine_runs.h"

using namespace dpll::test;

namespace {

// Runs tests/cli/NAME with `arguments`; it says itself which of its tests were skipped.
ProcessResult run_python(const std::string& name, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"/usr/bin/env", "python3", DPLL_SOURCE_DIR "/tests/cli/" + name};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_process(command);
}

bool has_python() {
  return run_process({"/usr/bin/env", "python3", "-c", "import unittest"}).exit_code == 0;
}

}  // namespace

TEST_CASE("tools/protocol: draws, statistics, choices, tables, votes, and what files are refused") {
  if (!has_python()) DPLL_SKIP("python3 is not installed");
  const ProcessResult result =
      run_python("protocol_runner_test.py", {kTools, engine({})[0], DPLL_TEST_FIXTURES});
  CHECK_MESSAGE(result.exit_code == 0, result.out, result.err);
  CHECK_FALSE(has(result.err, "Ran 0 tests"));
}

namespace {

void run_searches(const std::string& tests) {
  if (!has_python()) DPLL_SKIP("python3 is not installed");
  const ProcessResult result =
      run_python("sweep_search_test.py", {kTools, engine({})[0], DPLL_TEST_FIXTURES, tests, "-v"});
  CHECK_MESSAGE(result.exit_code == 0, result.out, result.err);
  const std::size_t skipped = result.err.find("skipped '");
  if (skipped != std::string::npos) {
    const std::size_t begin = skipped + std::string("skipped '").size();
    DPLL_SKIP(result.err.substr(begin, result.err.find('\'', begin) - begin));
  }
  CHECK(has(result.err, " ... ok"));
}

}  // namespace

TEST_CASE("sweep: a random search with several runs at a time, killed, stopped, out of time, over GPUs") {
  run_searches("Local");
}

TEST_CASE("sweep: no sbatch, one that refuses, and tasks that vanish") {
  run_searches("WithoutSlurm");
}

TEST_CASE("sweep: array jobs of a real Slurm are submitted, submitted again, and collected") {
  run_searches("WithSlurm");
}
