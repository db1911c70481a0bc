#include <utility>

#include "dpll/backend.h"

namespace dpll {

Buffer::~Buffer() {
  if (data_ != nullptr) backend_->release(data_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : backend_(other.backend_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) backend_->release(data_);
    backend_ = other.backend_;
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

Tensor Buffer::tensor(DType dtype, const Shape& shape) const {
  const Tensor view{data_, dtype, shape};
  DPLL_CHECK(view.bytes() <= bytes_, "a {} {} needs {} bytes, the buffer has {}", name_of(dtype),
             shape.to_string(), view.bytes(), bytes_);
  return view;
}

}  // namespace dpll
