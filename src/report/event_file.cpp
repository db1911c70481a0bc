#include "report/event_file.h"

#include <array>
#include <bit>
#include <cstddef>

namespace dpll {
namespace {

constexpr std::array<std::uint32_t, 256> kCrc32cTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    table[byte] = crc;
  }
  return table;
}();

std::string little_endian(std::uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((number >> (8 * i)) & 0xff);
  return text;
}

std::string masked_crc32c(std::string_view bytes) {
  return little_endian(std::rotr(crc32c(bytes), 15) + 0xa282ead8U, 4);
}

// Protocol buffers' encoding (https://protobuf.dev/programming-guides/encoding): a field is its number and
// wire type as a varint, then the value.
enum class WireType : std::uint64_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::string varint(std::uint64_t number) {
  std::string text;
  for (; number >= 0x80; number >>= 7) text += static_cast<char>((number & 0x7f) | 0x80);
  return text + static_cast<char>(number);
}

std::string field_key(std::uint64_t field, WireType type) {
  return varint(field << 3 | static_cast<std::uint64_t>(type));
}

std::string integer_field(std::uint64_t field, std::int64_t value) {
  return field_key(field, WireType::varint) + varint(static_cast<std::uint64_t>(value));
}

std::string double_field(std::uint64_t field, double value) {
  return field_key(field, WireType::fixed64) + little_endian(std::bit_cast<std::uint64_t>(value), 8);
}

std::string float_field(std::uint64_t field, float value) {
  return field_key(field, WireType::fixed32) + little_endian(std::bit_cast<std::uint32_t>(value), 4);
}

// A string, or a message inside another one.
std::string bytes_field(std::uint64_t field, std::string_view value) {
  return (field_key(field, WireType::bytes) + varint(value.size())).append(value);
}

std::string summary_record(double wall_time, std::int64_t step, std::string_view summary) {
  return event_record(double_field(1, wall_time) + integer_field(2, step) + bytes_field(5, summary));
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes)
    crc = (crc >> 8) ^ kCrc32cTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  return ~crc;
}

std::string event_record(std::string_view event) {
  const std::string length = little_endian(event.size(), 8);
  return (length + masked_crc32c(length)).append(event) + masked_crc32c(event);
}

std::string version_record(double wall_time) {
  return event_record(double_field(1, wall_time) + bytes_field(3, "brain.Event:2"));
}

std::string scalars_record(double wall_time, std::int64_t step,
                           const std::vector<std::pair<std::string, double>>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value)));
  }
  return summary_record(wall_time, step, summary);
}

std::string image_record(double wall_time, std::int64_t step, const EventImage& image) {
  constexpr int kRgb = 3;
  const std::string picture = integer_field(1, image.height) + integer_field(2, image.width) +
                              integer_field(3, kRgb) + bytes_field(4, image.png);
  return summary_record(wall_time, step, bytes_field(1, bytes_field(1, image.tag) + bytes_field(4, picture)));
}

}  // namespace dpll
