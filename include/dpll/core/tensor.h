// Shapes, element types and non-owning tensor views. Memory belongs to buffers of a Backend (dpll/backend.h);
// layers and operations only use views.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "dpll/core/check.h"

namespace dpll {

enum class DType : std::uint8_t { u8, i32, i64, u64, f16, bf16, f32, f64 };

std::size_t size_of(DType dtype);  // bytes of one element
const char* name_of(DType dtype);  // "f32"

template <typename T>
inline constexpr DType dtype_of = [] {
  static_assert(sizeof(T) == 0, "no DType for this type");
  return DType::u8;
}();
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::i64;
template <>
inline constexpr DType dtype_of<std::uint64_t> = DType::u64;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;

// Up to four dimensions, row-major (the last one is contiguous). Images are [N,H,W,C].
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t elements() const;  // product of the dimensions; 1 for rank 0
  std::string to_string() const;  // "[64,32,32,16]"
  bool operator==(const Shape& other) const = default;

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// A view of contiguous memory in a backend's address space. Copying a Tensor copies the view.
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  bool defined() const { return data != nullptr; }
  std::int64_t elements() const { return shape.elements(); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }

  // Typed pointer; fails (DPLL_CHECK) if T is not the element type. Only for memory that the host can
  // address.
  template <typename T>
  T* as() const {
    DPLL_CHECK(dtype == dtype_of<T>, "tensor {} holds {}, asked for {}", shape.to_string(), name_of(dtype),
               name_of(dtype_of<T>));
    return static_cast<T*>(data);
  }
};

}  // namespace dpll
