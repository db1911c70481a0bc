// tools/bundle, also for tools/gpu_check, which has tests of its own.
#include <nlohmann/json.hpp>

#include "cli/engine_runs.h"
#include "dpll/build_info.h"

using namespace dpll::test;

namespace {

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
    CHECK_FALSE((name.starts_with("libc.so") || name.starts_with("libcuda") || name.starts_with("libcudnn") ||
                 name.starts_with("libmpi")));
    // Its version is part of the name: libdnnl.so.2, .so.3, .so.3.6.
    if (name.starts_with("libdnnl.so.")) ++dnnl;
  }
  CHECK(dnnl == 1);
  // The program opens these from its own folder; MPI itself stays behind.
  for (const char* name : {"libdpll_openmpi.so", "libdpll_mpich.so"}) {
    CHECK(std::filesystem::exists(dir.file(std::string("there/bin/") + name)) ==
          std::filesystem::exists(build_folder() + "/" + name));
  }

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
  const ProcessResult check = run_process(
      {"/usr/bin/env", "python3", dir.file("there/tools/gpu_check"), "--out", dir.file("results")});
  CHECK(check.exit_code == 2);
  CHECK(lines_of(check.err).size() == 1);
  CHECK(has(check.err, "NVIDIA's driver is not installed"));
  CHECK_FALSE(std::filesystem::exists(dir.file("results")));
}

TEST_CASE("tools/bundle --for-gpu-check: one small file with data, and what the CPU made of them") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    DPLL_SKIP("dataset-fashion-mnist is not installed");
  }
  const TempDir dir;
  // Compressed in a hurry: a real one is smaller.
  const auto bundle = [&](const std::vector<std::string>& options) {
    std::vector<std::string> command = {"/usr/bin/env", "XZ_OPT=-3", kTools + "bundle"};
    command.insert(command.end(), options.begin(), options.end());
    return run_process(command);
  };
  const std::string file = dir.file("check.tar.xz");
  const ProcessResult made = bundle({"--for-gpu-check", file, "--build", build_folder(), "--quick"});
  require_done(made);
  CHECK(has(made.out, " MiB, commit "));
  // Of a build without debug symbols and sanitizers.
  if (std::string(DPLL_BUILD_TYPE) == "Release")
    CHECK(std::filesystem::file_size(file) < std::uintmax_t{50} << 20);
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);

  require_done(run_process({"/usr/bin/env", "tar", "-C", dir.path(), "-xf", file}));
  const std::string data = dir.file("dpll/data/");
  CHECK(std::filesystem::file_size(data + "fashion-mnist/train-images-idx3-ubyte") == 16 + 20000 * 28 * 28);
  const nlohmann::json expected = nlohmann::json::parse(read_text(data + "expected.json"));
  CHECK(expected.at("accuracies").size() == 2);
  CHECK(expected.at("commit") == DPLL_COMMIT);
  CHECK_FALSE(has(expected.dump(), "data.path"));
  const ProcessResult version = run_process({dir.file("dpll/dpll_engine"), "--version"});
  CHECK(version.out == run_process(engine({"--version"})).out);

  CHECK(has(bundle({"--for-gpu-check", file, "--build", build_folder()}).err, "is there already"));
  CHECK(has(bundle({"--for-gpu-check", dir.file("x.zip")}).err, "the file is to be named .tar.xz"));
  CHECK(has(bundle({"--for-gpu-check", dir.file("x.tar.xz"), "--build", dir.path()}).err,
            "there is no program in"));
  CHECK(bundle({"--architecture"}).exit_code == 2);
}
