// Decoded pictures, kept from one run to the next in one safetensors file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image_list.h"
#include "dpll/data.h"

namespace dpll {

// decode_images() by way of `cache`/images-KEY.safetensors, where KEY stands for the folder `root` and the
// size. The file holds `images`, u8 [files, size, size, channels], and is taken where it is whole (it has a
// SHA-256 of its contents) and is of the same files: same names in the same order, sizes and times of change.
// Otherwise the pictures are decoded and it is written anew, atomically; where that fails, `warnings` gets a
// line. An empty `cache` is none. Tells report.line which of the two happened.
std::vector<std::uint8_t> cached_images(const std::string& cache, const std::string& root,
                                        const std::vector<ImageFile>& files, int size, int channels,
                                        const LoadReport& report, std::vector<std::string>& warnings);

}  // namespace dpll
