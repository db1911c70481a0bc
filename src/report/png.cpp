#include <stb_image_write.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "dpll/chart.h"
#include "dpll/core/check.h"
#include "dpll/files.h"

namespace dpll {

std::string encode_png(int width, int height, int channels, const unsigned char* pixels) {
  // stb_image_write counts bytes with int.
  const std::int64_t bytes = (static_cast<std::int64_t>(width) * channels + 1) * height;
  DPLL_CHECK(width > 0 && height > 0 && (channels == 1 || channels == 3) && bytes < (std::int64_t{1} << 30),
             "image of {} x {} pixels with {} channels", width, height, channels);
  std::string file;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  if (stbi_write_png_to_func(append, &file, width, height, channels, pixels, width * channels) == 0) {
    fail(ExitCode::run, "not enough memory to compress an image of {} x {} pixels", width, height);
  }
  return file;
}

void write_png(const std::string& path, int width, int height, int channels, const unsigned char* pixels) {
  write_file_atomically(path, encode_png(width, height, channels, pixels));
}

}  // namespace dpll
