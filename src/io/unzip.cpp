#include "io/unzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "dpll/core/check.h"

namespace dpll {

std::vector<std::uint8_t> unzip(ByteView input, const std::string& path, const UnzippedLimit& limit) {
  if (!is_gzip(input)) fail(ExitCode::data, "{}: not a gzip file", path);
  z_stream stream{};
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  DPLL_CHECK(inflateInit2(&stream, kGzipOnly) == Z_OK, "zlib does not start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> ends_the_stream(&stream, inflateEnd);

  constexpr std::size_t kMostAtOnce = std::numeric_limits<uInt>::max();  // zlib counts in 32 bits
  std::vector<std::uint8_t> out(kUnzippedHead);
  std::size_t most = std::numeric_limits<std::size_t>::max();
  bool knows_most = false;
  const auto check = [&](std::size_t got, std::size_t allowed) {
    if (got > allowed) fail(ExitCode::data, "{}: holds more than the {} bytes expected", path, allowed);
  };
  std::size_t consumed = 0;
  std::size_t produced = 0;
  while (true) {
    if (produced == out.size()) {
      if (!knows_most) {
        most = limit(ByteView(out).first(produced), input.size());
        knows_most = true;
      }
      check(produced, most);
      // One byte more than the limit shows that the limit is exceeded.
      out.resize(most < 2 * out.size() ? most + 1 : 2 * out.size());
    }
    const std::size_t offered = std::min(input.size() - consumed, kMostAtOnce);
    const std::size_t room = std::min(out.size() - produced, kMostAtOnce);
    stream.next_in = const_cast<Bytef*>(input.data() + consumed);  // zlib does not write to its input
    stream.avail_in = static_cast<uInt>(offered);
    stream.next_out = out.data() + produced;
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    consumed += offered - stream.avail_in;
    produced += room - stream.avail_out;
    if (status == Z_STREAM_END) {
      if (consumed == input.size()) break;
      if (!is_gzip(input.subspan(consumed))) {
        fail(ExitCode::data, "{}: {} trailing bytes after the gzip data", path, input.size() - consumed);
      }
      inflateReset(&stream);
    } else if (status == Z_BUF_ERROR ||
               (status == Z_OK && consumed == input.size() && stream.avail_out != 0)) {
      fail(ExitCode::data, "{}: truncated gzip data ({} bytes)", path, input.size());
    } else if (status != Z_OK) {
      fail(ExitCode::data, "{}: damaged gzip data near byte {}: {}", path, consumed,
           stream.msg != nullptr ? stream.msg : "unknown reason");
    }
  }
  out.resize(produced);
  if (!knows_most) most = limit(out, input.size());
  check(produced, most);
  return out;
}

std::vector<std::uint8_t> read_unzipped(const std::string& path, const UnzippedLimit& limit) {
  std::vector<std::uint8_t> bytes = read_file(path);
  return is_gzip(bytes) ? unzip(bytes, path, limit) : bytes;
}

std::size_t idx_limit(ByteView head, std::size_t) {
  // 0, 0, 8 (unsigned bytes), the number of sizes, and the sizes as big-endian 32-bit numbers.
  if (head.size() < 8 || head[0] != 0 || head[1] != 0 || head[2] != 8) return kMostUnknown;
  const std::size_t rank = head[3];
  if (rank < 1 || rank > 3 || head.size() < 4 + 4 * rank) return kMostUnknown;
  std::size_t bytes = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::uint8_t* size = &head[4 + 4 * i];
    const std::size_t value = std::size_t{size[0]} << 24 | std::size_t{size[1]} << 16 |
                              std::size_t{size[2]} << 8 | std::size_t{size[3]};
    if (value != 0 && bytes > std::numeric_limits<std::size_t>::max() / 2 / value) return kMostUnknown;
    bytes *= value;
  }
  return 4 + 4 * rank + bytes;
}

std::size_t mat_limit(ByteView head, std::size_t zipped_bytes) {
  constexpr std::size_t kMostPacking = 200, kHeaderBytes = 128;
  const bool is_mat = head.size() >= kHeaderBytes &&
                      ((head[126] == 'I' && head[127] == 'M') || (head[126] == 'M' && head[127] == 'I'));
  return is_mat ? std::max(kMostPacking * zipped_bytes, kUnzippedHead) : kUnzippedHead;
}

std::size_t text_limit(ByteView, std::size_t) {
  return std::size_t{1} << 20;
}

}  // namespace dpll
