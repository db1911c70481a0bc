// What the GPUs of several ranks do together. All ranks enqueue the same calls on each of the two streams, in
// the same order; a sequence that is recorded is recorded and replayed by all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "dpll/core/tensor.h"
#include "dpll/ranks.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Recorded sequences that have called it must be gone when it is destroyed, which is collective.
class Collectives {
 public:
  virtual ~Collectives() = default;
  virtual std::string description() const = 0;  // "NCCL 2.28.9"
  virtual int size() const = 0;                 // ranks

  // For small messages that others wait for. all: [size, bytes], in rank order; `own` is no part of it.
  virtual void all_gather(void* all, const void* own, std::size_t bytes, Stream stream) = 0;
  // For large ones that go on beside the main stream: values become the sums of all ranks, with the same bits
  // everywhere. f32, f16 or bf16; 16-bit values are added two and two in float32, and rounded each time.
  virtual void all_reduce(void* values, std::int64_t count, DType type, Stream stream) = 0;

  // From so many bytes on a sum is worth to be started before the last gradient is there.
  virtual std::size_t least_sum_bytes() const = 0;

  // While the host waits for the GPU: throws Error(device) where another rank has failed.
  virtual void check() = 0;
  // The process is about to end because a rank has failed. Nothing is given back in order: that would wait
  // for other ranks, and for work that waits for them.
  virtual void abandon() noexcept = 0;
};

// Collective, on the current GPU.
using CollectivesMaker = std::function<std::unique_ptr<Collectives>(Ranks& ranks)>;

}  // namespace dpll::DPLL_CUDA_NAMESPACE
