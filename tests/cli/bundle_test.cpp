// tools/bundle and what tools/gpu_check says where it cannot begin.
#include "cli/engine_runs.h"

using namespace dpll::test;

namespace {

const std::string kTools = std::string(DPLL_SOURCE_DIR) + "/tools/";

std::string build_folder() {
  return std::filesystem::path(engine({})[0]).parent_path().string();
}

}  // namespace

TEST_CASE("tools/bundle: the folder runs from another place") {
  const TempDir dir;
  const ProcessResult made = run_process({kTools + "bundle", dir.file("here"), build_folder()});
  require_done(made);
  CHECK(has(made.out, " libraries, commit "));
  std::filesystem::rename(dir.file("here"), dir.file("there"));
  const ProcessResult version = run_process({dir.file("there/dpll_engine"), "--version"});
  require_done(version);
  CHECK(version.out == run_process(engine({"--version"})).out);
  int dnnl = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.file("there/lib"))) {
    const std::string name = entry.path().filename().string();
    CHECK_FALSE((name.starts_with("libc.so") || name.starts_with("libcuda") || name.starts_with("libcudnn")));
    // Its version is part of the name: libdnnl.so.2, .so.3, .so.3.6.
    if (name.starts_with("libdnnl.so.")) ++dnnl;
  }
  CHECK(dnnl == 1);

  // Figures too come from what is in the folder alone.
  if (std::filesystem::exists(dir.file("there/bench_step"))) {
    require_done(run_process({"/usr/bin/env", "python3", dir.file("there/tools/measure"), "--quick",
                              "--parts", "step", "--network", "lenet", "--out", dir.file("figures")}));
    CHECK(has(read_text(dir.file("figures/tables.md")), "| LeNet | "));
  }

  const ProcessResult again = run_process({kTools + "bundle", dir.file("there"), build_folder()});
  CHECK(again.exit_code == 2);
  CHECK(has(again.err, "is there already"));
  const ProcessResult nothing = run_process({kTools + "bundle", dir.file("x"), dir.path()});
  CHECK(nothing.exit_code == 2);
  CHECK(has(nothing.err, "there is no program in"));
  CHECK_FALSE(std::filesystem::exists(dir.file("x")));

  if (run_process({"/bin/sh", "-c", "command -v nvidia-smi"}).exit_code == 0) return;
  const ProcessResult check = run_process({dir.file("there/tools/gpu_check"), dir.file("results")});
  CHECK(check.exit_code == 2);
  CHECK(lines_of(check.err).size() == 1);
  CHECK(has(check.err, "NVIDIA's driver is not installed"));
  CHECK_FALSE(std::filesystem::exists(dir.file("results")));
}
