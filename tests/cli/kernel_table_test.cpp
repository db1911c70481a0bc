// What tools/kernel_table is made of (tools/kernels), and its check where there is no nvcc.
#include <filesystem>

#include "cli/engine_runs.h"

using namespace dpll::test;

TEST_CASE("tools/kernel_table: machine code, occupancy, the model, and what is checked without a compiler") {
  if (run_process({"/usr/bin/env", "sh", "-c", "command -v python3 && command -v nm && command -v c++filt"})
          .exit_code != 0)
    DPLL_SKIP("python3, nm or c++filt is not installed");
  const std::string program = DPLL_STEP_GRAPH;
  const ProcessResult result = run_process(
      {"/usr/bin/env", "python3", DPLL_SOURCE_DIR "/tests/cli/kernel_table_test.py", kTools, program});
  CHECK_MESSAGE(result.exit_code == 0, result.out, result.err);
  CHECK(has(result.err, "Ran 17 tests"));
  CHECK_FALSE(has(result.err, "skipped"));
}
