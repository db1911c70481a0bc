// Ranks that real launchers start: Open MPI's mpirun, MPICH's, and Slurm's srun. tests/mpi/rank_check.cpp is
// one rank.
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/mpi_launchers.h"
#include "support/temp_dir.h"

using namespace dpll::test;

namespace {

namespace fs = std::filesystem;

const std::string kRankCheck = kBuild + "/dpll_rank_check";

// The check on `ranks` ranks of this machine.
ProcessResult start(const Mpi& mpi, const std::string& launcher, int ranks,
                    const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {launcher, "-np", std::to_string(ranks)};
  if (mpi.name == "openmpi") command.push_back("--oversubscribe");
  command.push_back(kRankCheck);
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_process(with_environment({}, command));
}

// One line of ours, with all of `parts`.
void check_one_line(const ProcessResult& result, const std::vector<std::string>& parts) {
  const std::vector<std::string> ours = our_lines(result);
  CHECK_MESSAGE(ours.size() == 1, result.out, result.err);
  for (const std::string& part : parts) {
    if (!ours.empty()) CHECK_MESSAGE(has(ours[0], part), ours[0], " lacks ", part);
  }
}

// "rank 1 on HOST (process "
std::string rank_here(int rank) {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  return fmt::format("rank {} on {} (process ", rank, host);
}

}  // namespace

namespace {

void check_collectives(const Mpi& mpi, const std::string& launcher) {
  for (const int ranks : {2, 3, 4}) {
    const ProcessResult result = start(mpi, launcher, ranks, {"collectives"});
    CHECK_MESSAGE(result.exit_code == 0, ranks, " ranks: ", result.out, result.err);
    CHECK(has(result.out, fmt::format("done: {} ranks", ranks)));
  }
}

}  // namespace

TEST_CASE("mpi: gathers, broadcasts and sums of two, three and four ranks of Open MPI") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  check_collectives(kOpenMpi, launcher);
}

TEST_CASE("mpi: gathers, broadcasts and sums of two, three and four ranks of MPICH") {
  DPLL_NEED_LAUNCHER(kMpich);
  check_collectives(kMpich, launcher);
}

TEST_CASE("mpi: a rank that is killed is named by the others, whether they wait or compute, with Open MPI") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  // Rank 0 is the one that else speaks.
  for (const auto& [part, rank] : {std::pair("killed", 1), {"killed", 0}, {"killed_while_computing", 0}}) {
    const ProcessResult result = start(kOpenMpi, launcher, 3, {part, std::to_string(rank)});
    CHECK(result.exit_code != 0);
    check_one_line(result, {rank_here(rank), "has ended before the others"});
  }
}

TEST_CASE(
    "mpi: a rank that is killed ends the others with MPICH, whose launcher leaves them no time to speak") {
  DPLL_NEED_LAUNCHER(kMpich);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(start(kMpich, launcher, 3, {"killed", "1", "600"}).exit_code != 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(120));
}

namespace {

void check_failures(const Mpi& mpi, const std::string& launcher) {
  for (const int rank : {0, 1}) {
    const ProcessResult failed = start(mpi, launcher, 3, {"failed", std::to_string(rank)});
    CHECK(failed.exit_code == 4);
    check_one_line(failed, {rank_here(rank), ": its file is damaged"});
  }
  const ProcessResult stopped = start(mpi, launcher, 3, {"stopped", "1", "0.5"});
  CHECK(stopped.exit_code == 6);
  check_one_line(stopped, {rank_here(1), "did not answer within the time limit of 0.5 s"});
  const ProcessResult late = start(mpi, launcher, 2, {"late", "1", "0.5"});
  CHECK(late.exit_code != 0);
  check_one_line(late, {"rank 0 (mpi", "the other ranks have not come within 0.5 s"});
}

}  // namespace

TEST_CASE("mpi: a rank that fails, hangs or never comes ends all with one line, with Open MPI") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  check_failures(kOpenMpi, launcher);
}

TEST_CASE("mpi: a rank that fails, hangs or never comes ends all with one line, with MPICH") {
  DPLL_NEED_LAUNCHER(kMpich);
  check_failures(kMpich, launcher);
}

TEST_CASE("mpi: one of several ranks without a library for its launcher, or with another MPI, refuses") {
  if (!fs::exists(kRankCheck)) DPLL_SKIP("the program of one rank is not here");
  // A copy of the program without the libraries beside it.
  const TempDir temp;
  const std::string alone = temp.file("dpll_rank_check");
  fs::copy_file(kRankCheck, alone);
  const auto refused = [&](const std::string& program, const std::vector<std::string>& variables,
                           int exit_code, const std::vector<std::string>& parts) {
    const ProcessResult result = run_process(with_environment(variables, {program, "collectives"}));
    CHECK(result.exit_code == exit_code);
    check_one_line(result, parts);
  };
  refused(
      alone, {"OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=4"}, 6,
      {"rank 0 of 4, started by mpirun of Open MPI", "libdpll_openmpi.so' is not there", "libopenmpi-dev"});
  refused(alone, {"PMI_RANK=0", "PMI_SIZE=2"}, 6, {"libdpll_mpich.so' is not there", "libmpich-dev"});
  refused(alone, {"PMIX_RANK=0", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=2"}, 6,
          {"srun with PMIx", "Open MPI (libopenmpi-dev) or MPICH (libmpich-dev)"});
  refused(alone, {"SLURM_STEP_ID=0", "SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=2"}, 3, {"--mpi=pmix"});
  refused(alone, {"PMI_RANK=2", "PMI_SIZE=2"}, 3, {"PMI_RANK = 2"});
  std::ofstream(temp.file("libdpll_mpich.so")) << "no library";
  refused(alone, {"PMI_RANK=0", "PMI_SIZE=2"}, 6, {"libdpll_mpich.so"});
  std::string why;
  if (launcher_of(kMpich, why).empty()) DPLL_SKIP(why);
  // Nobody answers this MPI, as where the launcher is that of another.
  refused(kRankCheck, {"PMI_RANK=0", "PMI_SIZE=2"}, 6,
          {"mpiexec of MPICH started this process as rank 0 of 2", "sees rank 0 of 1: it is another MPI"});
}

TEST_CASE("mpi: ranks of a real Slurm, started by srun with PMIx, with PMI2 and with neither") {
  const ProcessResult result = run_process(
      with_environment({}, {"python3", DPLL_SOURCE_DIR "/tests/cli/mpi_slurm_test.py", kRankCheck, "-v"}));
  if (result.exit_code == 127) DPLL_SKIP("python3 is not installed");
  CHECK_MESSAGE(result.exit_code == 0, result.out, result.err);
  const std::size_t skipped = result.err.find("skipped '");
  if (skipped != std::string::npos) {
    const std::size_t begin = skipped + std::string("skipped '").size();
    DPLL_SKIP(result.err.substr(begin, result.err.find('\'', begin) - begin));
  }
}
