#include "emulation/emulated_backend.h"

#include <cstring>

#include "backend/cuda/cuda_backend.h"
#include "backend/host_readback.h"
#include "emulation/device_memory.h"
#include "emulation/reference_library.h"
#include "emulation/stream.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

class EmulatedReadback final : public Readback {
 public:
  explicit EmulatedReadback(std::size_t bytes) : copy_(bytes) {}
  void start(const Tensor& from) override {
    emulation::forbid_in_capture("starting to read back");
    const emulation::DeviceAccess access;
    copy_.start(from);
  }
  const void* wait() override {
    emulation::forbid_in_capture("waiting to read back");
    return copy_.wait();
  }

 private:
  HostReadback copy_;
};

class EmulatedRuntime final : public Runtime {
 public:
  std::string description() const override { return "emulated"; }
  bool host_addressable() const override { return false; }
  Stream stream() const override { return nullptr; }
  void* allocate(std::size_t bytes) override {
    emulation::forbid_in_capture("an allocation");
    return emulation::allocate_device_memory(bytes);
  }
  void release(void* data) noexcept override {
    emulation::note_in_capture("a release of memory");
    emulation::release_device_memory(data);
  }
  std::size_t free_bytes() const override { return std::size_t{1} << 30; }
  void copy_in(void* to, const void* from_host, std::size_t bytes) override {
    emulation::forbid_in_capture("a copy from the host");
    const emulation::DeviceAccess access;
    std::memcpy(to, from_host, bytes);
  }
  void copy_out(void* to_host, const void* from, std::size_t bytes) override {
    emulation::forbid_in_capture("a copy to the host");
    const emulation::DeviceAccess access;
    std::memcpy(to_host, from, bytes);
  }
  void fill_zero(void* data, std::size_t bytes) override {
    emulation::enqueue([=] { std::memset(data, 0, bytes); });
  }
  void synchronize() override { emulation::forbid_in_capture("waiting for the device"); }
  std::unique_ptr<Readback> make_readback(std::size_t bytes) override {
    emulation::forbid_in_capture("an allocation");
    return std::make_unique<EmulatedReadback>(bytes);
  }
  std::function<void()> record(const std::function<void()>& sequence) override {
    return emulation::capture(sequence);
  }
};

}  // namespace

std::unique_ptr<Backend> make_emulated_backend(DType compute) {
  return make_backend(std::make_unique<EmulatedRuntime>(), make_reference_library(), compute);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
