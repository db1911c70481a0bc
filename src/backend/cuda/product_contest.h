// A contest of the tuner between the algorithms for one matrix product.
#pragma once

#include <vector>

#include "backend/cuda/contest.h"
#include "backend/cuda/convolution.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// On random matrices. `tf32`: float32 factors may be rounded to it.
Contest product_contest(Runtime& runtime, const ProductShape& shape, const std::vector<ProductOffer>& offers,
                        bool tf32);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
