// Collectives on NCCL: two communicators, so that statistics which a stream waits for need not queue up
// behind gradients.
#pragma once

#include <memory>

#include "backend/cuda/collectives.h"
#include "backend/cuda/nccl_table.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Collective. Every rank has a GPU of its own, which is the current one of the calling thread; `begin_thread`
// makes it that of another thread. Error(device) where NCCL fails, or has another version on another rank.
std::unique_ptr<Collectives> make_nccl_collectives(const NcclTable& nccl, Ranks& ranks,
                                                   const std::function<void()>& begin_thread);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
