#include "data/published_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "data/tar_gz.h"
#include "dpll/files.h"
#include "io/text.h"
#include "io/text_lines.h"
#include "io/unzip.h"

namespace dpll {

namespace fs = std::filesystem;

namespace {

std::string find_in(const std::string& folder, const PublishedFile& file) {
  const bool gz_first = !file.md5_gz.empty();
  for (const std::string& name :
       {gz_first ? file.name + ".gz" : file.name, gz_first ? file.name : file.name + ".gz"}) {
    std::string path = (fs::path(folder) / name).string();
    std::error_code ignored;
    if (fs::exists(path, ignored) && !fs::is_directory(path, ignored)) return path;
  }
  return "";
}

bool any_in(const std::string& folder, const PublishedSet& set) {
  for (const std::vector<PublishedFile>* files : {&set.train, &set.test}) {
    for (const PublishedFile& file : *files) {
      if (!find_in(folder, file).empty()) return true;
    }
  }
  return false;
}

// The MD5 of the file as published; empty for a user's own.
const std::string& published_sum(const PublishedFile& file) {
  return file.md5_gz.empty() ? file.md5 : file.md5_gz;
}

// Of one file inside an archive; the largest, CIFAR-100's training images, has 155 MB.
constexpr std::size_t kMostMemberBytes = std::size_t{1} << 28;

std::vector<std::string> places_of(const PublishedSet& set, const std::string& configured_path) {
  if (configured_path.empty()) return set.folders;
  std::vector<std::string> places = {configured_path};
  if (!set.subfolder.empty()) places.push_back((fs::path(configured_path) / set.subfolder).string());
  return places;
}

std::string find_folder(const PublishedSet& set, const std::string& configured_path) {
  for (std::string& place : places_of(set, configured_path)) {
    if (any_in(place, set)) return std::move(place);
  }
  return "";
}

std::string find_archive(const PublishedSet& set, const std::string& configured_path) {
  if (set.archive.name.empty()) return "";
  std::error_code ignored;
  const fs::path named(configured_path);
  if (named.filename() == set.archive.name && fs::is_regular_file(named, ignored)) return configured_path;
  for (const std::string& place : places_of(set, configured_path)) {
    for (const fs::path& folder : {fs::path(place), fs::path(place).parent_path()}) {
      const fs::path path = folder / set.archive.name;
      if (fs::is_regular_file(path, ignored)) return path.string();
    }
  }
  return "";
}

}  // namespace

bool PublishedFolder::found(const PublishedSet& set, const std::string& configured_path) {
  return !find_folder(set, configured_path).empty() || !find_archive(set, configured_path).empty();
}

PublishedFolder::PublishedFolder(const PublishedSet& set, const std::string& configured_path,
                                 const std::string& how_to_get)
    : set_(set) {
  folder_ = find_folder(set, configured_path);
  if (!folder_.empty()) return;
  folder_ = find_archive(set, configured_path);
  if (!folder_.empty()) {
    is_archive_ = true;
    const auto wanted = [&](const std::string& name) {
      const auto is_it = [&](const PublishedFile& file) { return file.name == name; };
      return std::any_of(set.train.begin(), set.train.end(), is_it) ||
             std::any_of(set.test.begin(), set.test.end(), is_it) ||
             std::find(set.name_lists.begin(), set.name_lists.end(), name) != set.name_lists.end();
    };
    members_ = read_tar_gz(read_file(folder_), folder_, wanted, kMostMemberBytes);
    return;
  }
  std::vector<std::string> names;
  for (const std::vector<PublishedFile>* files : {&set.train, &set.test}) {
    for (const PublishedFile& file : *files) {
      const std::string& sum = published_sum(file);
      names.push_back(file.published_name() + (sum.empty() ? "" : fmt::format(" (MD5 {})", sum)));
    }
  }
  const std::string archive =
      set.archive.name.empty() ? "" : fmt::format(" or {} (MD5 {})", set.archive.name, set.archive.md5);
  fail(ExitCode::data, "{} not found: looked in {} for {}{}{}; set data.path to their folder{}", set.title,
       fmt::join(places_of(set, configured_path), ", "), fmt::join(names, ", "), archive,
       set.page.empty() ? "" : ", published at " + set.page, how_to_get);
}

std::string PublishedFolder::path_of(const PublishedFile& file) const {
  if (!is_archive_) return find_in(folder_, file);
  return members_.contains(file.name) ? (fs::path(folder_) / file.name).string() : "";
}

std::vector<std::string> PublishedFolder::read_lines(const std::string& name) const {
  const std::string path = path_of({name, 0, "", ""});
  if (path.empty()) return {};
  const std::vector<std::uint8_t> bytes = is_archive_ ? members_.at(name) : read_unzipped(path, text_limit);
  TextLines text(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), path);
  std::vector<std::string> lines;
  for (std::string_view line; text.next(line);) {
    line = trim(line);
    if (line.empty()) continue;
    if (!is_utf8(line) || std::any_of(line.begin(), line.end(), is_control)) {
      text.reject("\"{}\" is not a name in UTF-8", printable(line));
    }
    lines.emplace_back(line);
  }
  return lines;
}

