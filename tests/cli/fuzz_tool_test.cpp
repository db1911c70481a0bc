// tools/fuzz refuses what it does not know before it builds anything.
#include "cli/engine_runs.h"
#include "fuzz/targets/target.h"

using namespace dpll::test;

TEST_CASE("tools/fuzz names the parsers that there are, which are those that the tests replay") {
  const std::string tool = DPLL_SOURCE_DIR "/tools/fuzz";
  const ProcessResult unknown = run_process({tool, "nonsense"});
  CHECK(unknown.exit_code == 2);
  CHECK(has(unknown.err, "tools/fuzz: no parser 'nonsense'; there are "));
  for (const dpll::fuzz::Target& target : dpll::fuzz::targets()) {
    CHECK_MESSAGE(has(unknown.err, target.name), target.name);
  }
  const ProcessResult seconds = run_process({tool, "--seconds", "0", "ini"});
  CHECK(seconds.exit_code == 2);
  CHECK(has(seconds.err, "--seconds 0: at least 1"));
}
