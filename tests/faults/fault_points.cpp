// A library that is loaded before a program (LD_PRELOAD) and stands between it and the file system: it counts
// what the program changes below one folder, writes that down, and at a chosen point kills the program, fails
// the call or sends a signal. tools/faults uses it; nothing of the engine knows of it.
//
//   DPLL_FAULT_UNDER   the folder, an absolute path; without it nothing is counted
//   DPLL_FAULT_AT      the point at which it happens, counted from 1; 0 or unset: never
//   DPLL_FAULT         what happens there: kill, torn (half of a write, then kill), short (half of a write),
//                      signal=NUMBER, or errno=NUMBER (once), full=NUMBER (from there on: errno at every
//                      call)
//   DPLL_FAULT_LOG     file to which each point is appended: number, call, path, second path or size
//   DPLL_FAULT_KEEP    folder on the same file system that gets a hard link of everything that is replaced or
//                      removed, named by the number of the point, so that a power cut can be acted out
//   DPLL_FAULT_MEMORY  the N-th allocation of at least 4 KiB that the program itself asks for has no memory
//   (libraries
//                      are left alone: oneDNN 2.6 does not look at what it gets for the code that it makes)
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

constexpr std::size_t kLargeAllocation = 4 << 10;

std::atomic<long> points{0};
std::atomic<long> allocations{0};

long number_of(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? 0 : std::strtol(text, nullptr, 10);
}

// The next function of that name behind this library's: the C library's.
template <typename Function>
Function next(Function, const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
#define DPLL_NEXT(function) next(&(function), #function)

void raw_write(int fd, const char* text, std::size_t size) {
  syscall(SYS_write, fd, text, size);
}

// The absolute path of `path`, seen from the folder `at`; links are not followed.
void absolute(int at, const char* path, char* out, std::size_t size) {
  char base[PATH_MAX] = "";
  if (path[0] != '/') {
    char link[64];
    std::snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
    const ssize_t length = readlink(link, base, sizeof base - 1);
    base[length < 0 ? 0 : length] = '\0';
  }
  std::snprintf(out, size, "%s%s%s", base, path[0] == '/' ? "" : "/", path);
}

bool is_under(const char* path) {
  const char* const folder = std::getenv("DPLL_FAULT_UNDER");
  return folder != nullptr && std::strncmp(path, folder, std::strlen(folder)) == 0;
}

bool path_of(int fd, char* out, std::size_t size) {
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, out, size - 1);
  if (length < 0) return false;
  out[length] = '\0';
  return true;
}

void log_point(long point, const char* call, const char* path, const char* more) {
  const char* const file = std::getenv("DPLL_FAULT_LOG");
  if (file == nullptr) return;
  char line[3 * PATH_MAX];
  const int size = std::snprintf(line, sizeof line, "%ld\t%s\t%s\t%s\n", point, call, path, more);
  const int fd =
      static_cast<int>(syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (fd < 0) return;
  raw_write(fd, line, static_cast<std::size_t>(size));
  syscall(SYS_close, fd);
}

void keep(long point, const char* path) {
  const char* const folder = std::getenv("DPLL_FAULT_KEEP");
  if (folder == nullptr) return;
  char copy[PATH_MAX];
  std::snprintf(copy, sizeof copy, "%s/%ld", folder, point);
  syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, copy, 0);
}

enum class Action { go_on, fail, half, half_and_die };

[[noreturn]] void die() {
  syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
  for (;;) pause();
}

