// The IDX format of MNIST and its relatives: a big-endian magic number (type, rank), big-endian 32-bit sizes,
// raw bytes. Described at http://yann.lecun.com/exdb/mnist/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/data.h"

namespace dpll {

// An idx3-ubyte file [count, height, width]; channels = 1, no labels. Error(data): wrong magic number,
// truncated, trailing bytes, no images.
ImageSet parse_idx_images(std::vector<std::uint8_t> bytes, const std::string& path);

// An idx1-ubyte file. Error(data) as above, and for a label that is not below `classes` (0: any label).
std::vector<std::int32_t> parse_idx_labels(const std::vector<std::uint8_t>& bytes, const std::string& path,
                                           int classes);

}  // namespace dpll
