// What a run keeps in the backend's memory, for the log, and what would fit where it does not.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "dpll/backend.h"

namespace dpll {

// One line: "memory: 812.4 MiB (cuda, 79000.0 MiB free): 700.1 MiB the activations, ...". `left`: what the
// backend could give before the run took anything.
std::string memory_line(const Backend& backend, std::size_t left);

// A batch of V views of `batch` samples that needs `bytes` for its activations.
struct BatchMemory {
  const char* key = "optimiser.batch";  // of the configuration, where the user says how large it is
  int batch = 1, views = 1;
  std::size_t bytes = 0;
  // The same of another batch. Asked only where `bytes` does not fit.
  std::function<std::size_t(int batch, int views)> bytes_of;
};

// Error(device), one line, unless `need` fits into what the backend has left: what is asked for, what is
// there, what is taken already by what, and a smaller batch and fewer strong views that would fit: near the
// largest, as few programs as possible are made to find them.
void require_memory(const Backend& backend, const BatchMemory& need);

}  // namespace dpll
