// Small folders of images for tests: PNG files of one colour, written by the engine's own encoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "dpll/chart.h"

namespace dpll::test {

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

// A picture whose every value is `value`, RGB.
inline void write_picture(const std::string& path, int value, int height = 8, int width = 8) {
  const std::vector<std::uint8_t> pixels(
      static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3,
      static_cast<std::uint8_t>(value));
  write_bytes(path, encode_png(width, height, 3, pixels.data()));
}

// train/ and test/ with the classes cat and dog: cats are dark, dogs bright.
inline void write_class_folders(const std::string& root, int train_of_each, int test_of_each) {
  for (int i = 0; i < train_of_each; ++i) {
    write_picture(root + "/train/cat/" + std::to_string(i) + ".png", 10 + i);
    write_picture(root + "/train/dog/" + std::to_string(i) + ".png", 200 + i);
  }
  for (int i = 0; i < test_of_each; ++i) {
    write_picture(root + "/test/cat/" + std::to_string(i) + ".png", 5 + i);
    write_picture(root + "/test/dog/" + std::to_string(i) + ".png", 190 + i);
  }
}

}  // namespace dpll::test
