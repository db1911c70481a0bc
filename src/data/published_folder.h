// Finds the files of a published data set and verifies them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/catalogue.h"
#include "dpll/core/check.h"

namespace dpll {

class PublishedFolder {
 public:
  // The first place that has any of the set's files: data.path or the published archive's folder below it;
  // with an empty path the usual places (PublishedSet::folders). Where none has, the set's archive as
  // downloaded: data.path itself, or lying in or above one of the places. Error(data) naming every place,
  // what belongs there and `how_to_get` it, or why the archive cannot be read.
  PublishedFolder(const PublishedSet& set, const std::string& configured_path,
                  const std::string& how_to_get = "");

  // Whether there are files or an archive of the set.
  static bool found(const PublishedSet& set, const std::string& configured_path);

  // Folder or archive.
  const std::string& path() const { return folder_; }
  bool is_archive() const { return is_archive_; }
  bool has(const PublishedFile& file) const { return !path_of(file).empty(); }
  // The file as it lies there, published form (.gz or plain) first; ARCHIVE/NAME within an archive; empty
  // when it is not there.
  std::string path_of(const PublishedFile& file) const;
  // Lines of a text file beside the data, without blank ones; empty when the file is not there.
  std::vector<std::string> read_lines(const std::string& name) const;

  // Reads `file`, unzips it, checks its MD5 (if `verify` and known; a file without a known sum adds a
  // warning) and returns parse(bytes, path). Error(data) for a file that is missing, empty, not the published
  // one or that parse() refuses, always with where it is published and its MD5.
  template <typename Parse>
  auto parse(const PublishedFile& file, bool verify, std::vector<std::string>& warnings,
             Parse&& parse) const {
    try {
      std::string path;
      std::vector<std::uint8_t> bytes = read(file, verify, path, warnings);
      return parse(std::move(bytes), path);
    } catch (const Error& error) {
      throw Error(error.code(), error.what() + provenance(file, error.what()));
    }
  }

 private:
  std::vector<std::uint8_t> read(const PublishedFile& file, bool verify, std::string& path,
                                 std::vector<std::string>& warnings) const;
  // " (Fashion-MNIST, published at ...; t10k-labels-idx1-ubyte.gz has MD5 ...)", the sum unless `message`
  // names it.
  std::string provenance(const PublishedFile& file, const std::string& message) const;

  const PublishedSet& set_;
  std::string folder_;
  bool is_archive_ = false;
  std::map<std::string, std::vector<std::uint8_t>> members_;  // of the archive
};

// The python version of the row's set where that is at the place that data.path names and the other version
// is not; else row.published.
const PublishedSet& version_that_is_there(const DatasetRow& row, const std::string& configured_path);

// "; tools/fetch_data cifar10 downloads it, ...": for the end of a message about missing files. Empty for a
// user's own data.
std::string how_to_get(const DatasetRow& row, const std::string& configured_path);

}  // namespace dpll
