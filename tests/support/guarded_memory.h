// Memory of any backend for one operation under test: every block lies between canaries, outputs and scratch
// begin as NaN, and inputs must be as they were. All bytes of an output start as 0xFF: NaN as a
// floating-point number of any width, -1 as an integer.
#pragma once

#include <string>
#include <vector>

#include "dpll/backend.h"
#include "support/compare.h"

namespace dpll::test {

class GuardedMemory {
 public:
  explicit GuardedMemory(Backend& backend) : backend_(backend) {}

  Tensor output(const std::string& name, DType dtype, const Shape& shape);
  // The values are converted to dtype (f16, bf16, f32 or f64). check() complains if they have changed.
  Tensor input(const std::string& name, DType dtype, const HostTensor& values);
  // Read and written.
  Tensor in_out(const std::string& name, DType dtype, const HostTensor& values);
  void* scratch(const std::string& name, std::size_t bytes);

  // Integers and structs.
  template <typename T>
  Tensor input(const std::string& name, const std::vector<T>& values, const Shape& shape) {
    return place(name, dtype_of<T>, shape, bytes_of(values.data(), values.size()), true);
  }
  template <typename T>
  const T* input_struct(const std::string& name, const T& value) {
    return static_cast<const T*>(place(name, bytes_of(&value, 1), true));
  }
  template <typename T>
  T* in_out_struct(const std::string& name, const T& value) {
    return static_cast<T*>(place(name, bytes_of(&value, 1), false));
  }

  HostTensor read(const Tensor& tensor) const;  // of any dtype but u64
  template <typename T>
  T read_struct(const T* at) const {
    T value;
    read_bytes(&value, at, sizeof(T));
    return value;
  }

  // Waits for the backend. Empty, or which blocks were written outside of their bounds and which inputs were
  // written.
  std::string check() const;

 private:
  using Bytes = std::vector<std::uint8_t>;
  struct Block {
    std::string name;
    Buffer buffer;         // canary, content, canary
    std::size_t bytes;     // of the content
    Bytes content_before;  // of inputs, else empty
  };

  template <typename T>
  static Bytes bytes_of(const T* values, std::size_t count) {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(values);
    return Bytes(begin, begin + count * sizeof(T));
  }
  void* place(const std::string& name, const Bytes& content, bool constant);
  Tensor place(const std::string& name, DType dtype, const Shape& shape, const Bytes& content, bool constant);
  void read_bytes(void* to, const void* from, std::size_t bytes) const;

  Backend& backend_;
  std::vector<Block> blocks_;
};

}  // namespace dpll::test
