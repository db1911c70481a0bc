// Reads TensorBoard event files byte by byte, apart from the code that writes them.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace dpll::test {

// Castagnoli's sum, bit by bit.
inline std::uint32_t plain_crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78U : crc >> 1;
  }
  return crc ^ 0xffffffffU;
}

struct ReadEvent {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string file_version;
  std::map<std::string, float> scalars;  // by tag
  struct Image {
    std::int64_t height = 0, width = 0, colorspace = 0;
    std::string encoded;
  };
  std::map<std::string, Image> images;
};

// The fields of a protocol buffer message, from the first byte to the last. Numbers of every wire type as
// their bits.
struct ProtoField {
  std::uint64_t number = 0, wire_type = 0, bits = 0;
  std::string_view bytes;
};

inline std::vector<ProtoField> proto_fields(std::string_view message) {
  const auto take = [&](std::size_t count) {
    if (count > message.size()) throw std::runtime_error("a message ends within a field");
    const std::string_view part = message.substr(0, count);
    message.remove_prefix(count);
    return part;
  };
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw std::runtime_error("a varint without end");
  };
  std::vector<ProtoField> fields;
  while (!message.empty()) {
    const std::uint64_t key = varint();
    ProtoField field{.number = key >> 3, .wire_type = key & 7, .bits = 0, .bytes = {}};
    switch (field.wire_type) {
      case 0:
        field.bits = varint();
        break;
      case 1:
        std::memcpy(&field.bits, take(8).data(), 8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        std::memcpy(&field.bits, take(4).data(), 4);
        break;
      default:
        throw std::runtime_error("wire type " + std::to_string(field.wire_type));
    }
    fields.push_back(field);
  }
  return fields;
}

inline void read_value(std::string_view message, ReadEvent& event) {
  std::string tag;
  for (const ProtoField& field : proto_fields(message)) {
    if (field.number == 1) {
      tag = field.bytes;
    } else if (field.number == 2 && field.wire_type == 5) {
      std::memcpy(&event.scalars[tag], &field.bits, 4);
    } else if (field.number == 4) {
      ReadEvent::Image& image = event.images[tag];
      for (const ProtoField& part : proto_fields(field.bytes)) {
        if (part.number == 1) image.height = static_cast<std::int64_t>(part.bits);
        if (part.number == 2) image.width = static_cast<std::int64_t>(part.bits);
        if (part.number == 3) image.colorspace = static_cast<std::int64_t>(part.bits);
        if (part.number == 4) image.encoded = part.bytes;
      }
    } else {
      throw std::runtime_error("a value with field " + std::to_string(field.number));
    }
  }
}

inline ReadEvent read_event(std::string_view message) {
  ReadEvent event;
  for (const ProtoField& field : proto_fields(message)) {
    if (field.number == 1 && field.wire_type == 1) {
      std::memcpy(&event.wall_time, &field.bits, 8);
    } else if (field.number == 2 && field.wire_type == 0) {
      event.step = static_cast<std::int64_t>(field.bits);
    } else if (field.number == 3) {
      event.file_version = field.bytes;
    } else if (field.number == 5) {
      for (const ProtoField& value : proto_fields(field.bytes)) read_value(value.bytes, event);
    } else {
      throw std::runtime_error("an event with field " + std::to_string(field.number));
    }
  }
  return event;
}

// Throws where a length or a checksum is wrong or the file ends within a record.
inline std::vector<ReadEvent> read_events(std::string_view file) {
  const auto number = [&](std::size_t at, std::size_t bytes) {
    if (at + bytes > file.size()) throw std::runtime_error("the file ends within a record");
    std::uint64_t value = 0;
    std::memcpy(&value, &file[at], bytes);
    return value;
  };
  const auto check_sum = [&](std::string_view bytes, std::size_t at) {
    const std::uint32_t crc = plain_crc32c(bytes);
    if (number(at, 4) != static_cast<std::uint32_t>(((crc >> 15) | (crc << 17)) + 0xa282ead8U)) {
      throw std::runtime_error("a checksum is wrong");
    }
  };
  std::vector<ReadEvent> events;
  while (!file.empty()) {
    const std::size_t length = number(0, 8);
    check_sum(file.substr(0, 8), 8);
    number(12 + length, 4);
    const std::string_view message = file.substr(12, length);
    check_sum(message, 12 + length);
    events.push_back(read_event(message));
    file.remove_prefix(16 + length);
  }
  return events;
}

}  // namespace dpll::test
