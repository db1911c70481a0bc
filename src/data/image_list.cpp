#include "data/image_list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "data/image_file.h"
#include "data/image_resize.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/text.h"

namespace dpll {
namespace {

namespace fs = std::filesystem;

// Without hidden ones, by name.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!at->path().filename().string().starts_with('.')) entries.push_back(*at);
  }
  if (error) fail(ExitCode::data, "cannot read the folder {}: {}", folder.string(), error.message());
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.path().filename().string() < b.path().filename().string();
  });
  return entries;
}

ImageFile describe(const fs::directory_entry& entry, const std::string& name, fs::file_status status) {
  ImageFile file{.name = name, .path = entry.path().string()};
  std::error_code error;
  if (status.type() == fs::file_type::not_found || status.type() == fs::file_type::none) {
    entry.status(error);
    file.problem = error ? error.message() : "a link to a file that is not there";
    return file;
  }
  if (status.type() != fs::file_type::regular) {
    file.problem = "not an ordinary file";
    return file;
  }
  file.bytes = entry.file_size(error);
  if (!error) file.changed = entry.last_write_time(error).time_since_epoch().count();
  if (error) file.problem = error.message();
  return file;
}

// `above`: the real paths of the folders on the way down.
void collect(const fs::path& folder, const std::string& prefix, std::vector<fs::path>& above,
             ImageListing& listing) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (error) fail(ExitCode::data, "cannot read the folder {}: {}", folder.string(), error.message());
  if (std::find(above.begin(), above.end(), real) != above.end()) {
    fail(ExitCode::data, "{}: this link leads back to {}, a folder that it lies in; remove the link",
         folder.string(), real.string());
  }
  above.push_back(real);
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const std::string name = prefix + entry.path().filename().string();
    const fs::file_status status = entry.status(error);
    if (status.type() == fs::file_type::directory) {
      collect(entry.path(), name + "/", above, listing);
    } else if (is_image_name(name)) {
      listing.files.push_back(describe(entry, name, status));
    } else {
      listing.others.push_back(name);
    }
  }
  above.pop_back();
}

// A picture of 64 million pixels of 24 bits, as image_file.h allows, and what is around them.
constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 28;

// Beyond these a picture is decoded while no other is.
constexpr std::uint64_t kLargeFile = std::uint64_t{1} << 24;
constexpr std::int64_t kLargePicture = std::int64_t{1} << 22;

void decode_into(std::uint8_t* to, const std::vector<std::uint8_t>& bytes, const ImageFile& file, int size,
                 int channels) {
  const ImageSet fitted = fit_image(decode_image(bytes, file.name, channels), size);
  std::copy(fitted.pixels.begin(), fitted.pixels.end(), to);
}

// Why the picture cannot be read; empty when its pixels are at `to`. Error of another kind: too little
// memory.
std::string decode(const ImageFile& file, int size, int channels, std::uint8_t* to) {
  if (!file.problem.empty()) return fmt::format("{}: {}", file.name, file.problem);
  if (file.bytes > kMostFileBytes) {
    return fmt::format("{}: {} bytes; at most {} are read", file.name, file.bytes, kMostFileBytes);
  }
  try {
    if (file.bytes <= kLargeFile) {
      const std::vector<std::uint8_t> bytes = read_file(file.path);
      if (announced_pixels(bytes) <= kLargePicture) {
        decode_into(to, bytes, file, size, channels);
        return "";
      }
    }
    std::string problem;
    std::exception_ptr failed;
#pragma omp critical(dpll_large_picture)
    {
      try {
        decode_into(to, read_file(file.path), file, size, channels);
      } catch (const Error& error) {
        problem = error.what();
      } catch (...) {
        failed = std::current_exception();
      }
    }
    if (failed) std::rethrow_exception(failed);
    return problem;
  } catch (const Error& error) {
    return error.what();
  }
}

int thread_count(int asked) {
#if defined(_OPENMP)
  return asked > 0 ? std::min(asked, omp_get_thread_limit()) : omp_get_max_threads();
#else
  return std::max(asked, 1);
#endif
}

}  // namespace

bool is_image_name(const std::string& name) {
  std::string extension = fs::path(name).extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

std::string some_of(const std::vector<std::string>& names, std::size_t most) {
  if (names.size() <= most) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more",
                     fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(most), ", "),
                     names.size() - most);
}

ImageListing list_images(const std::string& folder) {
  ImageListing listing;
  std::vector<fs::path> above;
  collect(folder, "", above, listing);
  return listing;
}

std::vector<std::string> list_folders(const std::string& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    std::error_code ignored;
    if (entry.is_directory(ignored)) names.push_back(entry.path().filename().string());
  }
  return names;
}

std::vector<std::uint8_t> decode_images(const std::vector<ImageFile>& files, int size, int channels,
                                        const LoadReport& report) {
  const auto image_bytes =
      static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * static_cast<std::size_t>(channels);
  std::vector<std::uint8_t> pixels(files.size() * image_bytes);
  std::vector<std::string> problems(files.size());
  const int threads = thread_count(report.threads);
  // Between two chunks the user hears how far it is, and may have asked for a stop.
  constexpr std::size_t kOfEachThread = 16;
  const std::size_t chunk = kOfEachThread * static_cast<std::size_t>(threads);
  for (std::size_t begin = 0; begin < files.size(); begin += chunk) {
    if (report.status) report.status(fmt::format("reading images: {} of {}", begin, files.size()));
    const std::size_t end = std::min(files.size(), begin + chunk);
    std::exception_ptr failed;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (std::size_t i = begin; i < end; ++i) {
      try {
        problems[i] = decode(files[i], size, channels, &pixels[i * image_bytes]);
      } catch (...) {
#pragma omp critical(dpll_decode_failed)
        failed = std::current_exception();
      }
    }
    if (failed) std::rethrow_exception(failed);
  }
  std::erase(problems, "");
  if (problems.empty()) return pixels;
  const std::size_t named = std::min(problems.size(), kMostNamed);
  fail(ExitCode::data, "{} of {} images cannot be read: {}{}", problems.size(), files.size(),
       fmt::join(problems.begin(), problems.begin() + static_cast<std::ptrdiff_t>(named), "; "),
       named < problems.size() ? fmt::format("; and {} more", problems.size() - named) : "");
}

}  // namespace dpll
