#include "dpll/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "io/write_all.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/gzip.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::gzip;
using dpll::test::TempDir;

namespace {

std::vector<std::uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

std::string text_in(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

int files_in(const std::string& folder) {
  int n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++n;
  return n;
}

// Poorly compressible, so that a truncation hits the data and not only the trailer.
std::vector<std::uint8_t> noise(std::size_t bytes) {
  std::vector<std::uint8_t> out(bytes);
  std::uint32_t state = 1;
  for (std::uint8_t& b : out) {
    state = state * 1664525u + 1013904223u;
    b = static_cast<std::uint8_t>(state >> 24);
  }
  return out;
}

// Writes of this process beyond `bytes` per file fail with EFBIG while it lives: a disk that fills up.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    rlimit limit = old_limit_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    ::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_limit_{};
  void (*old_handler_)(int);
};

}  // namespace

TEST_CASE("files: what is written is read back, also empty and large") {
  const TempDir dir;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{65535}, std::size_t{65536}, std::size_t{300000}}) {
    const std::vector<std::uint8_t> data = noise(size);
    write_file_atomically(dir.file("x"), data.data(), data.size());
    CHECK(read_file(dir.file("x")) == data);
  }
  write_file_atomically(dir.file("text"), "two\nlines\n");
  CHECK(text_in(dir.file("text")) == "two\nlines\n");
  const std::vector<std::uint8_t> a = bytes_of("one"), b = bytes_of(""), c = bytes_of(" two");
  write_file_atomically(dir.file("parts"), {ByteView(a), ByteView(b), ByteView(c)});
  CHECK(text_in(dir.file("parts")) == "one two");
  CHECK(files_in(dir.path()) == 3);  // no temporary files stay
}

TEST_CASE("files: reading what is not there or not a file names the path and the reason") {
  const TempDir dir;
  const Error missing = error_of([&] { read_file(dir.file("no-such-file")); });
  CHECK(missing.code() == ExitCode::data);
  CHECK(contains(missing, dir.file("no-such-file") + ": No such file or directory"));
  CHECK(contains(error_of([&] { read_file(dir.path()); }), "Is a directory"));
}

TEST_CASE("files: a pipe, which has no size, is read to its end") {
  const TempDir dir;
  REQUIRE(::mkfifo(dir.file("pipe").c_str(), 0600) == 0);
  const std::vector<std::uint8_t> data = noise(200000);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(dir.file("pipe").c_str(), O_WRONLY);
    write_all(fd, data, "pipe");
    ::_exit(0);
  }
  CHECK(read_file(dir.file("pipe")) == data);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("files: gzip is detected by content, whatever the name") {
  const TempDir dir;
  const std::vector<std::uint8_t> data = noise(100000);
  const std::vector<std::uint8_t> packed = gzip(data);
  write_file_atomically(dir.file("packed.bin"), packed.data(), packed.size());
  write_file_atomically(dir.file("plain.gz"), data.data(), data.size());
  CHECK(read_maybe_gz(dir.file("packed.bin")) == data);
  CHECK(read_maybe_gz(dir.file("plain.gz")) == data);
  CHECK(gunzip(gzip({}), "empty").empty());
  CHECK(gunzip(gzip(std::vector<std::uint8_t>(1000000, 7)), "zeros").size() == 1000000);  // 1000 : 1
}

TEST_CASE("files: a gzip stream of several members unzips to their concatenation") {
  std::vector<std::uint8_t> packed = gzip(bytes_of("one, "));
  const std::vector<std::uint8_t> second = gzip(bytes_of("two"));
  packed.insert(packed.end(), second.begin(), second.end());
  CHECK(gunzip(packed, "x") == bytes_of("one, two"));
}

