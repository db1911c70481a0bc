// NCCL between emulated GPUs, whose ranks are threads or processes: a call is enqueued on a stream as any
// other work, and exchanges what it finds in memory when its turn comes, by the ranks' own collective
// functions. An EmulationFault where the ranks' calls do not fit (order, kind, size, type), where a
// communicator is used on two streams, or where send and receive buffers overlap; the end of the process
// where one is destroyed before a graph that has called it. The number of values says with which rank a sum
// begins: NCCL promises no order, only that all ranks get the same bits, each time.
#pragma once

#include "backend/cuda/collectives.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// For make_backend(). `least_sum_bytes`: small enough that tiny networks have several sums, too.
std::unique_ptr<Collectives> make_emulated_collectives(Ranks& ranks, std::size_t least_sum_bytes = 1 << 12);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
