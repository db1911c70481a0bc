// The operation graphs of cuDNN that compute the passes of convolution.h.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/vendor/cudnn_device.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Error(device) where cuDNN refuses the graph itself. That it accepts it does not mean that it has an engine.
Descriptor operation_graph(const CudnnDevice& device, const ConvolutionShape& shape, ConvolutionPass pass);

// Tells cuDNN which memory the tensors of a pass's graph are.
Descriptor variant_pack(ConvolutionPass pass, const ConvolutionTensors& tensors, void* workspace,
                        int in_channels);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
