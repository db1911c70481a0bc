// The shape that per-channel kernels see: [views * rows, channels].
#pragma once

#include <cstdint>

#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct ViewRows {
  int views = 1;
  std::int64_t rows = 1;  // of one view
  int channels = 1;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
