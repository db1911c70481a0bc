#include "emulation/emulated_backend.h"

#include <cstdlib>
#include <cstring>

#include "backend/cuda/cuda_backend.h"
#include "backend/host_readback.h"
#include "emulation/reference_library.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

class EmulatedRuntime final : public Runtime {
 public:
  std::string description() const override { return "emulated"; }
  bool host_addressable() const override { return true; }
  Stream stream() const override { return nullptr; }
  void* allocate(std::size_t bytes) override {
    void* const data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    // What nobody has written must not look like a result.
    if (data != nullptr) std::memset(data, 0xFF, bytes);
    return data;
  }
  void release(void* data) noexcept override { std::free(data); }
  std::size_t free_bytes() const override { return std::size_t{1} << 30; }
  void copy_in(void* to, const void* from_host, std::size_t bytes) override {
    std::memcpy(to, from_host, bytes);
  }
  void copy_out(void* to_host, const void* from, std::size_t bytes) override {
    std::memcpy(to_host, from, bytes);
  }
  void fill_zero(void* data, std::size_t bytes) override { std::memset(data, 0, bytes); }
  void synchronize() override {}
  std::unique_ptr<Readback> make_readback(std::size_t bytes) override {
    return std::make_unique<HostReadback>(bytes);
  }
  std::function<void()> record(const std::function<void()>& sequence) override { return sequence; }
};

}  // namespace

std::unique_ptr<Backend> make_emulated_backend(DType compute) {
  return make_backend(std::make_unique<EmulatedRuntime>(), make_reference_library(), compute);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
