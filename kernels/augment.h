// All views of a batch, augmented and normalised; see dpll/ops/augment.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "augment/policies.h"
#include "dpll/ops/augment.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct AugmentTask {
  AugmentSpec spec;
  const PreparedPolicy *weak = nullptr, *strong = nullptr;  // device memory
  void* images = nullptr;                                   // [V*B, H, W, C + zero channels]
  const std::uint8_t* pixels = nullptr;                     // [N, H, W, C]
  const StepState* step = nullptr;
  const std::int32_t* order = nullptr;  // [N] or null
  int ahead = 0;                        // see BatchRows
};

// Bytes of shared memory a block needs: two uint8 images of spec's size, histograms and tables.
std::size_t augment_shared_bytes(const AugmentSpec& spec);

// One block an image and view, the image in shared memory.
void augment(const AugmentTask& task, DType type, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
