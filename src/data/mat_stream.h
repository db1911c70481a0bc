// The bytes of one element of a MAT file, as they lie there or unzipped while they are read.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "dpll/files.h"

namespace dpll {

inline constexpr std::size_t kMatTagBytes = 8;
inline constexpr std::uint32_t kMatMatrix = 14;  // type of a variable's element

// Type and size that stand before the data of a (sub)element.
struct MatTag {
  std::uint32_t type = 0;
  std::size_t bytes = 0;
  bool small = false;  // the data are the last four of the tag's eight bytes
};

// Reads forwards within one variable (an element miMATRIX). Takes memory for what has arrived, never for
// what a size announces. Numbers of the other byte order are turned.
class MatStream {
 public:
  // `element`: the data of a top-level element miMATRIX (compressed = false) or miCOMPRESSED. `where` begins
  // the messages: "file: the element at byte 128". Error(data): the zipped stream is damaged or holds
  // anything but one miMATRIX.
  MatStream(ByteView element, bool compressed, bool other_order, std::string where);
  ~MatStream();
  MatStream(const MatStream&) = delete;
  MatStream& operator=(const MatStream&) = delete;

  // What follows begins with the name of what is being read.
  void set_where(std::string where) { where_ = std::move(where); }
  bool at_end() const { return left_ == 0; }
  MatTag next_tag();
  // The data behind `tag` and their padding. Error(data): there are fewer.
  std::vector<std::uint8_t> data_of(const MatTag& tag);
  // The same as `count` unsigned 32-bit numbers. Error(data): of another type, or not so many.
  std::vector<std::uint32_t> words_of(const MatTag& tag, std::uint32_t type, std::size_t least,
                                      std::size_t most);
  // All that is left.
  std::vector<std::uint8_t> rest() { return take(left_); }
  // Behind the last element. Error(data): more follows than padding, or zlib's checksum differs.
  void finish();

  bool other_order() const { return other_order_; }
  [[noreturn]] void refuse(const std::string& how) const;

 private:
  std::vector<std::uint8_t> take(std::size_t bytes);
  void inflate_into(std::uint8_t* out, std::size_t bytes);

  ByteView element_;      // not compressed: what is left
  std::size_t left_ = 0;  // of the variable
  bool compressed_, other_order_;
  std::string where_;
  z_stream zipped_{};
  bool ended_ = false;  // the zipped stream
};

// Unsigned number of `bytes` (1 to 8) bytes at `data`, little-endian or turned.
std::uint64_t mat_number(const std::uint8_t* data, std::size_t bytes, bool other_order);

}  // namespace dpll
