// Threads and vector units of the CPU backend.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

// Inner loops that should use wide vectors are compiled once per x86-64 level and chosen at start-up, so that
// one binary serves old and new processors. They are plain functions over a contiguous range, called inside a
// parallel region.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define DPLL_VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define DPLL_VECTOR_CLONES
#endif

namespace dpll::cpu {

// Calls body(begin, end) for chunks of [0, count) of at most `grain` elements, spread over the threads. The
// cut is the same for every thread count. With one chunk the calling thread does it alone.
template <typename Body>
void parallel_chunks(std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t chunks = (count + grain - 1) / grain;
#pragma omp parallel for schedule(static) if (chunks > 1)
  for (std::int64_t i = 0; i < chunks; ++i) body(i * grain, std::min(count, (i + 1) * grain));
}

}  // namespace dpll::cpu
