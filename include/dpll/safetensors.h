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
  // The element type's name in the file where the engine has no such type ("U16", "F8_E4M3", one of the
  // future): such a tensor can be listed and hashed, but not read; dtype is u8 then.
  std::string other_type = {};
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  // of the first byte in SafetensorsFile::bytes
  std::size_t bytes = 0;
};

// A whole file in memory. Every lie a header can tell is refused (offsets past the end, overlaps, holes,
// sizes that do not match shape and type, overflow, bad JSON, duplicate names) with Error(data) naming file
// and tensor. Format: github.com/huggingface/safetensors. Its type BOOL reads as u8. A tensor may be of any
// element type as long as nobody reads it.
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
  // SHA-256 over every tensor (name, type, shape, data, by name) and all metadata but kDigestKey: a writer
  // puts its digest() there, a reader compares. Independent of the header's wording.
  std::string digest() const;

 private:
  std::string path_;
  std::vector<std::uint8_t> bytes_;
  std::map<std::string, TensorEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

// Collects tensors and writes them atomically: temporary file in the same folder, fsync, rename, fsync of the
// folder. In the data section larger element types come first, so that all data are aligned; tensors of equal
// element size keep insertion order. Data are copied on add().
class SafetensorsWriter {
 public:
  void add(const std::string& name, DType dtype, const std::vector<std::int64_t>& shape, const void* data);
  void set_metadata(const std::string& key, const std::string& value);
  // Error(run) with the operating system's reason (disk full, no permission); an existing file at `path`
  // survives.
  void write(const std::string& path) const;
  std::vector<std::uint8_t> bytes() const;  // what write() writes
  std::string digest() const;               // what SafetensorsFile::digest() will give

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
