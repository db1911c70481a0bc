// NVIDIA's libraries, opened at run time, so that one program starts with and without them. Needs no CUDA
// header. An opened library stays open to the end of the program: NVIDIA's keep threads and exit handlers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

class SharedLibrary {
 public:
  SharedLibrary(std::string path, void* handle) : path_(std::move(path)), handle_(handle) {}

  const std::string& path() const { return path_; }
  // Error(device) naming library and function when it has none of that name.
  template <typename Function>
  void load(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(address(name));
  }

 private:
  void* address(const char* name) const;

  std::string path_;
  void* handle_;
};

// Where libraries are looked for before the loader's own search, best first: the folders of
// DPLL_CUDA_LIBRARIES (colon-separated; of each also the pip wheels' layout nvidia/*/lib below it), then
// those of CUDA_HOME, CONDA_PREFIX and VIRTUAL_ENV, then /usr/local/cuda. Only folders that exist.
std::vector<std::string> library_folders();

// The first of `names` (sonames, best first) that opens: in DPLL_CUDA_LIBRARIES, then as the loader finds it,
// then in the other folders. Error(device), one line: what is missing, why, and how to say where it is.
SharedLibrary open_library(const std::string& what, const std::vector<std::string>& names);

// Opens it if it is there, so that another library finds it by its name.
void preload_library(const std::vector<std::string>& names);

struct LibraryVersion {
  int major = 0, minor = 0, patch = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): of what clang makes of it
  auto operator<=>(const LibraryVersion&) const = default;
  std::string text() const;  // "9.19.0"
};

// Error(device) "cuDNN 8.9.7 (path) is too old: this program needs 9.0.0 or newer, below 10" unless `found`
// has the major version of `least` and is not older.
void require_version(const std::string& what, const SharedLibrary& library, LibraryVersion found,
                     LibraryVersion least);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
