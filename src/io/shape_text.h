// The shape of an array in messages: "[32,32,3,10]".
#pragma once

#include <fmt/ranges.h>

#include <string>
#include <vector>

namespace dpll {

template <typename Size>
std::string shape_text(const std::vector<Size>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

}  // namespace dpll
