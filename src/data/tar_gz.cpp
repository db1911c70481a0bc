#include "data/tar_gz.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "dpll/core/check.h"

namespace dpll {

std::map<std::string, std::vector<std::uint8_t>> read_tar_gz(
    ByteView bytes, const std::string& path, const std::function<bool(const std::string&)>& wanted,
    std::size_t most) {
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  DPLL_CHECK(reader != nullptr, "libarchive does not start");
  const auto check = [&](la_ssize_t status) {
    if (status >= ARCHIVE_OK || status == ARCHIVE_WARN) return;
    const char* reason = archive_error_string(reader.get());
    fail(ExitCode::data, "{}: not a whole .tar.gz archive: {}", path, reason != nullptr ? reason : "damaged");
  };
  if (!is_gzip(bytes)) fail(ExitCode::data, "{}: not a .tar.gz archive", path);
  check(archive_read_support_filter_gzip(reader.get()));
  check(archive_read_support_format_tar(reader.get()));
  check(archive_read_open_memory(reader.get(), bytes.data(), bytes.size()));
  std::map<std::string, std::vector<std::uint8_t>> members;
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    check(status);
    const char* pathname = archive_entry_pathname(entry);
    if (pathname == nullptr || archive_entry_filetype(entry) != AE_IFREG) continue;
    const std::string name = std::filesystem::path(pathname).filename().string();
    if (!wanted(name)) continue;
    const la_int64_t size = archive_entry_size(entry);
    if (size < 0 || static_cast<std::uint64_t>(size) > most) {
      fail(ExitCode::data, "{}: {} has {} bytes, at most {} are expected", path, name, size, most);
    }
    // Memory for what arrives, not for what the header announces.
    constexpr std::size_t kFirstChunk = 1 << 16;
    std::vector<std::uint8_t> content;
    la_ssize_t got = 0;
    while (static_cast<la_int64_t>(content.size()) < size) {
      const std::size_t before = content.size();
      content.resize(std::min(static_cast<std::size_t>(size), std::max(kFirstChunk, 2 * before)));
      got = archive_read_data(reader.get(), content.data() + before, content.size() - before);
      check(got);
      content.resize(before + static_cast<std::size_t>(std::max<la_ssize_t>(got, 0)));
      if (got <= 0) break;
    }
    if (static_cast<la_int64_t>(content.size()) != size) {
      fail(ExitCode::data, "{}: truncated: {} of {}'s {} bytes", path, content.size(), name, size);
    }
    if (!members.emplace(name, std::move(content)).second) {
      fail(ExitCode::data, "{}: holds {} twice", path, name);
    }
  }
  return members;
}

}  // namespace dpll
