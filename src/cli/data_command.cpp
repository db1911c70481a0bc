#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "data/published_folder.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "io/text.h"

namespace dpll {
namespace {

std::vector<PublishedFile> files_of(const RunConfig::Data& config, const DatasetRow& row,
                                    const PublishedSet& set) {
  std::vector<PublishedFile> files = set.train;
  if (config.svhn_extra) files.push_back(row.more_train);
  files.insert(files.end(), set.test.begin(), set.test.end());
  return files;
}

// Prints a line about `file` and returns whether it is the published one.
bool report(const std::optional<PublishedFolder>& folder, const std::string& belongs,
            const PublishedFile& file) {
  const std::string& sum = file.md5_gz.empty() ? file.md5 : file.md5_gz;
  const std::string path = folder ? folder->path_of(file) : "";
  const auto print = [](const std::string& line) { std::printf("%s\n", escaped(line).c_str()); };
  if (path.empty()) {
    const std::string where = (std::filesystem::path(belongs) / file.published_name()).string();
    print(fmt::format("missing  {}: expected MD5 {}", where, sum));
    return false;
  }
  try {
    std::string line = path;
    if (!folder->is_archive()) {
      const std::vector<std::uint8_t> bytes = read_file(path);
      line += fmt::format(": {} bytes, MD5 {}", bytes.size(), md5_hex(bytes.data(), bytes.size()));
    }
    try {
      std::vector<std::string> warnings;
      folder->parse(file, true, warnings,
                    [](const std::vector<std::uint8_t>& b, const std::string&) { return b.size(); });
      print("right    " + line + (warnings.empty() ? "" : " (no sum of the unzipped file is published)"));
      return true;
    } catch (const Error& error) {
      if (error.code() != ExitCode::data) throw;
      print(fmt::format("damaged  {}, expected MD5 {}", line, sum));
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::data) throw;
    print(fmt::format("damaged  {}", error.what()));
  }
  return false;
}

}  // namespace

namespace {

using Json = nlohmann::ordered_json;

Json files_json(const std::vector<const std::vector<PublishedFile>*>& lists) {
  Json files = Json::array();
  for (const std::vector<PublishedFile>* list : lists) {
    for (const PublishedFile& file : *list) {
      files.push_back(
          {{"name", file.published_name()}, {"md5", file.md5_gz.empty() ? file.md5 : file.md5_gz}});
    }
  }
  return files;
}

// What tools/fetch_data downloads, by the name that it is given.
Json fetch_table() {
  Json table;
  for (const DatasetRow& row : catalogue()) {
    const PublishedSet& set = row.published;
    if (set.download.empty()) continue;
    Json& entry = table[row.name];
    entry = {{"title", set.title}, {"base", set.download}, {"folder", set.folders.at(0)}};
    if (!set.archive.name.empty()) {
      entry["archive"] = {{"name", set.archive.name}, {"md5", set.archive.md5}};
      entry["inside"] = set.subfolder;
    }
    entry["files"] = files_json({&set.train, &set.test});
    if (!set.name_lists.empty()) entry["also"] = set.name_lists;
    if (row.more_train.name.empty()) continue;
    const std::vector<PublishedFile> more = {row.more_train};
    table[row.name + "_extra"] = {{"title", set.title + ", extra training images"},
                                  {"base", set.download},
                                  {"folder", set.folders.at(0)},
                                  {"files", files_json({&more})}};
  }
  return table;
}

}  // namespace

int data_list_command(bool json) {
  if (json) {
    std::printf("%s\n", fetch_table().dump(2).c_str());
    return 0;
  }
  std::size_t longest = 0;
  for (const std::string& name : dataset_names()) longest = std::max(longest, name.size());
  for (const DatasetRow& row : catalogue()) {
    const PublishedSet& set = row.published;
    const std::string where = row.is_own() ? "data.path: " + row.path_is
                                           : fmt::format("{} classes, in {}, published at {}",
                                                         set.class_names.size(), set.folders.at(0), set.page);
    std::printf("%s\n", fmt::format("{:<{}}  {}; {}", row.name, longest, set.title, where).c_str());
  }
  return 0;
}

int data_verify_command(const RunConfig& config) {
  const RunConfig::Data& data = config.data;
  const DatasetRow& row = dataset_row(data.dataset);
  if (row.is_own()) {
    const DataSet read = load_data(config);
    std::printf("right    %s: your own data, so without published sums: %lld training and %lld test %s\n",
                escaped(data.path).c_str(), static_cast<long long>(read.train.count),
                static_cast<long long>(read.test.count), read.train.tabular() ? "samples" : "images");
    return 0;
  }
  const PublishedSet& set = version_that_is_there(row, data.path);
  std::string belongs = data.path.empty() ? set.folders.at(0) : data.path;
  std::optional<PublishedFolder> folder;
  // For an archive that cannot be read there is already a message.
  if (PublishedFolder::found(set, data.path)) {
    folder.emplace(set, data.path);
    belongs =
        folder->is_archive() ? std::filesystem::path(folder->path()).parent_path().string() : folder->path();
    if (belongs.empty()) belongs = ".";
  }
  std::printf("%s, published at %s\n", set.title.c_str(), set.page.c_str());
  const std::vector<PublishedFile> files = files_of(data, row, set);
  std::size_t wrong = 0;
  for (const PublishedFile& file : files) {
    if (!report(folder, belongs, file)) ++wrong;
  }
  if (wrong == 0) return 0;
  std::string name = data.dataset;
  if (data.svhn_extra) name += fmt::format(" --to {} and tools/fetch_data {}_extra", belongs, data.dataset);
  fail(ExitCode::data, "{} of {} files of {} are missing or damaged; get them by tools/fetch_data {} --to {}",
       wrong, files.size(), set.title, name, belongs);
}

}  // namespace dpll
