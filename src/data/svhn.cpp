#include "data/svhn.h"

#include <algorithm>
#include <array>

#include "data/mat_file.h"
#include "dpll/core/check.h"
#include "io/shape_text.h"

namespace dpll {

namespace {

constexpr std::size_t kSvhnSide = 32, kSvhnChannels = 3;
constexpr std::size_t kSvhnImage = kSvhnSide * kSvhnSide * kSvhnChannels;

// Column-major [32,32,3] (row, column, channel) to row-major [32,32,3], in place.
void reorder(std::uint8_t* image) {
  std::array<std::uint8_t, kSvhnImage> rows;
  for (std::size_t y = 0; y < kSvhnSide; ++y) {
    for (std::size_t x = 0; x < kSvhnSide; ++x) {
      for (std::size_t c = 0; c < kSvhnChannels; ++c) {
        rows[(y * kSvhnSide + x) * kSvhnChannels + c] = image[y + kSvhnSide * (x + kSvhnSide * c)];
      }
    }
  }
  std::copy(rows.begin(), rows.end(), image);
}

}  // namespace

ImageSet parse_svhn(std::vector<std::uint8_t> bytes, const std::string& path) {
  const MatFile file(std::move(bytes), path);
  MatFile::Bytes images = file.read_bytes("X");
  const std::vector<std::size_t>& shape = images.shape;
  // MATLAB drops a last size of 1: a file of one image has three sizes.
  const bool one = shape == std::vector<std::size_t>{kSvhnSide, kSvhnSide, kSvhnChannels};
  if (!one &&
      (shape.size() != 4 || shape[0] != kSvhnSide || shape[1] != kSvhnSide || shape[2] != kSvhnChannels)) {
    fail(ExitCode::data, "{}: variable X is {}, expected [32,32,3,N]", path, shape_text(shape));
  }
  const std::size_t count = one ? 1 : shape[3];
  if (count == 0) fail(ExitCode::data, "{}: it holds no images", path);
  const std::vector<std::size_t>& y_shape = file.shape_of("y");
  if (y_shape.size() != 2 || (y_shape[0] != 1 && y_shape[1] != 1)) {
    fail(ExitCode::data, "{}: variable y is {}, expected [N,1]", path, shape_text(y_shape));
  }
  if (y_shape[0] * y_shape[1] != count) {
    fail(ExitCode::data, "{}: {} labels in y for the {} images in X", path, y_shape[0] * y_shape[1], count);
  }
  const MatFile::Numbers labels = file.read_numbers("y");

  ImageSet set{.count = static_cast<std::int64_t>(count),
               .height = kSvhnSide,
               .width = kSvhnSide,
               .channels = kSvhnChannels,
               .pixels = std::move(images.values),
               .labels = std::vector<std::int32_t>(count)};
  for (std::size_t i = 0; i < count; ++i) {
    const double label = labels.values[i];
    if (!(label >= 1 && label <= 10) || label != static_cast<int>(label)) {
      fail(ExitCode::data, "{}: label {} of sample {} is out of range: 1 to 10, where 10 is the digit 0",
           path, label, i);
    }
    set.labels[i] = static_cast<std::int32_t>(label) % 10;
    reorder(set.pixels.data() + i * kSvhnImage);
  }
  return set;
}

}  // namespace dpll
