// Which environments are a launch as one of several ranks.
#include "parallel/launch.h"

#include <map>
#include <string>

#include "support/doctest.h"
#include "support/error_of.h"

using namespace dpll;
using namespace dpll::test;

namespace {

using Values = std::map<std::string, std::string>;

Launch launch_of(const Values& values) {
  return read_launch([&](const char* name) -> const char* {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  });
}

void check_launch(const Values& values, Launch::By by, int rank, int size, int local_rank, int local_size) {
  const Launch launch = launch_of(values);
  CHECK(name_of(launch.by) == name_of(by));
  CHECK(launch.rank == rank);
  CHECK(launch.size == size);
  CHECK(launch.local_rank == local_rank);
  CHECK(launch.local_size == local_size);
}

void check_refused(const Values& values, const std::string& part) {
  const Error error = error_of([&] { launch_of(values); });
  CHECK(error.code() == ExitCode::config);
  CHECK(test::contains(error, part));
}

const Values kMpirun = {{"OMPI_COMM_WORLD_RANK", "5"},
                        {"OMPI_COMM_WORLD_SIZE", "8"},
                        {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                        {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                        {"PMIX_RANK", "5"}};
const Values kHydra = {{"PMI_RANK", "1"},
                       {"PMI_SIZE", "3"},
                       {"PMI_FD", "8"},
                       {"MPI_LOCALRANKID", "0"},
                       {"MPI_LOCALNRANKS", "2"}};
const Values kStep = {{"SLURM_NTASKS", "16"},
                      {"SLURM_STEP_ID", "0"},
                      {"SLURM_PROCID", "2"},
                      {"SLURM_STEP_NUM_TASKS", "4"},
                      {"SLURM_LOCALID", "0"}};

Values with(Values values, const Values& more) {
  for (const auto& [name, value] : more) values[name] = value;
  return values;
}

Values without(Values values, const std::string& name) {
  values.erase(name);
  return values;
}

}  // namespace

TEST_CASE("launch: every launcher says rank and size in its own variables") {
  check_launch(kMpirun, Launch::By::openmpi, 5, 8, 1, 4);
  check_launch(kHydra, Launch::By::hydra, 1, 3, 0, 2);
  check_launch(with(kStep, {{"PMIX_RANK", "2"}}), Launch::By::slurm_pmix, 2, 4, 0, -1);
  check_launch(with(kStep, {{"PMI_RANK", "2"}, {"PMI_SIZE", "4"}}), Launch::By::slurm_pmi2, 2, 4, 0, -1);
  check_launch(kStep, Launch::By::slurm_plain, 2, 4, 0, -1);
  // A launcher that Slurm's srun started on each machine.
  check_launch(with(kStep, kMpirun), Launch::By::openmpi, 5, 8, 1, 4);
  check_launch(with(kStep, kHydra), Launch::By::hydra, 1, 3, 0, 2);
  // What is only about the ranks of this machine may be missing.
  check_launch(without(without(kHydra, "MPI_LOCALRANKID"), "MPI_LOCALNRANKS"), Launch::By::hydra, 1, 3, -1,
               -1);
}

TEST_CASE("launch: an ordinary start, a batch script and a launcher of one process are one rank") {
  CHECK(launch_of({}).by == Launch::By::nobody);
  check_launch({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}, {"SLURM_JOB_ID", "7"}},
               Launch::By::nobody, 0, 1, -1, -1);
  // A shell that salloc gives is a step of one task in a job of several.
  CHECK(launch_of({{"SLURM_NTASKS", "4"},
                   {"SLURM_STEP_ID", "0"},
                   {"SLURM_PROCID", "0"},
                   {"SLURM_STEP_NUM_TASKS", "1"}})
            .size == 1);
  CHECK(launch_of({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}).size == 1);
}

TEST_CASE("launch: an environment that is half there is refused, naming the variable") {
  check_refused(without(kMpirun, "OMPI_COMM_WORLD_SIZE"),
                "OMPI_COMM_WORLD_RANK = 5, but no OMPI_COMM_WORLD_SIZE");
  check_refused(without(kMpirun, "OMPI_COMM_WORLD_RANK"),
                "OMPI_COMM_WORLD_SIZE = 8, but no OMPI_COMM_WORLD_RANK");
  check_refused(without(kHydra, "PMI_SIZE"), "PMI_RANK = 1, but no PMI_SIZE");
  check_refused(without(kHydra, "PMI_RANK"), "PMI_SIZE = 3, but no PMI_RANK");
  check_refused({{"PMIX_RANK", "1"}}, "PMIX_RANK = 1, but no SLURM_STEP_NUM_TASKS");
  check_refused(without(kStep, "SLURM_STEP_NUM_TASKS"), "SLURM_PROCID = 2, but no SLURM_STEP_NUM_TASKS");
  check_refused(with(kMpirun, {{"OMPI_COMM_WORLD_RANK", "8"}}),
                "OMPI_COMM_WORLD_RANK = 8, which should be less than OMPI_COMM_WORLD_SIZE = 8");
  check_refused(with(kMpirun, {{"OMPI_COMM_WORLD_LOCAL_RANK", "4"}}), "OMPI_COMM_WORLD_LOCAL_RANK = 4");
  for (const char* text : {"", "one", "1x", "-1", "99999999999", "1.5", " 1"}) {
    CAPTURE(text);
    check_refused(with(kHydra, {{"PMI_RANK", text}}), std::string("PMI_RANK = '") + text + "'");
    check_refused(with(kHydra, {{"MPI_LOCALRANKID", text}}), "MPI_LOCALRANKID");
  }
  check_refused(with(kHydra, {{"PMI_SIZE", "0"}}),
                "PMI_SIZE = '0', which should be a whole number from 1 on");
}
