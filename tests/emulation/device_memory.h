// The emulated GPU's memory: pages that the host cannot touch, but for the time in which the device works.
// A host access at any other time is a segmentation fault, as it would be with a GPU. Each thread of the host
// has a GPU of its own, whose blocks it alone takes and gives back.
#pragma once

#include <cstddef>
#include <vector>

namespace dpll::emulation {

// 4096-byte aligned, filled with 0xFF: what nobody has written must not look like a result. Null where there
// is not enough. Under AddressSanitizer nothing but the `bytes` may be accessed, by the device neither.
void* allocate_device_memory(std::size_t bytes);
void release_device_memory(void* data) noexcept;
// All blocks, for whoever compares what is in them; may be accessed only while a DeviceAccess lives.
struct DeviceBlock {
  unsigned char* data;
  std::size_t bytes;
};
std::vector<DeviceBlock> device_blocks();

// Device memory can be accessed while one of these lives; they may be nested.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

// While a DeviceAccess lives: nobody can access it until this ends. Seldom in effect where there is much
// memory.
class HiddenMemory {
 public:
  HiddenMemory();
  ~HiddenMemory();
  HiddenMemory(const HiddenMemory&) = delete;
  HiddenMemory& operator=(const HiddenMemory&) = delete;

 private:
  bool hidden_;
};

}  // namespace dpll::emulation
