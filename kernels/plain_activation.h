// What is left of bn_relu_pool without batch norm: ReLU alone, and the average over the pixels of an image
// alone.
#pragma once

#include <cstdint>

#include "dpll/core/tensor.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

void relu_forward(void* y, const void* x, std::int64_t elements, DType type, Stream stream);
void relu_backward(void* d_x, const void* d_y, const void* x, std::int64_t elements, DType type,
                   Stream stream);

struct PixelsOf {
  std::int64_t images = 1;
  int pixels = 1, channels = 1;  // of an image
};
void average_forward(void* y, const void* x, const PixelsOf& shape, DType type, Stream stream);
void average_backward(void* d_x, const void* d_y, const PixelsOf& shape, DType type, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
