// Matrix products by cuBLASLt.
#pragma once

#include <memory>

#include "backend/cuda/convolution.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

class CublasLt;  // the opened library with a handle

// Error(device) where the library is missing, too old, or finds no GPU.
std::shared_ptr<const CublasLt> open_cublas();
std::string description(const CublasLt& library);  // "cuBLAS 13.1"

// Sums in float32, in an order that is the same in every run: no split-k with atomics. `tf32`: float32
// inputs are multiplied in tf32 on tensor cores. Best first, by cuBLASLt's heuristic.
std::vector<ProductOffer> cublas_offers(const std::shared_ptr<const CublasLt>& library,
                                        const ProductShape& shape, bool tf32);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
