// The shape that per-channel kernels see: [views * rows, channels].
#pragma once

#include <cstddef>
#include <cstdint>

#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct ViewRows {
  int views = 1;
  std::int64_t rows = 1;  // of one view
  int channels = 1;
};

// How many counters kernels need whose blocks count by view and channel block (last_block.cuh): a bound,
// since a block has at least 16 channels wherever several share them.
inline std::size_t channel_counters(const ViewRows& shape) {
  return static_cast<std::size_t>(shape.views) * static_cast<std::size_t>((shape.channels + 15) / 16);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
