#include "parallel/launch.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>

#include "dpll/core/check.h"
#include "io/text.h"

namespace dpll {
namespace {

// The variables in which one launcher says the same things as the others.
struct Variables {
  Launch::By by;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;  // nullptr: it does not say
};
constexpr Variables kOpenMpi = {Launch::By::openmpi, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                                "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Variables kHydra = {Launch::By::hydra, "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID",
                              "MPI_LOCALNRANKS"};
// SLURM_NTASKS would be what the job asked for, which a step need not use.
constexpr Variables kSlurmPmix = {Launch::By::slurm_pmix, "PMIX_RANK", "SLURM_STEP_NUM_TASKS",
                                  "SLURM_LOCALID", nullptr};
constexpr Variables kSlurmPmi2 = {Launch::By::slurm_pmi2, "PMI_RANK", "PMI_SIZE", "SLURM_LOCALID", nullptr};
constexpr Variables kSlurmPlain = {Launch::By::slurm_plain, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS",
                                   "SLURM_LOCALID", nullptr};

// A number from `least` on; nothing where the variable is not set.
std::optional<int> number_of(const Environment& environment, const char* name, int least, Launch::By by) {
  const char* const text = name == nullptr ? nullptr : environment(name);
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  if (error != std::errc() || rest != end || value < least) {
    fail(ExitCode::config, "the environment of {} has {} = '{}', which should be a whole number from {} on",
         name_of(by), name, printable(text), least);
  }
  return value;
}

void check_below(const char* rank_name, int rank, const char* size_name, int size, Launch::By by) {
  if (rank < size) return;
  fail(ExitCode::config, "the environment of {} has {} = {}, which should be less than {} = {}", name_of(by),
       rank_name, rank, size_name, size);
}

Launch read(const Environment& environment, const Variables& names) {
  const std::optional<int> rank = number_of(environment, names.rank, 0, names.by);
  const std::optional<int> size = number_of(environment, names.size, 1, names.by);
  if (!rank || !size) {
    fail(ExitCode::config,
         "the environment of {0} has {1} = {2}, but no {3}; start the program with mpirun or srun, or unset "
         "{1}",
         name_of(names.by), rank ? names.rank : names.size, rank ? *rank : *size,
         rank ? names.size : names.rank);
  }
  check_below(names.rank, *rank, names.size, *size, names.by);
  Launch launch{names.by, *rank, *size, -1, -1};
  const std::optional<int> local_rank = number_of(environment, names.local_rank, 0, names.by);
  const std::optional<int> local_size = number_of(environment, names.local_size, 1, names.by);
  if (local_rank && local_size) {
    check_below(names.local_rank, *local_rank, names.local_size, *local_size, names.by);
  }
  launch.local_rank = local_rank.value_or(-1);
  launch.local_size = local_size.value_or(-1);
  return launch;
}

}  // namespace

std::string name_of(Launch::By by) {
  switch (by) {
    case Launch::By::nobody:
      return "no launcher";
    case Launch::By::openmpi:
      return "mpirun of Open MPI";
    case Launch::By::hydra:
      return "mpiexec of MPICH";
    case Launch::By::slurm_pmix:
      return "srun with PMIx";
    case Launch::By::slurm_pmi2:
      return "srun with PMI2";
    case Launch::By::slurm_plain:
      return "srun without PMIx and PMI2";
  }
  return "";
}

Launch read_launch(const Environment& environment) {
  const auto is_set = [&](const char* name) { return environment(name) != nullptr; };
  // mpirun and mpiexec start their daemons with srun where Slurm runs, so Slurm's variables are the last to
  // ask.
  if (is_set(kOpenMpi.rank) || is_set(kOpenMpi.size)) return read(environment, kOpenMpi);
  if (is_set("PMIX_RANK")) return read(environment, kSlurmPmix);
  if (is_set("PMI_RANK") || is_set("PMI_SIZE")) {
    const bool slurm = is_set("SLURM_STEP_ID") && !is_set(kHydra.local_rank);
    return read(environment, slurm ? kSlurmPmi2 : kHydra);
  }
  // A batch script has SLURM_PROCID and SLURM_NTASKS, too, but is no step.
  if (is_set("SLURM_STEP_ID") && is_set("SLURM_PROCID")) return read(environment, kSlurmPlain);
  return {};
}

Launch read_launch() {
  return read_launch([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace dpll
