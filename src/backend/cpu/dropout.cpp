#include "backend/cpu/dropout.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/parallel.h"
#include "dpll/core/philox.h"

namespace dpll::cpu {
namespace {

// Philox blocks that are drawn at a time, one in each lane of a vector.
constexpr std::int64_t kBlocks = 16;

// What an image's draws have in common.
struct Draws {
  std::uint64_t seed;
  std::uint32_t sample, epoch, purpose_view;
};

// words[w][b] = word w of block first + b.
DPLL_VECTOR_CLONES void draw(std::uint32_t (&words)[4][kBlocks], std::uint32_t first, const Draws& draws) {
#pragma omp simd
  for (std::int64_t b = 0; b < kBlocks; ++b) {
    const Philox4 block = philox4x32(draws.seed, first + static_cast<std::uint32_t>(b), draws.sample,
                                     draws.epoch, draws.purpose_view);
    words[0][b] = block.v[0];
    words[1][b] = block.v[1];
    words[2][b] = block.v[2];
    words[3][b] = block.v[3];
  }
}

DPLL_VECTOR_CLONES void backward_kernel(float* __restrict d_a, const float* __restrict a, float factor,
                                        std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float d = d_a[i] * factor;
    d_a[i] = a[i] > 0.0F ? d : 0.0F;
  }
}

float kept_factor(const DropoutSpec& spec) {
  return static_cast<float>(1 / (1 - spec.p));
}

}  // namespace

void dropout_apply(float* a, std::int64_t elements, const DropoutSpec& spec, const StepState& step,
                   std::uint32_t sample, std::uint32_t view) {
  const Draws draws{step.seed, sample, step.epoch,
                    static_cast<std::uint32_t>(Purpose::dropout) | (view << 16)};
  // uniform_float(word) >= p, in integers.
  const auto threshold = static_cast<std::uint32_t>(std::ceil(spec.p * 0x1p24));
  const float factor = kept_factor(spec);
  std::uint32_t words[4][kBlocks];
  for (std::int64_t begin = 0; begin < elements; begin += 4 * kBlocks) {
    draw(words, (spec.site << 20) + static_cast<std::uint32_t>(begin / 4), draws);
    const std::int64_t end = std::min(elements, begin + 4 * kBlocks);
    for (std::int64_t i = begin; i < end; ++i) {
      const bool keep = (words[i % 4][(i - begin) / 4] >> 8) >= threshold;
      a[i] = keep ? a[i] * factor : 0.0F;
    }
  }
}

void dropout_backward(float* d_a, const float* a, std::int64_t elements, const DropoutSpec& spec) {
  backward_kernel(d_a, a, kept_factor(spec), elements);
}

}  // namespace dpll::cpu
