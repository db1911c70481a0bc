// Whether a launcher (mpirun, srun) started this process as one of several ranks, read from the environment.
#pragma once

#include <functional>
#include <string>

namespace dpll {

struct Launch {
  enum class By {
    nobody,       // an ordinary start
    openmpi,      // mpirun of Open MPI
    hydra,        // mpiexec of MPICH, and of others that derive from it
    slurm_pmix,   // srun --mpi=pmix
    slurm_pmi2,   // srun --mpi=pmi2
    slurm_plain,  // srun of several tasks that offers no way to find each other
  };
  By by = By::nobody;
  int rank = 0, size = 1;
  // Among the ranks of this machine; -1 where the launcher does not say.
  int local_rank = -1, local_size = -1;
};

// For messages: "mpirun of Open MPI".
std::string name_of(Launch::By by);

// The value of a variable; nullptr: it is not set.
using Environment = std::function<const char*(const char* name)>;

// A launch of a single process counts as an ordinary start in all but `by`. The variables of a batch job
// alone (SLURM_NTASKS) are no launch. Error(ExitCode::config) names the variable where a launcher's variables
// contradict each other or some are missing.
Launch read_launch(const Environment& environment);
Launch read_launch();  // of this process

}  // namespace dpll
