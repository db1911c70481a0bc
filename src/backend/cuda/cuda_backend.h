#pragma once

#include <memory>

#include "backend/cuda/collectives.h"
#include "backend/cuda/convolution.h"
#include "backend/cuda/runtime.h"
#include "backend/cuda/tuner.h"
#include "dpll/backend.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Activations and their gradients are of type `compute`: f32, f16 or bf16. `collectives`: for
// Backend::meet().
std::unique_ptr<Backend> make_backend(std::unique_ptr<Runtime> runtime, std::unique_ptr<MathLibrary> math,
                                      DType compute, TuningOptions tuning, CollectivesMaker collectives = {});

}  // namespace dpll::DPLL_CUDA_NAMESPACE
