// A folder under TMPDIR or /tmp that exists as long as the object.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "dpll/core/check.h"

namespace dpll::selftest {

class TempFolder {
 public:
  TempFolder() {
    std::error_code error;
    const std::filesystem::path base = std::filesystem::temp_directory_path(error);
    path_ = ((error ? std::filesystem::path("/tmp") : base) / "dpll-selftest-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) {
      fail(ExitCode::run, "cannot make a temporary folder like '{}'; set TMPDIR to one that can be written",
           path_);
    }
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace dpll::selftest
