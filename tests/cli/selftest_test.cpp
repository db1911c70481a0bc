// dpll_engine selftest as a process.
#include <algorithm>

#include "cli/engine_runs.h"

using namespace dpll::test;

TEST_CASE("selftest: everything passes on this machine, and each check is named") {
  const TempDir dir;
  const ProcessResult result =
      run_process({"/usr/bin/env", "TMPDIR=" + dir.path(), engine({})[0], "selftest", "--threads", "2"});
  require_done(result);
  const std::vector<std::string> lines = lines_of(result.out);
  REQUIRE(lines.size() == 11);
  CHECK(lines[0].starts_with("cpu, "));
  const char* names[] = {"preact_conv", "bn_relu_pool", "linear", "pll_objective", "sgd",
                         "trajectory",  "augment",      "repeat", "resume"};
  for (std::size_t i = 0; i < 9; ++i) CHECK(lines[i + 1].starts_with(fmt::format("passed   {}: ", names[i])));
  CHECK(lines[10] == "9 passed, 0 failed, 0 skipped");
  CHECK(std::filesystem::is_empty(dir.path()));  // nothing is left behind
}

TEST_CASE("selftest: a configuration's network is checked at its own shapes, in its precision") {
  const EngineRuns folder;
  const ProcessResult result =
      run_process({"/usr/bin/env", "TMPDIR=" + folder.file(""), engine({})[0], "selftest", folder.config()});
  require_done(result);
  CHECK(has(result.out, "\npassed   network: "));
  CHECK(has(result.out,
            "\npassed   equal bits: two training steps of the network, twice\n11 passed, 0 failed, "));
  const ProcessResult wrong = run_process(
      engine({"selftest", folder.config(), "--set", "run.device=cuda", "--set", "run.precision=tf32"}));
  CHECK(wrong.exit_code == 2);
  CHECK(has(wrong.err, "selftest: precision tf32 is for --device cuda"));
}

TEST_CASE("selftest: what it cannot work with is refused in one line") {
  // A folder in which nothing can be made, even by root.
  const ProcessResult result = run_process({"/usr/bin/env", "TMPDIR=/proc", engine({})[0], "selftest"});
  CHECK(result.exit_code == 5);
  CHECK(lines_of(result.err).size() == 1);
  CHECK(has(result.err, "set TMPDIR to one that can be written"));
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"selftest", "--device", "tpu"}, {"selftest", "--precision", "f16"}}) {
    const ProcessResult wrong = run_process(engine(arguments));
    CHECK(wrong.exit_code == 2);
    CHECK(lines_of(wrong.err).size() == 1);
  }
}

TEST_CASE("bf16 on a processor without it: one line that says what would be right, exit code 6") {
  // oneDNN takes this for a limit of what it may use.
  std::vector<std::string> command = {"/usr/bin/env", "ONEDNN_MAX_CPU_ISA=AVX2", "DNNL_MAX_CPU_ISA=AVX2"};
  for (const std::string& word : engine({"selftest", "--precision", "bf16"})) command.push_back(word);
  const ProcessResult done = run_process(command);
  CHECK(done.exit_code == 6);
  CHECK(done.err.find("run.precision = bf16: this processor has no instructions for it") !=
        std::string::npos);
  CHECK(done.err.find("f32 would be right") != std::string::npos);
  CHECK(std::count(done.err.begin(), done.err.end(), '\n') == 1);
}
