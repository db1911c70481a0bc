// Changes to a safetensors file that leave it whole: its digest, where it has one, is that of the new
// contents.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dpll/core/tensor.h"
#include "dpll/safetensors.h"

namespace dpll::test {

struct SafetensorsEdit {
  std::map<std::string, std::string> metadata = {};  // replaced or added
  // Tensors replaced or added, with the shape that they have or one dimension.
  std::map<std::string, std::vector<float>> floats = {};
  std::map<std::string, std::vector<double>> doubles = {};
  std::map<std::string, std::vector<std::int64_t>> integers = {};
  std::vector<std::string> dropped = {};  // tensors
  bool keeps_digest = true;               // false: the file has none afterwards, as those of earlier versions
};

inline void rewrite_safetensors(const std::string& from, const std::string& to, const SafetensorsEdit& edit) {
  const SafetensorsFile file = SafetensorsFile::read(from);
  SafetensorsWriter writer;
  const auto replaced = [&](const std::string& name) {
    return std::find(edit.dropped.begin(), edit.dropped.end(), name) != edit.dropped.end() ||
           edit.floats.contains(name) || edit.doubles.contains(name) || edit.integers.contains(name);
  };
  for (const auto& [name, entry] : file.entries()) {
    if (!replaced(name)) writer.add(name, entry.dtype, entry.shape, file.data(name));
  }
  const auto add = [&](const std::string& name, DType dtype, const auto& values) {
    std::vector<std::int64_t> shape = {static_cast<std::int64_t>(values.size())};
    if (file.contains(name) && file.entry(name).bytes == values.size() * size_of(dtype)) {
      shape = file.entry(name).shape;
    }
    writer.add(name, dtype, shape, values.data());
  };
  for (const auto& [name, values] : edit.floats) add(name, DType::f32, values);
  for (const auto& [name, values] : edit.doubles) add(name, DType::f64, values);
  for (const auto& [name, values] : edit.integers) add(name, DType::i64, values);
  for (const auto& [key, value] : file.metadata()) {
    if (key != kDigestKey) writer.set_metadata(key, value);
  }
  for (const auto& [key, value] : edit.metadata) writer.set_metadata(key, value);
  if (edit.keeps_digest && file.metadata().contains(kDigestKey)) {
    writer.set_metadata(kDigestKey, writer.digest());
  }
  writer.write(to);
}

}  // namespace dpll::test
