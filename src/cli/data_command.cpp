#include <cstdio>
#include <filesystem>
#include <optional>

#include "cli/commands.h"
#include "data/published_folder.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "io/text.h"

namespace dpll {
namespace {

std::vector<PublishedFile> files_of(const RunConfig::Data& config, const PublishedSet& set) {
  std::vector<PublishedFile> files = set.train;
  if (config.svhn_extra) files.push_back(svhn_extra());
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

int data_verify_command(const RunConfig& config) {
  const RunConfig::Data& data = config.data;
  if (data.dataset == DatasetKind::idx || data.dataset == DatasetKind::safetensors ||
      data.dataset == DatasetKind::tabular) {
    const DataSet read = load_data(config);
    std::printf("right    %s: your own data, so without published sums: %lld training and %lld test %s\n",
                escaped(data.path).c_str(), static_cast<long long>(read.train.count),
                static_cast<long long>(read.test.count), read.train.tabular() ? "samples" : "images");
    return 0;
  }
  const PublishedSet& set =
      has_only_python_version(data) ? published_python_set(data.dataset) : published_set(data.dataset);
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
  const std::vector<PublishedFile> files = files_of(data, set);
  std::size_t wrong = 0;
  for (const PublishedFile& file : files) {
    if (!report(folder, belongs, file)) ++wrong;
  }
  if (wrong == 0) return 0;
  std::string name = to_string(data.dataset);
  if (data.svhn_extra) name += fmt::format(" --to {0} and tools/fetch_data svhn_extra", belongs);
  fail(ExitCode::data, "{} of {} files of {} are missing or damaged; get them by tools/fetch_data {} --to {}",
       wrong, files.size(), set.title, name, belongs);
}

}  // namespace dpll
