// The launchers of MPI that this machine has, for tests.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "cli/engine_runs.h"

namespace dpll::test {

inline const std::string kBuild = std::filesystem::path(DPLL_ENGINE).parent_path().string();

struct Mpi {
  std::string name;     // as its library of ours is called
  std::string program;  // Debian's name of its launcher
  std::string sign;     // of what --version prints
};
inline const Mpi kOpenMpi = {"openmpi", "mpirun.openmpi", "Open MPI"};
inline const Mpi kMpich = {"mpich", "mpirun.mpich", "HYDRA"};

inline std::vector<std::string> with_environment(const std::vector<std::string>& variables,
                                                 const std::vector<std::string>& command) {
  // The libraries of MPI leave memory behind, which is no concern of the tests with a sanitizer.
  std::vector<std::string> all = {"/usr/bin/env", "OMPI_ALLOW_RUN_AS_ROOT=1",
                                  "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "ASAN_OPTIONS=detect_leaks=0"};
  all.insert(all.end(), variables.begin(), variables.end());
  all.insert(all.end(), command.begin(), command.end());
  return all;
}

// The launcher of an MPI, or "" and why there is none.
inline std::string launcher_of(const Mpi& mpi, std::string& why) {
  if (!std::filesystem::exists(kBuild + "/libdpll_" + mpi.name + ".so")) {
    why = "built without the headers of " + mpi.sign + " (tools/install_deps test)";
    return "";
  }
  for (const std::string& program : {mpi.program, std::string("mpirun")}) {
    const ProcessResult version = run_process(with_environment({}, {program, "--version"}));
    if (version.exit_code == 0 && has(version.out, mpi.sign)) return program;
  }
  why = mpi.program + " is not installed (tools/install_deps test)";
  return "";
}

inline std::vector<std::string> on_ranks(const Mpi& mpi, const std::string& launcher, int ranks,
                                         const std::vector<std::string>& engine_command,
                                         const std::vector<std::string>& variables = {}) {
  std::vector<std::string> command = {launcher, "-np", std::to_string(ranks)};
  if (mpi.name == "openmpi") command.push_back("--oversubscribe");
  command.insert(command.end(), engine_command.begin(), engine_command.end());
  return with_environment(variables, command);
}

// The processes of a run on ranks, without its launcher, as soon as so many are there.
inline std::vector<std::string> processes_of(const EngineRuns& runs, std::size_t ranks) {
  std::vector<std::string> processes;
  for (int i = 0; i < 1000 && processes.size() != ranks; ++i) {
    const ProcessResult found =
        run_process({"/usr/bin/env", "pgrep", "-f", "^[^ ]*dpll_engine[^ ]* " + runs.config()});
    processes = lines_of(found.out);
    if (processes.size() != ranks) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  REQUIRE_MESSAGE(processes.size() == ranks,
                  run_process({"/usr/bin/env", "pgrep", "-af", "dpll_engine"}).out);
  return processes;
}

// Until a text is in a file.
inline void wait_for_text(const std::string& path, const std::string& text) {
  for (int i = 0; i < 2000 && !(std::filesystem::exists(path) && has(read_text(path), text)); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// The lines of ours, without what the launcher adds.
inline std::vector<std::string> our_lines(const ProcessResult& result) {
  std::vector<std::string> ours;
  for (const std::string& line : lines_of(result.out + result.err)) {
    if (line.rfind("dpll_engine: ", 0) == 0) ours.push_back(line);
  }
  return ours;
}

}  // namespace dpll::test

// `launcher` for the rest of a test case; skips it where there is none.
#define DPLL_NEED_LAUNCHER(mpi)                       \
  std::string why;                                    \
  const std::string launcher = launcher_of(mpi, why); \
  if (launcher.empty()) DPLL_SKIP(why)
