// Decompresses gzip up to a limit that depends on the contents. A few kilobytes can unzip to gigabytes of
// zeros, but the first bytes of a correct file tell its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dpll/files.h"

namespace dpll {

// The maximum number of unzipped bytes, from the first kUnzippedHead of them (or all, if there are fewer).
using UnzippedLimit = std::function<std::size_t(ByteView head, std::size_t zipped_bytes)>;
inline constexpr std::size_t kUnzippedHead = 4096;

// Decompresses every member of a gzip stream (RFC 1952). It allocates at most three times the bytes that were
// unzipped, and not more than the limit. Error(data) with `path` if the stream is truncated or damaged
// (checksum), has trailing bytes or exceeds the limit.
std::vector<std::uint8_t> unzip(ByteView bytes, const std::string& path, const UnzippedLimit& limit);
// A whole file, unzipped if its first bytes are those of gzip; the name does not matter.
std::vector<std::uint8_t> read_unzipped(const std::string& path, const UnzippedLimit& limit);

// An IDX file: the size in its header. Any other file: kMostUnknown.
std::size_t idx_limit(ByteView head, std::size_t zipped_bytes);
// A MAT file: 200 times its zipped size; tables of zeros and ones reach 100 times. Any other file: very
// little.
std::size_t mat_limit(ByteView head, std::size_t zipped_bytes);
// A list of names.
std::size_t text_limit(ByteView head, std::size_t zipped_bytes);
inline constexpr std::size_t kMostUnknown = std::size_t{1} << 28;

}  // namespace dpll
