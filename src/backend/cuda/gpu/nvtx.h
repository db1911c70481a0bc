// The program's ranges for NVIDIA's profilers: Nsight Systems shows them above the kernels.
#pragma once

#include "dpll/core/trace.h"

namespace dpll::cuda {

// Never destroyed. Without a profiler attached a range costs a few nanoseconds.
trace::Sink& nvtx_ranges();

}  // namespace dpll::cuda
