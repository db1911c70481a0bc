// tools/faults on this build's program: one point in many, of every part.
#include "cli/engine_runs.h"

using namespace dpll::test;

namespace {

const std::string kFaults = std::string(DPLL_SOURCE_DIR) + "/tools/faults";

}  // namespace

TEST_CASE("tools/faults: whatever hurts a run, nothing is lost") {
#ifndef DPLL_FAULT_POINTS
  note_skip("the sanitizer's library has to be loaded before all others", false);
#else
  // All of them take some minutes; these are others than those of a run with another offset.
  const ProcessResult done =
      run_process({kFaults, "--engine", DPLL_ENGINE, "--every", "29", "--offset", "3", "--jobs", "2"});
  CHECK_MESSAGE(done.exit_code == 0, done.out, done.err);
  CHECK(has(done.out, ", 0 lost\n"));
  CHECK(has(done.out, "| killed, a checkpoint every step "));
#endif
}

TEST_CASE("tools/faults: a loss is found and said") {
#ifndef DPLL_FAULT_POINTS
  note_skip("the sanitizer's library has to be loaded before all others", false);
#else
  // A program that forgets its run when it is started again.
  const TempDir folder;
  write_text(folder.file("forgets"),
             "#!/bin/sh\nfor word; do case $word in run.out_dir=*) out=${word#*=} ;; esac; done\n"
             "case \"$*\" in *resume=auto*) rm -rf \"$out\" ;; esac\n"
             "exec " DPLL_ENGINE " \"$@\" --set optimiser.lr=0.$(date +%N | cut -c1-6)1\n");
  std::filesystem::permissions(folder.file("forgets"), std::filesystem::perms::owner_all);
  const ProcessResult done = run_process({kFaults, "kills", "--engine", folder.file("forgets"), "--library",
                                          DPLL_FAULT_POINTS, "--every", "199", "--offset", "40"});
  CHECK(done.exit_code == 1);
  CHECK(has(done.out, "lost: killed: kill at "));
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"no-such-part"}, {"--every", "0"}, {"--engine", "/nowhere"}}) {
    std::vector<std::string> command = {kFaults};
    command.insert(command.end(), wrong.begin(), wrong.end());
    const ProcessResult refused = run_process(command);
    CHECK(refused.exit_code == 2);
    CHECK(has(refused.err, "faults: error: "));
  }
#endif
}
