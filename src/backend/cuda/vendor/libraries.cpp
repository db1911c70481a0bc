#include "backend/cuda/vendor/libraries.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

namespace fs = std::filesystem;

namespace {

void add_folder(std::vector<std::string>& folders, const fs::path& folder) {
  std::error_code ignored;
  if (!folder.is_absolute() || !fs::is_directory(folder, ignored)) return;
  if (std::find(folders.begin(), folders.end(), folder.string()) == folders.end()) {
    folders.push_back(folder.string());
  }
}

// site-packages/nvidia/cudnn/lib and its sisters.
void add_wheel_folders(std::vector<std::string>& folders, const fs::path& site_packages) {
  std::error_code error;
  std::vector<fs::path> wheels;
  for (fs::directory_iterator entry(site_packages / "nvidia", error), end; !error && entry != end;
       entry.increment(error)) {
    wheels.push_back(entry->path() / "lib");
  }
  std::sort(wheels.begin(), wheels.end());
  for (const fs::path& wheel : wheels) add_folder(folders, wheel);
}

std::vector<std::string> named_folders() {
  std::vector<std::string> folders;
  const char* const list = std::getenv("DPLL_CUDA_LIBRARIES");
  std::string_view rest = list == nullptr ? "" : list;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string folder(rest.substr(0, colon));
    rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
    add_folder(folders, folder);
    add_wheel_folders(folders, folder);
  }
  return folders;
}

// The libraries of all wheels of a Python environment.
void add_python_folders(std::vector<std::string>& folders, const fs::path& prefix) {
  std::error_code error;
  for (fs::directory_iterator entry(prefix / "lib", error), end; !error && entry != end;
       entry.increment(error)) {
    if (!entry->path().filename().string().starts_with("python")) continue;
    add_wheel_folders(folders, entry->path() / "site-packages");
    add_wheel_folders(folders, entry->path() / "dist-packages");
  }
}

// The environment of the python3 that a shell would start. Its link is not followed: in a virtual environment
// python3 is a link to the system's, and the environment is where the link lies.
fs::path python_prefix() {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const fs::path folder(std::string(rest.substr(0, colon)));
    rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
    std::error_code ignored;
    if (folder.is_absolute() && fs::exists(folder / "python3", ignored)) return folder.parent_path();
  }
  return {};
}

std::vector<std::string> usual_folders() {
  std::vector<std::string> folders;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX", "VIRTUAL_ENV"}) {
    const char* const root = std::getenv(variable);
    if (root == nullptr || *root == '\0') continue;
    add_folder(folders, fs::path(root) / "lib64");
    add_folder(folders, fs::path(root) / "lib");
    add_python_folders(folders, root);
  }
  const fs::path python = python_prefix();
  if (!python.empty()) add_python_folders(folders, python);
  const char* const home = std::getenv("HOME");  // pip install --user
  if (home != nullptr) add_python_folders(folders, fs::path(home) / ".local");
  add_folder(folders, "/usr/local/cuda/lib64");
  return folders;
}

std::string loader_error() {
  const char* const text = dlerror();
  return text == nullptr ? "unknown reason" : text;
}

struct Attempt {
  void* handle = nullptr;
  std::string path;
  std::string broken;  // the loader's reason for the first file that is there but does not open
};

void try_folders(Attempt& attempt, const std::vector<std::string>& folders,
                 const std::vector<std::string>& names) {
  for (const std::string& folder : folders) {
    for (const std::string& name : names) {
      const std::string path = (fs::path(folder) / name).string();
      std::error_code ignored;
      if (attempt.handle != nullptr || !fs::exists(path, ignored)) continue;
      attempt.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
      attempt.path = path;
      if (attempt.handle == nullptr && attempt.broken.empty()) attempt.broken = loader_error();
    }
  }
}

Attempt try_open(const std::vector<std::string>& names) {
  Attempt attempt;
  try_folders(attempt, named_folders(), names);
  for (const std::string& name : names) {
    if (attempt.handle != nullptr) break;
    attempt.handle = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
    attempt.path = name;
  }
  try_folders(attempt, usual_folders(), names);
  return attempt;
}

}  // namespace

void* SharedLibrary::address(const char* name) const {
  void* const found = dlsym(handle_, name);
  if (found == nullptr)
    fail(ExitCode::device, "{} has no function {}: it is too old or damaged", path_, name);
  return found;
}

std::vector<std::string> library_folders() {
  std::vector<std::string> folders = named_folders();
  for (const std::string& folder : usual_folders()) add_folder(folders, folder);
  return folders;
}

SharedLibrary open_library(const std::string& what, const std::vector<std::string>& names) {
  const Attempt attempt = try_open(names);
  if (attempt.handle == nullptr) {
    const std::vector<std::string> folders = library_folders();
    const std::string reason =
        attempt.broken.empty()
            ? fmt::format("found no {} by the loader or in {}", fmt::join(names, " or "),
                          folders.empty() ? "any usual folder" : fmt::format("{}", fmt::join(folders, ", ")))
            : attempt.broken;
    fail(ExitCode::device,
         "device = cuda needs {}: {}. Install it, or name its folder in the environment variable "
         "DPLL_CUDA_LIBRARIES",
         what, reason);
  }
  return {attempt.path, attempt.handle};
}

void preload_library(const std::vector<std::string>& names) {
  try_open(names);
}

std::string LibraryVersion::text() const {
  return fmt::format("{}.{}.{}", major, minor, patch);
}

void require_version(const std::string& what, const SharedLibrary& library, LibraryVersion found,
                     LibraryVersion least) {
  if (found.major == least.major && found >= least) return;
  fail(ExitCode::device, "{} {} ({}) is too {}: this program needs {} or newer, below {}", what, found.text(),
       library.path(), found < least ? "old" : "new", least.text(), least.major + 1);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
