#include "parallel/mpi_open.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "dpll/core/check.h"

namespace dpll {
namespace {

struct Library {
  const char* file;
  const char* mpi;
  const char* package;
};
constexpr Library kOpenMpiLibrary = {"libdpll_openmpi.so", "Open MPI", "libopenmpi-dev"};
constexpr Library kMpichLibrary = {"libdpll_mpich.so", "MPICH", "libmpich-dev"};

// The libraries for a launcher, the likeliest first.
std::vector<Library> libraries_for(const Launch& launch) {
  switch (launch.by) {
    case Launch::By::openmpi:
      return {kOpenMpiLibrary};
    case Launch::By::slurm_pmix:
      return {kOpenMpiLibrary, kMpichLibrary};  // an MPICH may have been built with PMIx
    default:
      return {kMpichLibrary};
  }
}

// "rank 1 of 4, started by mpirun of Open MPI"
std::string launched(const Launch& launch) {
  return fmt::format("rank {} of {}, started by {}", launch.rank, launch.size, name_of(launch.by));
}

}  // namespace

std::string program_folder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

const DpllMpiTable& open_mpi_library(const Launch& launch, const std::string& folder) {
  if (launch.by == Launch::By::slurm_plain) {
    fail(ExitCode::config,
         "{}: the tasks of this step cannot find each other; start them with srun --mpi=pmix (Open MPI) or "
         "--mpi=pmi2 (MPICH), or a run of its own with srun --ntasks=1",
         launched(launch));
  }
  std::string reasons, packages;
  for (const Library& library : libraries_for(launch)) {
    const std::string path = (std::filesystem::path(folder) / library.file).string();
    std::error_code ignored;
    if (!reasons.empty()) {
      reasons += "; ";
      packages += " or ";
    }
    packages += fmt::format("{} ({})", library.mpi, library.package);
    if (!std::filesystem::exists(path, ignored)) {
      reasons += fmt::format("'{}' is not there", path);
      continue;
    }
    // Open MPI opens parts of its own, which look for its functions among the global ones.
    void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
      const char* const text = dlerror();
      reasons += text == nullptr ? path + " cannot be opened" : text;
      continue;
    }
    const auto table = reinterpret_cast<DpllMpiTableFunction>(dlsym(handle, kDpllMpiTableFunction));
    if (table != nullptr && table()->version == kDpllMpiTableVersion) return *table();
    reasons += fmt::format("'{}' belongs to another version of the program", path);
  }
  fail(ExitCode::device, "{}, but this program has no MPI for it: {}; it is built where {} is installed",
       launched(launch), reasons, packages);
}

}  // namespace dpll
