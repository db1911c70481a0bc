// What benchmarks want to know of a call that an ObservedBackend shows: the work it does, and how to run it
// again on copies. So the work of a step is counted where it is done, and benchmarks time the very calls that
// tests and training make.
#pragma once

#include <functional>
#include <map>

#include "backend/observed_backend.h"
#include "bench/work.h"

namespace dpll::bench {

// Copies of a call's memory, freed together.
class CallMemory {
 public:
  explicit CallMemory(Backend& backend) : backend_(backend) {}
  // The copy of the block at `data`; the same block gives the same copy, so that tensors which share memory
  // do so in the copies.
  void* copy_of(const void* data, std::size_t bytes);

 private:
  Backend& backend_;
  std::map<const void*, Buffer> copies_;
};

struct ObservedCall {
  const char* op = "";    // "preact_conv"
  const char* pass = "";  // "forward", "backward" or "run"
  Work work;
  std::size_t bytes = 0;  // of what copy() copies
  // Copies all that the call works on, but for the workspace; returns what runs the operation on the copy. To
  // be used while the observer is running and `memory` lives.
  std::function<std::function<void()>(CallMemory& memory)> copy;
};

// For ObservedBackend::observe(): runs every call, then shows it.
CallObserver shown_to(std::function<void(const ObservedCall&)> observer);

}  // namespace dpll::bench
