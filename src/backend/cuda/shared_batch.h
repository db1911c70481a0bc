// What an operation shares with the other ranks where a batch is spread over several (BatchShare).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "backend/cuda/cuda_ops.h"
#include "batch_norm.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

class SharedBatch {
 public:
  SharedBatch(const Context& context, const BatchShare& share) : context_(context), share_(share) {}

  explicit operator bool() const { return share_.ranks != nullptr; }
  // Of a view on all ranks, `pixels` for each sample; 0: this rank has all of them.
  std::int64_t rows(std::int64_t pixels) const { return *this ? share_.total * pixels : 0; }
  // In which the calls below gather up to so many values of all ranks.
  std::size_t workspace_bytes(std::int64_t values, std::size_t value_bytes = sizeof(float)) const;

  // stats [V, 2, C] of this rank's samples become those of all.
  void merge(float* stats, int views, int channels, std::int64_t pixels, void* workspace) const;
  // Makes sums of this rank those of all; empty: this rank has all samples.
  ShareSums sums(void* workspace) const;
  std::function<void(double* sums, std::int64_t count)> double_sums(void* workspace) const;

 private:
  Collectives& collectives() const;

  Context context_;
  BatchShare share_;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
