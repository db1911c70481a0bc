// Deterministic damage to files for fuzz-style tests.
#pragma once

#include <cstdint>
#include <vector>

#include "dpll/core/philox.h"

namespace dpll::test {

// Variant number `trial` of `bytes`: a truncation, or up to four bit flips, byte replacements, insertions,
// removals or copied stretches within the first `reach` bytes.
inline std::vector<std::uint8_t> mutate(std::vector<std::uint8_t> bytes, std::uint32_t trial,
                                        std::size_t reach) {
  PhiloxStream random(2024, Purpose::shuffle, trial, 0, 0);
  const auto below = [&](std::size_t n) {
    return static_cast<std::size_t>(random.next_below(static_cast<std::uint32_t>(n)));
  };
  if (below(8) == 0) {
    bytes.resize(below(bytes.size()));
    return bytes;
  }
  for (std::size_t edits = 1 + below(4); edits > 0 && !bytes.empty(); --edits) {
    const std::size_t at = below(reach < bytes.size() ? reach : bytes.size());
    const auto position = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(5)) {
      case 0:
        *position = static_cast<std::uint8_t>(*position ^ (1u << below(8)));
        break;
      case 1:
        *position = static_cast<std::uint8_t>(below(256));
        break;
      case 2:
        bytes.insert(position, static_cast<std::uint8_t>("0129-[]{},\":xF e"[below(16)]));
        break;
      case 3:
        bytes.erase(position);
        break;
      default: {
        const std::size_t from = below(bytes.size());
        const std::size_t length = 1 + below(8);
        for (std::size_t i = 0; i < length && at + i < bytes.size() && from + i < bytes.size(); ++i) {
          bytes[at + i] = bytes[from + i];
        }
      }
    }
  }
  return bytes;
}

}  // namespace dpll::test
