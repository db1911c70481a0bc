// CIFAR's python version as Python 2 pickled it: a dict of a batch label, labels and the images' planes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dpll::test {

// `labels`: lists by key. `planes`: [images, 3072].
std::vector<std::uint8_t> cifar_pickle(
    const std::vector<std::pair<std::string, std::vector<std::uint8_t>>>& labels,
    const std::vector<std::uint8_t>& planes);

// A gzip-compressed tar archive of (name, bytes).
std::vector<std::uint8_t> tar_gz(
    const std::vector<std::pair<std::string, std::vector<std::uint8_t>>>& members);

}  // namespace dpll::test
