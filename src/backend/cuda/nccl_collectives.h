// Collectives on NCCL: two communicators, so that statistics which a stream waits for need not queue up
// behind gradients.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "backend/cuda/collectives.h"
#include "backend/cuda/nccl_table.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// A sum of this size takes some ten times as long as a small one.
inline constexpr std::size_t kLeastSumBytes = std::size_t{1} << 22;

std::string nccl_version_text(const NcclTable& nccl);  // "NCCL 2.28.9"

// Collective. Every rank has a GPU of its own, which is the current one of the calling thread; `begin_thread`
// makes it that of another thread. Error(device) where NCCL fails, or has another version on another rank.
std::unique_ptr<Collectives> make_nccl_collectives(const NcclTable& nccl, Ranks& ranks,
                                                   const std::function<void()>& begin_thread,
                                                   std::size_t least_sum_bytes = kLeastSumBytes);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
