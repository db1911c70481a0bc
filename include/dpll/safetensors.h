// The safetensors format: an 8-byte little-endian header length, a JSON header, raw tensor bytes. Used for
// checkpoints, models, golden values and users' own arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dpll/core/tensor.h"

namespace dpll {

inline constexpr const char* kDigestKey = "sha256";

struct TensorEntry {
  DType dtype = DType::f32;
  // The name of the element type in the file if the engine does not have this type ("U16", "F8_E4M3", or a
  // future one). Such a tensor can be listed and hashed, but not read; dtype is then u8.
  std::string other_type = {};
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  // of the first byte in SafetensorsFile::bytes
  std::size_t bytes = 0;
};

// A whole file in memory. Every wrong header is refused (offsets past the end, overlaps, holes, sizes that do
// not match shape and type, overflow, bad JSON, duplicate names) with an Error(data) that names file and
// tensor. Format: github.com/huggingface/safetensors. Its type BOOL is read as u8. A tensor that is not read
// may have any element type.
class SafetensorsFile {
 public:
  static SafetensorsFile read(const std::string& path);
  static SafetensorsFile parse(std::vector<std::uint8_t> bytes, const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorEntry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const { return entries_.count(name) != 0; }
  // Error(data) "file: no tensor 'x'; it has a, b, c" when missing.
  const TensorEntry& entry(const std::string& name) const;
  // Typed copy; Error(data) when the element type or shape differs. An empty `shape` accepts any.
  template <typename T>
  std::vector<T> get(const std::string& name, const std::vector<std::int64_t>& shape = {}) const;
  // Any of f16, bf16, f32, f64 converted to double (golden values).
  std::vector<double> get_as_double(const std::string& name) const;
  const std::uint8_t* data(const std::string& name) const;
  // SHA-256 over every tensor (name, type, shape, data; sorted by name) and all metadata except kDigestKey.
  // A writer stores its digest() under that key, and a reader compares. It does not depend on the form of the
  // header.
  std::string digest() const;

 private:
  std::string path_;
  std::vector<std::uint8_t> bytes_;
  std::map<std::string, TensorEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

// Collects tensors and writes them atomically: temporary file in the same folder, fsync, rename, fsync of the
// folder. In the data section larger element types come first, so that all data are aligned; tensors with the
// same element size keep the order of insertion. add() copies the data.
class SafetensorsWriter {
 public:
  void add(const std::string& name, DType dtype, const std::vector<std::int64_t>& shape, const void* data);
  void set_metadata(const std::string& key, const std::string& value);
  // Error(run) with the operating system's reason (disk full, no permission); an existing file at `path` then
  // remains.
  void write(const std::string& path) const;
  std::vector<std::uint8_t> bytes() const;  // the bytes that write() writes
  std::string digest() const;               // the same as SafetensorsFile::digest() of the file

 private:
  struct Item {
    std::string name;
    DType dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::uint8_t> bytes;
  };
  std::vector<const Item*> in_file_order() const;
  std::string header(const std::vector<const Item*>& order) const;

  std::vector<Item> items_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace dpll
