// Programmatic dependent launch (sm_90 and newer): a kernel may be brought onto the GPU while the one before
// it in its stream still runs, and waits there, so that the time between the two becomes shorter. Every
// kernel of ours begins with wait_for_previous_kernel() (device.cuh): it touches no memory before all that
// was enqueued before it is done, and it lets the next one come only then. A kernel can therefore count on
// everything before its predecessor as well, and nothing can overwrite what an earlier kernel still reads.
#pragma once

#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

class LaunchRules {
 public:
  bool overlap = false;  // the GPU can
  Stream side_stream = nullptr;

  // What the next kernel of the stream follows is no kernel, or it waits for another stream as well: CUDA
  // knows such a launch between two kernels alone.
  void next_waits(Stream stream) { waits_[of_side(stream)] = true; }
  // Whether the launch that comes now follows a kernel.
  bool follows_kernel(Stream stream) {
    const bool follows = !waits_[of_side(stream)];
    waits_[of_side(stream)] = false;
    return follows;
  }

 private:
  int of_side(Stream stream) const { return stream == side_stream && stream != nullptr ? 1 : 0; }
  bool waits_[2] = {true, true};
};

// Of the GPU that this thread uses.
inline thread_local LaunchRules launch_rules;

}  // namespace dpll::DPLL_CUDA_NAMESPACE
