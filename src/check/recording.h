// Copies of the inputs and outputs of an operation on the host.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "backend/call_fields.h"
#include "dpll/backend.h"

namespace dpll::check {

using Floats = std::vector<float>;

// The fields of a call by name. Tensors of a floating-point type are converted to float32, all others are
// stored as bytes.
class Recording {
 public:
  void read(Backend& backend, const std::string& name, const Tensor& tensor);
  void read_bytes(Backend& backend, const std::string& name, const void* data, std::size_t bytes);

  bool has(const std::string& name) const { return fields_.count(name) != 0; }
  const Floats& operator[](const std::string& name) const { return field(name).values; }
  const Shape& shape(const std::string& name) const { return field(name).shape; }
  const std::vector<std::uint8_t>& bytes(const std::string& name) const { return field(name).bytes; }
  // A struct in backend memory.
  template <typename Struct>
  Struct as(const std::string& name) const {
    const std::vector<std::uint8_t>& from = bytes(name);
    DPLL_CHECK(from.size() == sizeof(Struct), "{} has {} bytes", name, from.size());
    Struct result;
    std::memcpy(static_cast<void*>(&result), from.data(), sizeof(Struct));
    return result;
  }

 private:
  struct Field {
    Shape shape;
    Floats values;
    std::vector<std::uint8_t> bytes;
  };
  const Field& field(const std::string& name) const;
  std::map<std::string, Field> fields_;
};

// For visit_fields(): reads the fields whose access `wanted` selects.
template <typename Wanted>
struct ReadFields {
  Recording& recording;
  Backend& backend;
  const Wanted& wanted;

  void operator()(const char* name, const Tensor& tensor, Access access) const {
    if (tensor.defined() && wanted(access)) recording.read(backend, name, tensor);
  }
  template <typename Struct>
  void operator()(const char* name, Struct* in_backend_memory, Access access) const {
    if (wanted(access)) recording.read_bytes(backend, name, in_backend_memory, sizeof(Struct));
  }
};

template <typename Call, typename Wanted>
Recording recorded(Backend& backend, Call call, const Wanted& wanted) {
  Recording recording;
  visit_fields(call, ReadFields<Wanted>{recording, backend, wanted});
  return recording;
}

// The samples of a call and the values of its step.
struct HostRows {
  StepState step;
  std::vector<std::int32_t> order;  // empty: sample = step.first + row

  std::uint32_t sample(std::int64_t row) const;
};
HostRows read_rows(Backend& backend, const BatchRows& rows);

}  // namespace dpll::check
