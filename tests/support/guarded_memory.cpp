#include "support/guarded_memory.h"

#include <algorithm>
#include <cstring>

#include "support/encode.h"

namespace dpll::test {
namespace {

constexpr std::size_t kCanary = 256;  // bytes before and behind a block; keeps 64-byte alignment

// Different at every place, so that a shifted copy of a canary is not a canary.
std::uint8_t canary_byte(std::size_t i) {
  return static_cast<std::uint8_t>(0xA5 + 37 * i);
}

std::uint8_t* offset(const void* data, std::size_t bytes) {
  return static_cast<std::uint8_t*>(const_cast<void*>(data)) + bytes;
}

}  // namespace

void* GuardedMemory::place(const std::string& name, const Bytes& content, bool constant) {
  Bytes all(content.size() + 2 * kCanary);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = canary_byte(i);
  std::copy(content.begin(), content.end(), all.begin() + kCanary);
  Buffer buffer = backend_.allocate(all.size(), name);
  backend_.copy_in(buffer.tensor(DType::u8, {static_cast<std::int64_t>(all.size())}), all.data());
  void* data = offset(buffer.data(), kCanary);
  blocks_.push_back({name, std::move(buffer), content.size(), constant ? content : Bytes{}});
  return data;
}

Tensor GuardedMemory::place(const std::string& name, DType dtype, const Shape& shape, const Bytes& content,
                            bool constant) {
  const Tensor tensor{nullptr, dtype, shape};
  DPLL_CHECK(content.size() == tensor.bytes(), "{} bytes for {} {}", content.size(), name, shape.to_string());
  return {place(name, content, constant), dtype, shape};
}

Tensor GuardedMemory::output(const std::string& name, DType dtype, const Shape& shape) {
  return place(name, dtype, shape, Bytes(Tensor{nullptr, dtype, shape}.bytes(), 0xFF), false);
}

Tensor GuardedMemory::input(const std::string& name, DType dtype, const HostTensor& values) {
  return place(name, dtype, values.shape, encode(dtype, values), true);
}

Tensor GuardedMemory::in_out(const std::string& name, DType dtype, const HostTensor& values) {
  return place(name, dtype, values.shape, encode(dtype, values), false);
}

void* GuardedMemory::scratch(const std::string& name, std::size_t bytes) {
  return place(name, Bytes(bytes, 0xFF), false);
}

void GuardedMemory::read_bytes(void* to, const void* from, std::size_t bytes) const {
  backend_.synchronize();
  backend_.copy_out(to, {const_cast<void*>(from), DType::u8, {static_cast<std::int64_t>(bytes)}});
}

HostTensor GuardedMemory::read(const Tensor& tensor) const {
  Bytes bytes(tensor.bytes());
  read_bytes(bytes.data(), tensor.data, bytes.size());
  return decode(tensor.dtype, bytes, tensor.shape);
}

std::string GuardedMemory::check() const {
  std::string complaints;
  for (const Block& block : blocks_) {
    Bytes all(block.bytes + 2 * kCanary);
    read_bytes(all.data(), block.buffer.data(), all.size());
    bool intact = true;
    for (std::size_t i = 0; i < kCanary; ++i) {
      const std::size_t behind = kCanary + block.bytes + i;
      intact = intact && all[i] == canary_byte(i) && all[behind] == canary_byte(behind);
    }
    if (!intact) complaints += "written outside of " + block.name + "; ";
    if (!std::equal(block.content_before.begin(), block.content_before.end(), all.begin() + kCanary)) {
      complaints += "input " + block.name + " was written; ";
    }
  }
  return complaints;
}

}  // namespace dpll::test
