#pragma once

#include "backend/cuda/nccl_table.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Opens NCCL at the first call. Error(device) where there is none, or one that is too old.
const NcclTable& nccl();

}  // namespace dpll::DPLL_CUDA_NAMESPACE