// Counts a point and does what is to happen there; of `fail` errno is set.
Action reach(const char* call, const char* path, const char* more = "", const char* replaced = nullptr) {
  const int before = errno;
  const long point = ++points;
  if (replaced != nullptr) keep(point, replaced);
  log_point(point, call, path, more);
  const char* const what = std::getenv("DPLL_FAULT");
  const long at = number_of("DPLL_FAULT_AT");
  errno = before;
  if (what == nullptr || at == 0 || point < at) return Action::go_on;
  if (std::strncmp(what, "full=", 5) == 0) {
    const bool takes_room = std::strcmp(call, "write") == 0 || std::strcmp(call, "create") == 0 ||
                            std::strcmp(call, "mkdir") == 0 || std::strcmp(call, "link") == 0;
    if (!takes_room) return Action::go_on;
    errno = std::atoi(what + 5);
    return Action::fail;
  }
  if (point != at) return Action::go_on;
  if (std::strcmp(what, "kill") == 0) die();
  if (std::strcmp(what, "short") == 0) return Action::half;
  if (std::strcmp(what, "torn") == 0) return Action::half_and_die;
  if (std::strncmp(what, "signal=", 7) == 0) {
    syscall(SYS_kill, syscall(SYS_getpid), std::atoi(what + 7));
    return Action::go_on;
  }
  if (std::strncmp(what, "errno=", 6) == 0) {
    errno = std::atoi(what + 6);
    return Action::fail;
  }
  return Action::go_on;
}

Action reach_fd(int fd, const char* call, const char* more = "") {
  char path[PATH_MAX];
  if (std::getenv("DPLL_FAULT_UNDER") == nullptr || !path_of(fd, path, sizeof path) || !is_under(path)) {
    return Action::go_on;
  }
  return reach(call, path, more);
}

// Opening changes something where it may make or empty a file.
bool allows_opening(int at, const char* path, bool makes) {
  if (!makes || std::getenv("DPLL_FAULT_UNDER") == nullptr) return true;
  char full[PATH_MAX];
  absolute(at, path, full, sizeof full);
  if (!is_under(full)) return true;
  struct stat status {};
  const bool there = lstat(full, &status) == 0;
  return reach(there ? "open" : "create", full) != Action::fail;
}

bool allows_change(const char* call, int at, const char* path, int to_at = 0, const char* to = nullptr) {
  if (std::getenv("DPLL_FAULT_UNDER") == nullptr) return true;
  char full[PATH_MAX], to_full[PATH_MAX] = "";
  absolute(at, path, full, sizeof full);
  if (to != nullptr) absolute(to_at, to, to_full, sizeof to_full);
  if (!is_under(to != nullptr ? to_full : full)) return true;
  const char* replaced = nullptr;
  if (std::strcmp(call, "rename") == 0) replaced = to_full;
  if (std::strcmp(call, "unlink") == 0) replaced = full;
  return reach(call, full, to_full, replaced) != Action::fail;
}

// How many of `size` bytes a write may write; negative: it fails.
ssize_t allowed(int fd, std::size_t size, bool& dies) {
  char text[32];
  std::snprintf(text, sizeof text, "%zu", size);
  switch (reach_fd(fd, "write", text)) {
    case Action::fail:
      return -1;
    case Action::half_and_die:
      dies = true;
      return static_cast<ssize_t>(size / 2);
    case Action::half:
      return static_cast<ssize_t>((size + 1) / 2);
    case Action::go_on:
      break;
  }
  return static_cast<ssize_t>(size);
}

// What is on the disk for sure once a file is synced: as much as it holds now.
bool allows_sync(int fd) {
  struct stat status {};
  char text[32] = "";
  if (fstat(fd, &status) == 0) {
    std::snprintf(text, sizeof text, S_ISDIR(status.st_mode) ? "folder" : "%lld",
                  static_cast<long long>(status.st_size));
  }
  return reach_fd(fd, "sync", text) != Action::fail;
}

