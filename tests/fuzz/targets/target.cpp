#include "fuzz/targets/target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace dpll::fuzz {

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz target: %s\n", what);
  std::abort();
}

void run(const Target& target, ByteView bytes) {
  try {
    target.parse(bytes);
  } catch (const Error& error) {
    const std::string message = error.what();
    const bool right = error.code() == target.code && message.find('\n') == std::string::npos;
    if (!right) std::fprintf(stderr, "exit code %d: %s\n", static_cast<int>(error.code()), error.what());
    require(right, "an error of another code, or of several lines");
  }
}

MemoryFile::MemoryFile(ByteView bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
  std::size_t written = 0;
  while (fd_ >= 0 && written < bytes.size()) {
    const ssize_t got = ::write(fd_, bytes.data() + written, bytes.size() - written);
    if (got <= 0) break;
    written += static_cast<std::size_t>(got);
  }
  require(fd_ >= 0 && written == bytes.size(), "no memory for a file");
}

MemoryFile::~MemoryFile() {
  ::close(fd_);
}

std::string MemoryFile::path() const {
  return "/proc/self/fd/" + std::to_string(fd_);
}

}  // namespace dpll::fuzz

#ifdef DPLL_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dpll::fuzz::run(dpll::fuzz::targets().front(), {data, size});
  return 0;
}
#endif
