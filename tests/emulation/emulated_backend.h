// The CUDA backend on the emulator: its kernels run as fibers, its memory is the host's, its stream runs
// everything at once, its convolutions and products are plain loops.
#pragma once

#include <memory>

#include "dpll/backend.h"

namespace dpll::test {

std::unique_ptr<Backend> make_emulated_cuda_backend(DType compute);

}  // namespace dpll::test
