// The limits of this machine, measured where they are used: how fast a large buffer is copied, and how fast a
// large matrix product of the same type is computed by the library that the backend's products go through.
#pragma once

#include "bench/timing.h"

namespace dpll::bench {

struct Ceilings {
  double copy_bytes_per_second = 0;  // bytes read and bytes written
  double product_operations_per_second = 0;
  double copy_spread = 0, product_spread = 0;  // as Measurement::spread
  std::size_t copied_bytes = 0;                // size of the buffer
  int product_size = 0;                        // of the square matrices
};

// Takes about `seconds` for each. The best repetition counts: a ceiling is what the machine can do.
Ceilings measure_ceilings(Backend& backend, double seconds);

// Seconds from one kernel to the next in a recorded sequence of kernels that do nothing worth a mention: what
// each call of a step costs at least, however small its work. On a CPU next to nothing.
double kernel_gap_seconds(Backend& backend);

}  // namespace dpll::bench
