// Files: whole-file reads, gz, atomic writes, checksums. Every failure is an Error that names the file and
// the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dpll {

using ByteView = std::span<const std::uint8_t>;

std::vector<std::uint8_t> read_file(const std::string& path);      // Error(data)
std::vector<std::uint8_t> read_maybe_gz(const std::string& path);  // decompresses by magic, not by name
bool is_gzip(ByteView bytes);
// Every member of a gzip stream (RFC 1952). Error(data), naming `path`: truncated, damaged (checksum),
// trailing bytes, more than `most` bytes unzipped.
std::vector<std::uint8_t> gunzip(const std::vector<std::uint8_t>& bytes, const std::string& path,
                                 std::size_t most = SIZE_MAX);

// Temporary file beside `path`, fsync, rename, fsync of the folder. Error(run) with the operating system's
// reason; the old file survives a failure and the temporary file does not. A symbolic link is followed; a
// device, pipe or folder at `path` is refused.
void write_file_atomically(const std::string& path, const void* data, std::size_t bytes);
void write_file_atomically(const std::string& path, const std::string& text);
void write_file_atomically(const std::string& path, const std::vector<ByteView>& parts);  // parts end to end

// Adds to the end of a file that is there. False where it is not there or does not take all of `text`: a part
// of that may be in it then.
bool append_to_file(const std::string& path, const std::string& text);

// Lower-case hexadecimal digests.
std::string md5_hex(const void* data, std::size_t bytes);
std::string sha256_hex(const void* data, std::size_t bytes);

// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(const void* data, std::size_t bytes);
  std::string hex();  // ends the computation

 private:
  void* context_;
};

}  // namespace dpll
