// TensorBoard's event files: each record has one Event message.
//
// Record (tensorflow/core/lib/io/record_writer.h), numbers little-endian:
//   u64 length, u32 masked CRC-32C of these 8 bytes, `length` bytes, u32 masked CRC-32C of the bytes
//   masked: the sum rotated right by 15 bits, plus 0xa282ead8
// Event (tensorflow/core/util/event.proto): double wall_time = 1, int64 step = 2, string file_version = 3,
//   Summary summary = 5
// Summary (tensorflow/core/framework/summary.proto): repeated Value value = 1; Value: string tag = 1, float
//   simple_value = 2, Image image = 4; Image: int32 height = 1, width = 2, colorspace = 3, bytes
//   encoded_image_string = 4
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dpll {

struct EventImage {
  std::string tag;
  int width = 0, height = 0;  // pixels
  std::string png;            // of RGB
};

// Castagnoli's polynomial, as iSCSI (RFC 3720): 0xe3069283 for "123456789".
std::uint32_t crc32c(std::string_view bytes);

// A record around an encoded message.
std::string event_record(std::string_view event);

// Whole records. `wall_time`: seconds since 1970.
// The first record of every file.
std::string version_record(double wall_time);
// (tag, value) pairs; TensorBoard stores them as float32.
std::string scalars_record(double wall_time, std::int64_t step,
                           const std::vector<std::pair<std::string, double>>& scalars);
std::string image_record(double wall_time, std::int64_t step, const EventImage& image);

}  // namespace dpll