std::string PublishedFolder::provenance(const PublishedFile& file, const std::string& message) const {
  if (set_.page.empty()) return "";
  const std::string& sum = published_sum(file);
  const bool named = message.find(sum) != std::string::npos;
  return fmt::format(" ({}, published at {}{})", set_.title, set_.page,
                     named ? "" : fmt::format("; {} has MD5 {}", file.published_name(), sum));
}

std::vector<std::uint8_t> PublishedFolder::read(const PublishedFile& file, bool verify, std::string& path,
                                                std::vector<std::string>& warnings) const {
  path = path_of(file);
  if (path.empty()) {
    fail(ExitCode::data, "{}: missing", (fs::path(folder_) / file.published_name()).string());
  }
  std::vector<std::uint8_t> bytes = is_archive_ ? members_.at(file.name) : read_file(path);
  if (bytes.empty()) fail(ExitCode::data, "{}: the file is empty", path);
  const bool zipped = is_gzip(bytes);
  const bool checked = verify && !set_.page.empty();
  if (zipped) {
    const std::string zipped_sum = checked ? md5_hex(bytes.data(), bytes.size()) : "";
    // Files of the user's own have the size that they announce; a published one that unzips to more is not
    // it.
    bytes = file.bytes == 0 ? unzip(bytes, path, idx_limit) : gunzip(bytes, path, file.bytes);
    if (checked && zipped_sum == file.md5_gz) return bytes;
    if (checked && file.md5.empty()) {
      fail(ExitCode::data,
           "{}: not the published file: MD5 {}, expected {}; data.verify = false skips this check", path,
           zipped_sum, file.md5_gz);
    }
  }
  if (!checked) return bytes;
  if (file.md5.empty()) {
    warnings.push_back(
        fmt::format("{}: only the .gz file has a published MD5; checked the structure alone", path));
    return bytes;
  }
  const std::string sum = md5_hex(bytes.data(), bytes.size());
  if (sum != file.md5) {
    fail(ExitCode::data,
         "{}: not the published file: {} bytes{} with MD5 {}, expected {}MD5 {}; data.verify = false skips "
         "this "
         "check",
         path, bytes.size(), zipped ? " unzipped" : "", sum,
         file.bytes == 0 ? "" : fmt::format("{} bytes with ", file.bytes), file.md5);
  }
  return bytes;
}

const PublishedSet& version_that_is_there(const DatasetRow& row, const std::string& configured_path) {
  const bool only_python = row.python_version && !PublishedFolder::found(row.published, configured_path) &&
                           PublishedFolder::found(*row.python_version, configured_path);
  return only_python ? *row.python_version : row.published;
}

std::string how_to_get(const DatasetRow& row, const std::string& configured_path) {
  if (row.is_own()) return "";
  std::string text = fmt::format("; tools/fetch_data {}{} downloads it", row.name,
                                 configured_path.empty() ? "" : " --to " + configured_path);
  if (row.python_version) {
    const PublishedSet& python = *row.python_version;
    text += fmt::format("; the python version, {} or the folder {}, is read as well", python.archive.name,
                        python.subfolder);
  }
  return text;
}

}  // namespace dpll
