#include "data/cifar.h"

#include "data/pickle.h"
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

void interleave(const std::uint8_t* planes, std::uint8_t* out) {
  for (std::size_t p = 0; p < kPlane; ++p) {
    for (std::size_t c = 0; c < kChannels; ++c) out[p * kChannels + c] = planes[c * kPlane + p];
  }
}

ImageSet empty_set(std::size_t count) {
  return {.count = static_cast<std::int64_t>(count),
          .height = kSide,
          .width = kSide,
          .channels = kChannels,
          .pixels = std::vector<std::uint8_t>(count * kImage),
          .labels = std::vector<std::int32_t>(count)};
}

template <typename T>
const T& entry_of(const Pickle& pickle, std::string_view key, const std::string& path) {
  if (const auto* dict = std::get_if<PickleDict>(&pickle.root().value)) {
    for (const auto& [name, value] : dict->items) {
      const auto* text = std::get_if<std::string_view>(&name->value);
      if (text == nullptr || *text != key) continue;
      if (const T* found = std::get_if<T>(&value->value)) return *found;
      fail(ExitCode::data, "{}: its entry '{}' is of another type than the python version's", path, key);
    }
  }
  fail(ExitCode::data, "{}: no dict with an entry '{}', as the python version of the set has it", path, key);
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
  ImageSet set = empty_set(count);
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
    interleave(in + label_bytes, set.pixels.data() + i * kImage);
  }
  return set;
}

ImageSet parse_cifar_python(const std::vector<std::uint8_t>& bytes, const std::string& path,
                            CifarLabels labels) {
  const Pickle pickle(bytes, path);
  const auto& data = entry_of<PickleArray>(pickle, "data", path);
  if (!data.complete || data.shape.size() != 2 || data.shape[0] == 0 || data.shape[1] != kImage) {
    fail(ExitCode::data, "{}: its entry 'data' is not [count, {}]", path, kImage);
  }
  const auto count = static_cast<std::size_t>(data.shape[0]);
  ImageSet set = empty_set(count);
  const auto* planes = reinterpret_cast<const std::uint8_t*>(data.bytes.data());
  for (std::size_t i = 0; i < count; ++i) interleave(planes + i * kImage, set.pixels.data() + i * kImage);

  const char* key = "labels";
  int classes = 10;
  if (labels != CifarLabels::ten) {
    key = labels == CifarLabels::fine ? "fine_labels" : "coarse_labels";
    classes = labels == CifarLabels::fine ? 100 : 20;
  }
  const auto& list = entry_of<PickleList>(pickle, key, path);
  if (list.items.size() != count) {
    fail(ExitCode::data, "{}: {} images, but {} {}", path, count, list.items.size(), key);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto* label = std::get_if<std::int64_t>(&list.items[i]->value);
    if (label == nullptr || *label < 0 || *label >= classes) {
      fail(ExitCode::data, "{}: {} of sample {} is not a number below {}", path, key, i, classes);
    }
    set.labels[i] = static_cast<std::int32_t>(*label);
  }
  return set;
}

}  // namespace dpll
