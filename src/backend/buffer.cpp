#include <algorithm>
#include <chrono>
#include <utility>

#include "dpll/backend.h"

namespace dpll {

Buffer::~Buffer() {
  if (data_ != nullptr) backend_->give_back(data_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : backend_(other.backend_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) backend_->give_back(data_);
    backend_ = other.backend_;
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

Buffer Backend::allocate(std::size_t bytes, const std::string& what) {
  void* const data = take(bytes, what);
  held_[data] = {what, bytes};
  held_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, held_bytes_);
  return Buffer(this, data, bytes);
}

std::unique_ptr<Ranks::Sum> Backend::start_sum(Ranks& ranks, const Tensor& values) {
  if (values.dtype == DType::f64) return ranks.start_sum(values.as<double>(), values.elements());
  return ranks.start_sum(values.as<float>(), values.elements());
}

double Backend::seconds_of(const std::function<void()>& work) {
  synchronize();
  const auto start = std::chrono::steady_clock::now();
  work();
  synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Backend::give_back(void* data) noexcept {
  const auto held = held_.find(data);
  if (held != held_.end()) {
    held_bytes_ -= held->second.bytes;
    held_.erase(held);
  }
  release(data);
}

std::vector<Backend::MemoryUse> Backend::memory_use() const {
  std::map<std::string, std::size_t> by_name;
  for (const auto& [data, use] : held_) by_name[use.what] += use.bytes;
  std::vector<MemoryUse> uses;
  for (const auto& [what, bytes] : by_name) uses.push_back({what, bytes});
  std::stable_sort(uses.begin(), uses.end(),
                   [](const MemoryUse& a, const MemoryUse& b) { return a.bytes > b.bytes; });
  return uses;
}

Tensor Buffer::tensor(DType dtype, const Shape& shape) const {
  const Tensor view{data_, dtype, shape};
  DPLL_CHECK(view.bytes() <= bytes_, "a {} {} needs {} bytes, the buffer has {}", name_of(dtype),
             shape.to_string(), view.bytes(), bytes_);
  return view;
}

}  // namespace dpll
