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
// Decompresses every member of a gzip stream (RFC 1952). Error(data) with `path` if the stream is truncated
// or damaged (checksum), has trailing bytes or has more than `most` bytes unzipped.
std::vector<std::uint8_t> gunzip(const std::vector<std::uint8_t>& bytes, const std::string& path,
                                 std::size_t most = SIZE_MAX);

// Writes a temporary file in the same folder, then fsync, rename, fsync of the folder. Error(run) with the
// operating system's reason; after a failure the old file remains and the temporary file is removed. A
// symbolic link is followed; a device, pipe or folder at `path` is refused.
void write_file_atomically(const std::string& path, const void* data, std::size_t bytes);
void write_file_atomically(const std::string& path, const std::string& text);
void write_file_atomically(const std::string& path, const std::vector<ByteView>& parts);  // parts end to end

// Appends to an existing file. False if the file does not exist or if not all of `text` could be written; a
// part of the text may then be in the file.
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
