#include "data/cifar.h"

#include "dpll/core/check.h"

namespace dpll {

namespace {

constexpr std::int64_t kSide = 32, kChannels = 3;
constexpr std::size_t kPlane = kSide * kSide;
constexpr std::size_t kImage = kChannels * kPlane;

void check_label(int label, int classes, const char* kind, std::size_t sample, const std::string& path) {
  if (label >= classes) {
    fail(ExitCode::data, "{}: {}label {} of sample {} is out of range: {} classes", path, kind, label, sample,
         classes);
  }
}

}  // namespace

ImageSet parse_cifar(const std::vector<std::uint8_t>& bytes, const std::string& path, CifarLabels labels) {
  const std::size_t label_bytes = labels == CifarLabels::ten ? 1 : 2;
  const std::size_t record = label_bytes + kImage;
  if (bytes.empty()) fail(ExitCode::data, "{}: it holds no images", path);
  if (bytes.size() % record != 0) {
    fail(ExitCode::data,
         "{}: truncated or with trailing bytes: {} bytes are {} records of {} bytes and {} more", path,
         bytes.size(), bytes.size() / record, record, bytes.size() % record);
  }
  const std::size_t count = bytes.size() / record;
  ImageSet set{.count = static_cast<std::int64_t>(count),
               .height = kSide,
               .width = kSide,
               .channels = kChannels,
               .pixels = std::vector<std::uint8_t>(count * kImage),
               .labels = std::vector<std::int32_t>(count)};
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* in = bytes.data() + i * record;
    if (labels == CifarLabels::ten) {
      check_label(in[0], 10, "", i, path);
      set.labels[i] = in[0];
    } else {
      check_label(in[0], 20, "coarse ", i, path);
      check_label(in[1], 100, "fine ", i, path);
      set.labels[i] = labels == CifarLabels::coarse ? in[0] : in[1];
    }
    const std::uint8_t* planes = in + label_bytes;
    std::uint8_t* out = set.pixels.data() + i * kImage;
    for (std::size_t p = 0; p < kPlane; ++p) {
      for (std::size_t c = 0; c < kChannels; ++c) out[p * kChannels + c] = planes[c * kPlane + p];
    }
  }
  return set;
}

}  // namespace dpll
