// Readback for backends that compute on the host and at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "dpll/backend.h"

namespace dpll {

class HostReadback final : public Readback {
 public:
  explicit HostReadback(std::size_t bytes) : copy_(bytes) {}
  void start(const Tensor& from) override {
    DPLL_CHECK(from.bytes() <= copy_.size(), "{} bytes to read back, {} at most", from.bytes(), copy_.size());
    std::memcpy(copy_.data(), from.data, from.bytes());
  }
  const void* wait() override { return copy_.data(); }

 private:
  std::vector<std::byte> copy_;
};

}  // namespace dpll
