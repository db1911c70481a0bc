// A call that an ObservedBackend reports: its work, and a function that runs it again on copies. So the work
// of a step is counted during the step, and benchmarks time the same calls that tests and training make.
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
  // The copy of the block at `data`. The same block gives the same copy, so tensors that share memory also
  // share it in the copies.
  void* copy_of(const void* data, std::size_t bytes);

 private:
  Backend& backend_;
  std::map<const void*, Buffer> copies_;
};

struct ObservedCall {
  const char* op = "";    // "preact_conv"
  const char* pass = "";  // "forward", "backward" or "run"
  Work work;
  std::size_t bytes = 0;  // that copy() copies
  // Copies all memory of the call, except the workspace, and returns a function that runs the operation on
  // the copy. Use it while the observer is running and `memory` exists.
  std::function<std::function<void()>(CallMemory& memory)> copy;
};

// For ObservedBackend::observe(): runs every call, then reports it.
CallObserver shown_to(std::function<void(const ObservedCall&)> observer);

}  // namespace dpll::bench