// Whether code at `address` is the program's, not a library's: the first object that the loader lists.
bool is_program(const void* address) {
  struct Range {
    std::uintptr_t begin = UINTPTR_MAX, end = 0;
  };
  static const Range program = [] {
    Range range;
    dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t, void* out) {
          for (int i = 0; i < object->dlpi_phnum; ++i) {
            const auto& segment = object->dlpi_phdr[i];
            if (segment.p_type != PT_LOAD) continue;
            const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
            Range& found = *static_cast<Range*>(out);
            found.begin = begin < found.begin ? begin : found.begin;
            found.end = begin + segment.p_memsz > found.end ? begin + segment.p_memsz : found.end;
          }
          return 1;  // the first one is the program
        },
        &range);
    return range;
  }();
  const auto place = reinterpret_cast<std::uintptr_t>(address);
  return place >= program.begin && place < program.end;
}

bool has_memory(std::size_t bytes, const void* caller) {
  if (bytes < kLargeAllocation || !is_program(caller)) return true;
  static const long which = number_of("DPLL_FAULT_MEMORY");
  const long count = ++allocations;
  if (which == 0 || count != which) return true;
  errno = ENOMEM;
  return false;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  if (!allows_opening(AT_FDCWD, path, (flags & (O_CREAT | O_TRUNC)) != 0)) return -1;
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  return open(path, flags, mode);
}
int openat(int at, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  if (!allows_opening(at, path, (flags & (O_CREAT | O_TRUNC)) != 0)) return -1;
  return static_cast<int>(syscall(SYS_openat, at, path, flags, mode));
}
FILE* fopen(const char* path, const char* mode) {
  if (!allows_opening(AT_FDCWD, path, mode[0] != 'r')) return nullptr;
  return DPLL_NEXT(fopen)(path, mode);
}
FILE* fopen64(const char* path, const char* mode) {
  if (!allows_opening(AT_FDCWD, path, mode[0] != 'r')) return nullptr;
  return DPLL_NEXT(fopen64)(path, mode);
}

ssize_t write(int fd, const void* data, size_t size) {
  bool dies = false;
  const ssize_t count = allowed(fd, size, dies);
  if (count < 0) return -1;
  const ssize_t written = syscall(SYS_write, fd, data, count);
  if (dies) die();
  return written;
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  bool dies = false;
  const ssize_t count = allowed(fd, size, dies);
  if (count < 0) return -1;
  const ssize_t written = syscall(SYS_pwrite64, fd, data, count, offset);
  if (dies) die();
  return written;
}
ssize_t writev(int fd, const iovec* parts, int count) {
  std::size_t size = 0;
  for (int i = 0; i < count; ++i) size += parts[i].iov_len;
  bool dies = false;
  const ssize_t bytes = allowed(fd, size, dies);
  if (bytes < 0) return -1;
  if (static_cast<std::size_t>(bytes) == size) return syscall(SYS_writev, fd, parts, count);
  // A part of it: whole buffers first.
  ssize_t left = bytes, written = 0;
  for (int i = 0; i < count && left > 0; ++i) {
    const ssize_t piece =
        static_cast<ssize_t>(parts[i].iov_len) < left ? static_cast<ssize_t>(parts[i].iov_len) : left;
    const ssize_t done = syscall(SYS_write, fd, parts[i].iov_base, piece);
    if (done < 0) break;
    written += done;
    left -= done;
  }
  if (dies) die();
  return written;
}
ssize_t sendfile(int to, int from, off_t* offset, size_t size) {
  if (reach_fd(to, "write", "copy") == Action::fail) return -1;
  return syscall(SYS_sendfile, to, from, offset, size);
}
ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size,
                        unsigned flags) {
  if (reach_fd(to, "write", "copy") == Action::fail) return -1;
  return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
}
int ftruncate(int fd, off_t size) noexcept {
  char text[32];
  std::snprintf(text, sizeof text, "%lld", static_cast<long long>(size));
  if (reach_fd(fd, "truncate", text) == Action::fail) return -1;
  return static_cast<int>(syscall(SYS_ftruncate, fd, size));
}
int truncate(const char* path, off_t size) noexcept {
  if (!allows_change("truncate", AT_FDCWD, path)) return -1;
  return static_cast<int>(syscall(SYS_truncate, path, size));
}

