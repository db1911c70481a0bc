// Judges the contenders of one contest: whether what they compute is right, and how long they take.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/contest.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

class Referee {
 public:
  // `deterministic`: compare the bits of two runs. Error(device) where there is not enough memory.
  Referee(Runtime& runtime, const Contest& contest, bool deterministic);

  // Empty, or why its results cannot be used: they are not what the host computes, differ from those of the
  // first contender with which nothing was wrong, or from its own of a second run.
  std::string complaint(const std::function<void()>& run);

 private:
  using Copies = std::vector<std::unique_ptr<ScratchMemory>>;

  std::string first_wrong(const std::function<void()>& run);
  void compute(const std::function<void()>& run);
  void copy_outputs(const Copies& to);
  std::string examine(const std::function<void()>& run);
  std::string first_difference(const Copies& want, bool exact);
  std::string difference_of(const ContestOutput& output, const void* want, bool exact);

  Runtime& runtime_;
  const Contest& contest_;
  bool deterministic_, has_expected_ = false;
  ScratchMemory parts_;
  Copies expected_, repeated_;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
