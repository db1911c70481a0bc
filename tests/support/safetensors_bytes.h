// A safetensors file from a header written by hand, for headers that no writer would make.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace dpll::test {

inline std::vector<std::uint8_t> safetensors_bytes(const std::string& header,
                                                   const std::vector<std::uint8_t>& data) {
  std::vector<std::uint8_t> bytes(8 + header.size() + data.size());
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(std::uint64_t{header.size()} >> (8 * i));
  }
  std::copy(header.begin(), header.end(), bytes.begin() + 8);
  std::copy(data.begin(), data.end(), bytes.end() - static_cast<std::ptrdiff_t>(data.size()));
  return bytes;
}

}  // namespace dpll::test
