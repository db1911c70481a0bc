// Numbers that C++ and Python compute identically, so that golden files need not contain them. The Python
// versions are pattern() in tools/golden/golden_file.py and initial_value() in
// tools/golden/make_trajectory_golden.py.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dpll::selftest {

// FNV-1a.
inline std::uint32_t hash32(const std::string& text) {
  std::uint32_t h = 0x811C9DC5u;
  for (const char c : text) h = (h ^ static_cast<std::uint8_t>(c)) * 0x01000193u;
  return h;
}

// In [-1, 1), multiples of 2^-19: element i is the finaliser of MurmurHash3 (32 bits) over hash32(name) ^ i *
// 0x9E3779B1, upper 20 bits.
inline std::vector<double> pattern(const std::string& name, std::int64_t count) {
  std::vector<double> values;
  const std::uint32_t seed = hash32(name);
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(count); ++i) {
    std::uint32_t h = seed ^ (i * 0x9E3779B1u);
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    values.push_back((h >> 12) * 0x1p-19 - 1);
  }
  return values;
}

// A parameter or running statistic before the first step. Weights of layers: uniform in [-s, s), s the
// largest power of two with s^2 * fan_in <= 6.
inline std::vector<float> initial_value(const std::string& name, const std::vector<std::int64_t>& dims) {
  std::int64_t count = 1;
  for (const std::int64_t d : dims) count *= d;
  double centre = 0, scale = 0.25;
  if (dims.size() > 1) {
    const std::int64_t fan_in = count / dims[0];
    scale = 1;
    while (scale * scale * static_cast<double>(fan_in) > 6) scale /= 2;
  } else if (name.ends_with("weight")) {  // of batch norm
    centre = 1;
  } else if (name.ends_with("running_var")) {
    centre = 1;
    scale = 0.5;
  }
  std::vector<float> values;
  for (const double p : pattern(name, count)) values.push_back(static_cast<float>(centre + scale * p));
  return values;
}

}  // namespace dpll::selftest
