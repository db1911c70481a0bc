#include "data/idx.h"

#include <array>

#include "dpll/core/check.h"

namespace dpll {

namespace {

std::uint32_t big_endian(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | std::uint32_t{bytes[at + 3]};
}

// Checks magic number and size; returns the dimensions, none of them 0.
template <std::size_t rank>
std::array<std::uint32_t, rank> parse_header(const std::vector<std::uint8_t>& bytes, const std::string& path,
                                             const char* content) {
  constexpr std::size_t kHeaderBytes = 4 + 4 * rank;
  constexpr std::uint32_t kExpected = 0x0800 + rank;  // 08: unsigned bytes
  if (bytes.size() < kHeaderBytes) {
    fail(ExitCode::data, "{}: truncated: {} bytes are less than the header of an IDX file of {}", path,
         bytes.size(), content);
  }
  if (big_endian(bytes, 0) != kExpected) {
    fail(ExitCode::data, "{}: magic number 0x{:08x}, expected 0x{:08x} (IDX, {})", path, big_endian(bytes, 0),
         kExpected, content);
  }
  std::array<std::uint32_t, rank> dims{};
  std::uint64_t item_bytes = 1;  // a product of two 32-bit numbers at most
  for (std::size_t i = 0; i < rank; ++i) {
    dims[i] = big_endian(bytes, 4 + 4 * i);
    if (i > 0) item_bytes *= dims[i];
    if (dims[i] == 0) fail(ExitCode::data, "{}: it holds no {}: a size of 0 in its header", path, content);
  }
  const std::uint64_t have = bytes.size() - kHeaderBytes;
  if (have / item_bytes < dims[0]) {
    fail(ExitCode::data, "{}: truncated: its header announces {} {} of {} bytes, it holds {}", path, dims[0],
         content, item_bytes, have / item_bytes);
  }
  if (have > dims[0] * item_bytes) {
    fail(ExitCode::data, "{}: {} trailing bytes after {} {}", path, have - dims[0] * item_bytes, dims[0],
         content);
  }
  return dims;
}

}  // namespace

ImageSet parse_idx_images(std::vector<std::uint8_t> bytes, const std::string& path) {
  const std::array<std::uint32_t, 3> dims = parse_header<3>(bytes, path, "images");
  bytes.erase(bytes.begin(), bytes.begin() + 16);
  return {.count = dims[0],
          .height = dims[1],
          .width = dims[2],
          .channels = 1,
          .pixels = std::move(bytes),
          .labels = {}};
}

std::vector<std::int32_t> parse_idx_labels(const std::vector<std::uint8_t>& bytes, const std::string& path,
                                           int classes) {
  parse_header<1>(bytes, path, "labels");
  std::vector<std::int32_t> labels(bytes.begin() + 8, bytes.end());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (classes != 0 && labels[i] >= classes) {
      fail(ExitCode::data, "{}: label {} of sample {} is out of range: {} classes", path, labels[i], i,
           classes);
    }
  }
  return labels;
}

}  // namespace dpll
