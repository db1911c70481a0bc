// The memory of this machine.
#pragma once

#include <unistd.h>

#include <cstddef>

namespace dpll {

inline std::size_t installed_memory() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Of a backend that holds `held` bytes. What other programs hold is left out: the kernel may well find it
// somewhere else to be.
inline std::size_t host_memory_left(std::size_t held) {
  const std::size_t installed = installed_memory();
  return held < installed ? installed - held : 0;
}

}  // namespace dpll
