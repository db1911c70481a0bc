#include "dpll/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "dpll/core/check.h"
#include "io/unzip.h"
#include "io/write_all.h"

namespace dpll {

namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  // Network file systems report a failed write only here; returns 0 or the error.
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result == 0 ? 0 : errno;
  }

 private:
  int fd_;
};

// Removes the file at the end of the scope, unless keep() was called.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!kept_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  void keep() { kept_ = true; }

 private:
  std::string path_;
  bool kept_ = false;
};

// The file to write so that a symbolic link at `path` is kept.
std::string resolve_target(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return path;  // it does not exist, or open() will report the error
  if (S_ISDIR(status.st_mode)) fail(ExitCode::run, "cannot write {}: it is a folder", path);
  // rename() would replace a device such as /dev/null by a plain file.
  if (!S_ISREG(status.st_mode)) fail(ExitCode::run, "cannot write {}: it is not a regular file", path);
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

void sync_folder(const std::filesystem::path& folder, const std::string& path) {
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // EINVAL: folders of this file system cannot be synced, so nothing more can be done for the renamed file.
  const int error = fd.get() < 0 ? errno : sync_to_disk(fd.get());
  if (error != 0 && error != EINVAL) {
    fail(ExitCode::run, "wrote {}, but cannot sync its folder: {}", path, reason(error));
  }
}

std::string hex(const unsigned char* digest, unsigned int bytes) {
  std::string text;
  for (unsigned int i = 0; i < bytes; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string digest_hex(const EVP_MD* algorithm, const void* data, std::size_t bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  DPLL_CHECK(EVP_Digest(data, bytes, digest.data(), &length, algorithm, nullptr) == 1,
             "OpenSSL cannot compute a digest");
  return hex(digest.data(), length);
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::string& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) {
    fail(ExitCode::data, "cannot read {}: {}", path, reason(errno));
  }
  // The size is only a hint: pipes have none, and a file may change. With one more byte the end is found
  // without a larger buffer.
  constexpr std::size_t kLeastBuffer = 1 << 16;
  std::vector<std::uint8_t> bytes(std::max(static_cast<std::size_t>(status.st_size) + 1, kLeastBuffer));
  std::size_t used = 0;
  while (true) {
    const ssize_t got = ::read(fd.get(), bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ExitCode::data, "cannot read {}: {}", path, reason(errno));
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    if (used == bytes.size()) bytes.resize(2 * bytes.size());
  }
  bytes.resize(used);
  return bytes;
}

bool is_gzip(ByteView bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

std::vector<std::uint8_t> gunzip(const std::vector<std::uint8_t>& bytes, const std::string& path,
                                 std::size_t most) {
  return unzip(bytes, path, [most](ByteView, std::size_t) { return most; });
}

std::vector<std::uint8_t> read_maybe_gz(const std::string& path) {
  std::vector<std::uint8_t> bytes = read_file(path);
  return is_gzip(bytes) ? gunzip(bytes, path) : bytes;
}

void write_all(int fd, ByteView bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(ExitCode::run, "cannot write {}: {}", path, reason(errno));
    if (written == 0) fail(ExitCode::run, "cannot write {}: the file system takes no more bytes", path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

int sync_to_disk(int fd) {
  while (::fsync(fd) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

namespace {

// Creates a new file next to `target`; -1 with errno if this fails. Threads and processes that write the same
// path at the same time must not share it, and in containers every start may have the same process id. So the
// name is random.
int open_temporary(const std::string& target, std::string& temporary) {
  constexpr int kAttempts = 100;
  for (int i = 0; i < kAttempts; ++i) {
    std::uint64_t drawn = 0;
    if (::getrandom(&drawn, sizeof drawn, 0) != static_cast<ssize_t>(sizeof drawn)) {
      static std::atomic<std::uint64_t> counter{0};
      drawn = static_cast<std::uint64_t>(::getpid()) << 32 | counter++;
    }
    temporary = fmt::format("{}.{:016x}.tmp", target, drawn);
    const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0 || errno != EEXIST) return file;
  }
  return -1;
}

}  // namespace

void write_file_atomically(const std::string& path, const std::vector<ByteView>& parts) {
  const std::string target = resolve_target(path);
  std::string temporary;
  FileDescriptor fd(open_temporary(target, temporary));
  if (fd.get() < 0) fail(ExitCode::run, "cannot write {}: {}", path, reason(errno));
  TemporaryFile guard(temporary);
  for (const ByteView part : parts) write_all(fd.get(), part, path);
  if (const int error = sync_to_disk(fd.get()); error != 0) {
    fail(ExitCode::run, "cannot write {}: {}", path, reason(error));
  }
  if (const int error = fd.close(); error != 0) {
    fail(ExitCode::run, "cannot write {}: {}", path, reason(error));
  }
  if (std::rename(temporary.c_str(), target.c_str()) != 0) {
    fail(ExitCode::run, "cannot replace {}: {}", path, reason(errno));
  }
  guard.keep();
  const std::filesystem::path folder = std::filesystem::path(target).parent_path();
  sync_folder(folder.empty() ? "." : folder, path);
}

void write_file_atomically(const std::string& path, const void* data, std::size_t bytes) {
  write_file_atomically(path, std::vector<ByteView>{{static_cast<const std::uint8_t*>(data), bytes}});
}

void write_file_atomically(const std::string& path, const std::string& text) {
  write_file_atomically(path, text.data(), text.size());
}

bool append_to_file(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0) return false;
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  return ::close(file) == 0 && written;
}

std::string md5_hex(const void* data, std::size_t bytes) {
  return digest_hex(EVP_md5(), data, bytes);
}

std::string sha256_hex(const void* data, std::size_t bytes) {
  return digest_hex(EVP_sha256(), data, bytes);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  auto* context = static_cast<EVP_MD_CTX*>(context_);
  DPLL_CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1,
             "OpenSSL cannot start SHA-256");
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_));
}

void Sha256::update(const void* data, std::size_t bytes) {
  DPLL_CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data, bytes) == 1,
             "OpenSSL cannot continue SHA-256");
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  DPLL_CHECK(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest.data(), &length) == 1,
             "OpenSSL cannot end SHA-256");
  return dpll::hex(digest.data(), length);
}

}  // namespace dpll
