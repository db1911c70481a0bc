// Opens the library of ours that knows the MPI of a launcher.
#pragma once

#include <string>

#include "parallel/launch.h"
#include "parallel/mpi_table.h"

namespace dpll {

// The folder of this program's file.
std::string program_folder();

// The table of libdpll_openmpi.so or libdpll_mpich.so in `folder`. It stays open until the process ends.
// Error(ExitCode::device) names what is missing; Error(ExitCode::config) where the launcher offers no way for
// the ranks to find each other. `launch` is one of several ranks.
const DpllMpiTable& open_mpi_library(const Launch& launch, const std::string& folder);

}  // namespace dpll
