// The backend memory of a run, for the log, and a batch size that would fit if the run does not.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "dpll/backend.h"

namespace dpll {

// One line: "memory: 812.4 MiB (cuda, 79000.0 MiB free): 700.1 MiB the activations, ...". `left`: the bytes
// that were available before the run allocated anything.
std::string memory_line(const Backend& backend, std::size_t left);

// A batch of V views of `batch` samples that needs `bytes` for its activations.
struct BatchMemory {
  const char* key = "optimiser.batch";  // the key with which the user sets the batch size
  int batch = 1, views = 1;
  std::size_t bytes = 0;
  // The bytes of another batch. Called only if `bytes` does not fit.
  std::function<std::size_t(int batch, int views)> bytes_of;
};

// Error(device), one line, if `need` does not fit into the backend's free memory. The line states the needed
// and the available memory, the existing allocations, and a smaller batch and a number of strong views that
// would fit. These are near the largest possible ones; the search builds as few programs as possible.
void require_memory(const Backend& backend, const BatchMemory& need);

}  // namespace dpll