int fsync(int fd) {
  return allows_sync(fd) ? static_cast<int>(syscall(SYS_fsync, fd)) : -1;
}
int fdatasync(int fd) {
  return allows_sync(fd) ? static_cast<int>(syscall(SYS_fdatasync, fd)) : -1;
}

int rename(const char* from, const char* to) noexcept {
  if (!allows_change("rename", AT_FDCWD, from, AT_FDCWD, to)) return -1;
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int renameat(int from_at, const char* from, int to_at, const char* to) noexcept {
  if (!allows_change("rename", from_at, from, to_at, to)) return -1;
  return static_cast<int>(syscall(SYS_renameat2, from_at, from, to_at, to, 0));
}
int link(const char* from, const char* to) noexcept {
  if (!allows_change("link", AT_FDCWD, from, AT_FDCWD, to)) return -1;
  return static_cast<int>(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int linkat(int from_at, const char* from, int to_at, const char* to, int flags) noexcept {
  if (!allows_change("link", from_at, from, to_at, to)) return -1;
  return static_cast<int>(syscall(SYS_linkat, from_at, from, to_at, to, flags));
}
int unlink(const char* path) noexcept {
  if (!allows_change("unlink", AT_FDCWD, path)) return -1;
  return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}
int unlinkat(int at, const char* path, int flags) noexcept {
  if (!allows_change("unlink", at, path)) return -1;
  return static_cast<int>(syscall(SYS_unlinkat, at, path, flags));
}
int remove(const char* path) noexcept {
  if (!allows_change("unlink", AT_FDCWD, path)) return -1;
  const int error = static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
  return error != 0 && errno == EISDIR ? static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR))
                                       : error;
}
int mkdir(const char* path, mode_t mode) noexcept {
  if (!allows_change("mkdir", AT_FDCWD, path)) return -1;
  return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
int flock(int fd, int operation) noexcept {
  if ((operation & LOCK_UN) == 0 && reach_fd(fd, "flock") == Action::fail) return -1;
  return static_cast<int>(syscall(SYS_flock, fd, operation));
}

void* aligned_alloc(size_t alignment, size_t size) {
  return has_memory(size, __builtin_return_address(0)) ? DPLL_NEXT(aligned_alloc)(alignment, size) : nullptr;
}
int posix_memalign(void** data, size_t alignment, size_t size) noexcept {
  return has_memory(size, __builtin_return_address(0)) ? DPLL_NEXT(posix_memalign)(data, alignment, size)
                                                       : ENOMEM;
}
void* malloc(size_t size) noexcept {
  // dlsym() may itself ask for memory, but for none that is large.
  static void* (*const c_malloc)(size_t) = DPLL_NEXT(malloc);
  return has_memory(size, __builtin_return_address(0)) ? c_malloc(size) : nullptr;
}
void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  // Files are mapped by the loader, too; only memory is refused.
  if ((flags & MAP_ANONYMOUS) != 0 && !has_memory(size, __builtin_return_address(0))) return MAP_FAILED;
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, size, protection, flags, fd, offset));
}

}  // extern "C"

namespace {
void* new_memory(std::size_t size, std::size_t alignment, const void* caller) {
  void* data = nullptr;
  if (has_memory(size, caller)) {
    data = alignment == 0
               ? DPLL_NEXT(malloc)(size)
               : DPLL_NEXT(aligned_alloc)(alignment, (size + alignment - 1) / alignment * alignment);
  }
  if (data == nullptr) throw std::bad_alloc();
  return data;
}
}  // namespace

void* operator new(std::size_t size) {
  return new_memory(size, 0, __builtin_return_address(0));
}
void* operator new[](std::size_t size) {
  return new_memory(size, 0, __builtin_return_address(0));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return new_memory(size, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return new_memory(size, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