TEST_CASE("files: damaged gzip data end in one clear line") {
  const std::vector<std::uint8_t> data = noise(50000);
  const std::vector<std::uint8_t> packed = gzip(data);
  for (const std::size_t length : {std::size_t{2}, std::size_t{10}, std::size_t{30}, packed.size() / 2,
                                   packed.size() - 8, packed.size() - 1}) {
    const std::vector<std::uint8_t> cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(length));
    const Error error = error_of([&] { gunzip(cut, "cut.gz"); });
    CHECK(error.code() == ExitCode::data);
    CHECK(contains(error, "cut.gz: truncated gzip data"));
  }
  std::vector<std::uint8_t> flipped = packed;
  flipped[packed.size() - 6] ^= 1;  // in the CRC-32
  CHECK(contains(error_of([&] { gunzip(flipped, "flipped.gz"); }), "flipped.gz: damaged gzip data"));
  std::vector<std::uint8_t> longer = packed;
  longer.insert(longer.end(), {1, 2, 3});
  CHECK(contains(error_of([&] { gunzip(longer, "longer.gz"); }), "longer.gz: 3 trailing bytes"));
  CHECK(contains(error_of([&] { gunzip(data, "plain"); }), "plain: not a gzip file"));
}

TEST_CASE("files: a full device is reported with the system's reason") {
  const int fd = ::open("/dev/full", O_WRONLY);
  if (fd < 0) DPLL_SKIP("/dev/full cannot be opened here");
  const std::vector<std::uint8_t> data = noise(100);
  const Error error = error_of([&] { write_all(fd, data, "out.csv"); });
  ::close(fd);
  CHECK(error.code() == ExitCode::run);
  CHECK(std::string(error.what()) == "cannot write out.csv: No space left on device");
}

TEST_CASE("files: a write that fails half-way leaves the old file and no temporary file") {
  const TempDir dir;
  write_file_atomically(dir.file("metrics.csv"), "old");
  const std::vector<std::uint8_t> data = noise(100000);
  const Error error = [&] {
    const FileSizeLimit limit(10000);
    return error_of([&] { write_file_atomically(dir.file("metrics.csv"), data.data(), data.size()); });
  }();
  CHECK(error.code() == ExitCode::run);
  CHECK(contains(error, dir.file("metrics.csv") + ": File too large"));
  CHECK(text_in(dir.file("metrics.csv")) == "old");
  CHECK(files_in(dir.path()) == 1);
}

TEST_CASE("files: folders that are missing or not writable") {
  const TempDir dir;
  const Error missing = error_of([&] { write_file_atomically(dir.file("no/x"), "text"); });
  CHECK(missing.code() == ExitCode::run);
  CHECK(contains(missing, dir.file("no/x") + ": No such file or directory"));
  write_file_atomically(dir.file("plain"), "text");
  CHECK(contains(error_of([&] { write_file_atomically(dir.file("plain/x"), "text"); }), "Not a directory"));

  const std::string folder = dir.file("locked");
  std::filesystem::create_directory(folder);
  ::chmod(folder.c_str(), 0500);
  // Root may write everywhere, so become somebody else for this call.
  constexpr uid_t kNobody = 65534;
  const uid_t self = ::geteuid();
  if (self == 0) REQUIRE(::seteuid(kNobody) == 0);
  const Error locked = error_of([&] { write_file_atomically(folder + "/x", "text"); });
  if (self == 0) REQUIRE(::seteuid(self) == 0);
  CHECK(contains(locked, folder + "/x: Permission denied"));
  ::chmod(folder.c_str(), 0700);
  CHECK(files_in(folder) == 0);
}

TEST_CASE("files: devices and folders are not replaced, symbolic links stay") {
  const TempDir dir;
  REQUIRE(::mkfifo(dir.file("pipe").c_str(), 0600) == 0);
  CHECK(contains(error_of([&] { write_file_atomically(dir.file("pipe"), "x"); }), "not a regular file"));
  CHECK(std::filesystem::is_fifo(dir.file("pipe")));
  CHECK(contains(error_of([&] { write_file_atomically(dir.path(), "x"); }), "it is a folder"));

  write_file_atomically(dir.file("target"), "old");
  std::filesystem::create_symlink("target", dir.file("link"));
  write_file_atomically(dir.file("link"), "new");
  CHECK(std::filesystem::is_symlink(dir.file("link")));
  CHECK(text_in(dir.file("target")) == "new");
}

// RFC 1321 and FIPS 180-2 test vectors.
TEST_CASE("files: digests of the published test vectors") {
  CHECK(md5_hex("", 0) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(md5_hex("abc", 3) == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(sha256_hex("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 sha;
  sha.update("a", 1);
  sha.update("", 0);
  sha.update("bc", 2);
  CHECK(sha.hex() == sha256_hex("abc", 3));
}
