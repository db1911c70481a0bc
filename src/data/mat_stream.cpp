#include "data/mat_stream.h"

#include <algorithm>
#include <new>
#include <utility>

#include "dpll/core/check.h"

namespace dpll {

std::uint64_t mat_number(const std::uint8_t* data, std::size_t bytes, bool other_order) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= std::uint64_t{data[i]} << 8 * (other_order ? bytes - 1 - i : i);
  }
  return value;
}

MatStream::MatStream(ByteView element, bool compressed, bool other_order, std::string where)
    : element_(element),
      left_(element.size()),
      compressed_(compressed),
      other_order_(other_order),
      where_(std::move(where)) {
  if (!compressed_) return;
  DPLL_CHECK(inflateInit(&zipped_) == Z_OK, "zlib does not start");
  // An element has fewer than 4 GiB, so that zlib's 32 bits count it.
  zipped_.next_in = const_cast<Bytef*>(element.data());
  zipped_.avail_in = static_cast<uInt>(element.size());
  try {
    std::uint8_t tag[kMatTagBytes];
    inflate_into(tag, kMatTagBytes);
    if (mat_number(tag, 4, other_order_) != kMatMatrix) refuse("holds no variable");
    left_ = mat_number(tag + 4, 4, other_order_);
  } catch (...) {
    inflateEnd(&zipped_);
    throw;
  }
}

MatStream::~MatStream() {
  if (compressed_) inflateEnd(&zipped_);
}

void MatStream::refuse(const std::string& how) const {
  fail(ExitCode::data, "{} {}", where_, how);
}

void MatStream::inflate_into(std::uint8_t* out, std::size_t bytes) {
  zipped_.next_out = out;
  zipped_.avail_out = static_cast<uInt>(bytes);
  while (zipped_.avail_out > 0) {
    const int status = ended_ ? Z_BUF_ERROR : inflate(&zipped_, Z_NO_FLUSH);
    ended_ = ended_ || status == Z_STREAM_END;
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if ((status != Z_OK && status != Z_STREAM_END) || (ended_ && zipped_.avail_out > 0)) {
      refuse(fmt::format("is truncated or damaged ({})",
                         zipped_.msg != nullptr ? zipped_.msg : "its zipped data end early"));
    }
  }
}

std::vector<std::uint8_t> MatStream::take(std::size_t bytes) {
  if (bytes > left_)
    refuse(fmt::format("is truncated or damaged: {} bytes announced, {} left", bytes, left_));
  left_ -= bytes;
  if (!compressed_) {
    const ByteView taken = element_.first(bytes);
    element_ = element_.subspan(bytes);
    return {taken.begin(), taken.end()};
  }
  constexpr std::size_t kFirstChunk = 1 << 16;
  std::vector<std::uint8_t> data;
  while (data.size() < bytes) {
    const std::size_t before = data.size();
    data.resize(std::min(bytes, std::max(kFirstChunk, 2 * before)));
    inflate_into(data.data() + before, data.size() - before);
  }
  return data;
}

MatTag MatStream::next_tag() {
  const std::vector<std::uint8_t> bytes = take(4);
  const auto first = static_cast<std::uint32_t>(mat_number(bytes.data(), 4, other_order_));
  if (first >> 16 != 0) {
    const MatTag tag{first & 0xFFFF, first >> 16, true};
    if (tag.bytes > 4) refuse(fmt::format("is damaged: {} bytes in a tag that has room for 4", tag.bytes));
    return tag;
  }
  return {first, static_cast<std::size_t>(mat_number(take(4).data(), 4, other_order_)), false};
}

std::vector<std::uint8_t> MatStream::data_of(const MatTag& tag) {
  std::vector<std::uint8_t> data = take(tag.bytes);
  const std::size_t unit = tag.small ? 4 : kMatTagBytes;
  // Some writers leave out the padding at the end of a variable.
  take(std::min(left_, (unit - tag.bytes % unit) % unit));
  return data;
}

std::vector<std::uint32_t> MatStream::words_of(const MatTag& tag, std::uint32_t type, std::size_t least,
                                               std::size_t most) {
  if (tag.type != type || tag.bytes % 4 != 0 || tag.bytes / 4 < least || tag.bytes / 4 > most) {
    refuse(fmt::format("is damaged: {} bytes of type {} where {} to {} numbers of type {} belong", tag.bytes,
                       tag.type, least, most, type));
  }
  const std::vector<std::uint8_t> data = data_of(tag);
  std::vector<std::uint32_t> words(data.size() / 4);
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = static_cast<std::uint32_t>(mat_number(data.data() + 4 * i, 4, other_order_));
  }
  return words;
}

void MatStream::finish() {
  if (left_ >= kMatTagBytes) refuse(fmt::format("is damaged: {} bytes follow its elements", left_));
  take(left_);
  if (!compressed_ || ended_) return;
  std::uint8_t none = 0;
  zipped_.next_out = &none;
  zipped_.avail_out = 1;
  if (inflate(&zipped_, Z_FINISH) != Z_STREAM_END || zipped_.avail_out == 0) {
    refuse("is damaged: its zipped data do not end where the variable does, or not with their checksum");
  }
}

}  // namespace dpll
