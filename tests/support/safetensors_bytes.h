// A safetensors file from a header written by hand, for headers that no writer would make.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dpll::test {

inline std::vector<std::uint8_t> safetensors_bytes(const std::string& header,
                                                   const std::vector<std::uint8_t>& data) {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(std::uint64_t{header.size()} >> (8 * i)));
  }
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

}  // namespace dpll::test
