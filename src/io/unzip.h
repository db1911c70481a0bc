// gzip with a limit that the contents name: a few kilobytes of zeros can unzip to gigabytes, and what a file
// honestly holds is known from its first bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dpll/files.h"

namespace dpll {

// The most bytes that may be unzipped, by the first kUnzippedHead of them (or all, where there are fewer).
using UnzippedLimit = std::function<std::size_t(ByteView head, std::size_t zipped_bytes)>;
inline constexpr std::size_t kUnzippedHead = 4096;

// Every member of a gzip stream (RFC 1952). Takes memory for at most three times what arrives, and for no
// more than the limit. Error(data), naming `path`: truncated, damaged (checksum), trailing bytes, more than
// the limit.
std::vector<std::uint8_t> unzip(ByteView bytes, const std::string& path, const UnzippedLimit& limit);
// A whole file, unzipped where it is gzip by its first bytes, whatever its name.
std::vector<std::uint8_t> read_unzipped(const std::string& path, const UnzippedLimit& limit);

// An IDX file: what its header announces. Another file: kMostUnknown.
std::size_t idx_limit(ByteView head, std::size_t zipped_bytes);
// A MAT file: 200 times its zipped size; tables of zeros and ones reach 100. Another file: next to nothing.
std::size_t mat_limit(ByteView head, std::size_t zipped_bytes);
// A list of names.
std::size_t text_limit(ByteView head, std::size_t zipped_bytes);
inline constexpr std::size_t kMostUnknown = std::size_t{1} << 28;

}  // namespace dpll
