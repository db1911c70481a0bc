#include "data/image_cache.h"

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <system_error>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"

namespace dpll {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFilesKey = "files";
// To be raised when the decoders or the filter give other pixels.
constexpr const char* kVersion = "dpll images 1";

std::string digest_of(const std::vector<ImageFile>& files) {
  Sha256 sha;
  sha.update(kVersion, std::char_traits<char>::length(kVersion));
  for (const ImageFile& file : files) {
    const std::string line = fmt::format("{}\n{} {}\n", file.name, file.bytes, file.changed);
    sha.update(line.data(), line.size());
  }
  return sha.hex();
}

std::string cache_path(const std::string& cache, const std::string& root, int size, int channels) {
  std::error_code error;
  fs::path real = fs::canonical(root, error);
  if (error) real = root;
  const std::string key = fmt::format("{}\n{} {}", real.string(), size, channels);
  constexpr std::size_t kDigits = 16;
  return (fs::path(cache) /
          fmt::format("images-{}.safetensors", sha256_hex(key.data(), key.size()).substr(0, kDigits)))
      .string();
}

// Nothing where there is none, or one of other files. Error(data): damaged.
std::optional<std::vector<std::uint8_t>> load_cache(const std::string& path, const std::string& digest,
                                                    const std::vector<std::int64_t>& shape) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  const SafetensorsFile file = SafetensorsFile::read(path);
  const auto value_of = [&](const char* key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? std::string() : found->second;
  };
  if (value_of(kFilesKey) != digest) return std::nullopt;
  if (value_of(kDigestKey) != file.digest())
    fail(ExitCode::data, "{}: its contents have another SHA-256", path);
  return file.get<std::uint8_t>("images", shape);
}

void save_cache(const std::string& path, const std::string& digest, const std::vector<std::int64_t>& shape,
                const std::vector<std::uint8_t>& pixels) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) fail(ExitCode::run, "cannot create the folder of {}: {}", path, error.message());
  SafetensorsWriter writer;
  writer.add("images", DType::u8, shape, pixels.data());
  writer.set_metadata(kFilesKey, digest);
  writer.set_metadata(kDigestKey, writer.digest());
  writer.write(path);
}

}  // namespace

std::vector<std::uint8_t> cached_images(const std::string& cache, const std::string& root,
                                        const std::vector<ImageFile>& files, int size, int channels,
                                        const LoadReport& report, std::vector<std::string>& warnings) {
  const std::string path = cache.empty() ? "" : cache_path(cache, root, size, channels);
  const std::string digest = digest_of(files);
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(files.size()), size, size, channels};
  const auto say = [&](const std::string& text) {
    if (report.line) report.line(text);
  };
  if (!path.empty()) {
    try {
      if (auto pixels = load_cache(path, digest, shape)) {
        say(fmt::format("{} images from {}, where they were kept", files.size(), path));
        return *std::move(pixels);
      }
    } catch (const Error& error) {
      if (error.code() != ExitCode::data) throw;
      warnings.push_back(fmt::format("{}; the images are decoded anew", error.what()));
    }
  }
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::uint8_t> pixels = decode_images(files, size, channels, report);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  bool kept = false;
  if (!path.empty()) {
    try {
      save_cache(path, digest, shape, pixels);
      kept = true;
    } catch (const Error& error) {
      warnings.push_back(fmt::format("the decoded images are not kept (data.cache): {}", error.what()));
    }
  }
  say(fmt::format("{} images read in {:.1f} s{}", files.size(), seconds,
                  kept ? fmt::format(", kept in {}", path) : ""));
  return pixels;
}

}  // namespace dpll
