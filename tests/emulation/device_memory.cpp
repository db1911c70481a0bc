#include "emulation/device_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <map>

#include "dpll/core/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define DPLL_POISON(begin, bytes) __asan_poison_memory_region(begin, bytes)
#define DPLL_UNPOISON(begin, bytes) __asan_unpoison_memory_region(begin, bytes)
#else
#define DPLL_POISON(begin, bytes) static_cast<void>(begin)
#define DPLL_UNPOISON(begin, bytes) static_cast<void>(begin)
#endif

namespace dpll::emulation {
namespace {

constexpr std::size_t kPage = 4096, kReserved = std::size_t{1} << 32;
constexpr std::size_t kBehind = 256;  // bytes behind a block, at least, that are nobody's
// Closing takes a time for every page, and each launch closes. Beyond this size it happens after one launch
// in kSeldom alone: the same code of the host runs behind each of them, and tiny networks always see it.
constexpr std::size_t kAlways = std::size_t{4} << 20;
constexpr int kSeldom = 32;

// One range of addresses, so that a single system call opens or closes everything.
class DeviceMemory {
 public:
  DeviceMemory()
      : begin_(static_cast<unsigned char*>(
            mmap(nullptr, kReserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    DPLL_CHECK(begin_ != MAP_FAILED, "no {} bytes of addresses for the emulated GPU's memory", kReserved);
  }

  ~DeviceMemory() {
    DPLL_UNPOISON(begin_, bytes());
    munmap(begin_, kReserved);
  }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  void* allocate(std::size_t bytes) {
    const std::size_t size = (bytes + kBehind + kPage - 1) / kPage * kPage;
    std::size_t at = 0;  // the first gap that is large enough
    for (const auto& [offset, taken] : blocks_) {
      if (offset - at >= size) break;
      at = offset + taken.size;
    }
    if (at + size > kReserved) return nullptr;
    blocks_[at] = {size, bytes};
    open_ = false;  // the new block is closed
    open();
    DPLL_UNPOISON(begin_ + at, bytes);
    DPLL_POISON(begin_ + at + bytes, size - bytes);
    std::memset(begin_ + at, 0xFF, bytes);
    close();
    return begin_ + at;
  }

  void release(void* data) noexcept {
    const auto block = blocks_.find(static_cast<std::size_t>(static_cast<unsigned char*>(data) - begin_));
    if (block == blocks_.end()) return;
    madvise(data, block->second.size, MADV_DONTNEED);
    mprotect(data, block->second.size, PROT_NONE);
    DPLL_POISON(data, block->second.size);
    blocks_.erase(block);
  }

  void open() noexcept {
    ++users_;
    if (!open_) protect(PROT_READ | PROT_WRITE);
    open_ = true;
  }
  void close() noexcept {
    if (--users_ > 0) return;
    if (bytes() > kAlways && ++closings_ % kSeldom != 0) return;
    protect(PROT_NONE);
    open_ = false;
  }

  bool hide() noexcept {
    if (users_ == 0 || (bytes() > kAlways && ++hidings_ % kSeldom != 0)) return false;
    protect(PROT_NONE);
    return true;
  }
  void show() noexcept { protect(PROT_READ | PROT_WRITE); }

  std::vector<DeviceBlock> blocks() const {
    std::vector<DeviceBlock> all;
    for (const auto& [offset, taken] : blocks_) all.push_back({begin_ + offset, taken.bytes});
    return all;
  }

 private:
  struct Taken {
    std::size_t size, bytes;  // with what is nobody's behind it, and without
  };
  std::size_t bytes() const {
    return blocks_.empty() ? 0 : blocks_.rbegin()->first + blocks_.rbegin()->second.size;
  }
  void protect(int protection) noexcept {
    if (bytes() > 0) mprotect(begin_, bytes(), protection);
  }

  unsigned char* begin_;
  std::map<std::size_t, Taken> blocks_;  // by offset
  int users_ = 0, closings_ = 0, hidings_ = 0;
  bool open_ = false;
};

DeviceMemory& memory() {
  thread_local DeviceMemory instance;
  return instance;
}

}  // namespace

void* allocate_device_memory(std::size_t bytes) {
  return memory().allocate(bytes);
}
void release_device_memory(void* data) noexcept {
  if (data != nullptr) memory().release(data);
}
std::vector<DeviceBlock> device_blocks() {
  return memory().blocks();
}
HiddenMemory::HiddenMemory() : hidden_(memory().hide()) {}
HiddenMemory::~HiddenMemory() {
  if (hidden_) memory().show();
}
DeviceAccess::DeviceAccess() {
  memory().open();
}
DeviceAccess::~DeviceAccess() {
  memory().close();
}

}  // namespace dpll::emulation
