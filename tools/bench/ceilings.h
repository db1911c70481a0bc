// The limits of this machine, measured in the same run: the speed of copying a large buffer, and the speed of
// a large matrix product of the same type with the library that the backend uses for products.
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

// Takes about `seconds` for each. The fastest repetition counts, because this is a limit of the machine.
Ceilings measure_ceilings(Backend& backend, double seconds);

// Seconds from one kernel to the next in a recorded sequence of nearly empty kernels: the minimum time of a
// kernel launch in a step. On a CPU it is close to 0.
double kernel_gap_seconds(Backend& backend);

}  // namespace dpll::bench
