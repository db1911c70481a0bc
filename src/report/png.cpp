#include <stb_image_write.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/chart.h"
#include "dpll/core/check.h"
#include "dpll/files.h"

namespace dpll {

void write_png(const std::string& path, int width, int height, int channels, const unsigned char* pixels) {
  // stb_image_write counts bytes with int.
  const std::int64_t bytes = (static_cast<std::int64_t>(width) * channels + 1) * height;
  DPLL_CHECK(width > 0 && height > 0 && (channels == 1 || channels == 3) && bytes < (std::int64_t{1} << 30),
             "image of {} x {} pixels with {} channels", width, height, channels);
  std::vector<unsigned char> file;
  const auto append = [](void* to, void* data, int size) {
    const auto* begin = static_cast<const unsigned char*>(data);
    auto* all = static_cast<std::vector<unsigned char>*>(to);
    all->insert(all->end(), begin, begin + size);
  };
  if (stbi_write_png_to_func(append, &file, width, height, channels, pixels, width * channels) == 0) {
    fail(ExitCode::run, "{}: not enough memory to compress an image of {} x {} pixels", path, width, height);
  }
  write_file_atomically(path, file.data(), file.size());
}

}  // namespace dpll
