// [data] dataset = folder: a user's own images as files. data/README.md describes the two layouts.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/folder_labels.h"
#include "data/image_cache.h"
#include "data/image_list.h"
#include "data/readers.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/text.h"

namespace dpll {
namespace {

namespace fs = std::filesystem;

constexpr int kFolderChannels =
    3;  // grey pictures have three equal values, as with torchvision's ImageFolder
constexpr std::size_t kShown = 5;

// Files and labels of the whole set, before anything is decoded.
struct FolderSet {
  std::vector<std::string> classes;
  std::vector<ImageFile> train, test;
  std::vector<std::int32_t> train_labels, test_labels;
  std::vector<std::uint8_t> candidates;  // [train, classes]; empty: none are given
  std::vector<std::string> warnings;
};

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string text_of(const fs::path& path) {
  const std::vector<std::uint8_t> bytes = read_file(path.string());
  return {bytes.begin(), bytes.end()};
}

void warn_of_others(const std::vector<std::string>& others, const fs::path& folder, FolderSet& set) {
  if (others.empty()) return;
  std::vector<std::string> names;
  for (const std::string& name : others) names.push_back(printable(name));
  set.warnings.push_back(fmt::format("{}: {} files are left out, since they are not .png, .jpg or .jpeg: {}",
                                     folder.string(), others.size(), some_of(names, kShown)));
}

// The pictures of part/CLASS/, class by class; of the folders, those in `set.classes` count. Names begin with
// `part`.
void read_class_folders(const fs::path& root, const std::string& part, FolderSet& set,
                        std::vector<ImageFile>& files, std::vector<std::int32_t>& labels) {
  const fs::path folder = root / part;
  std::vector<std::string> others;
  for (const std::string& name : list_folders(folder.string())) {
    const auto found = std::lower_bound(set.classes.begin(), set.classes.end(), name);
    ImageListing listing = list_images((folder / name).string());
    if (found == set.classes.end() || *found != name) {
      if (listing.files.empty()) continue;
      fail(ExitCode::data, "{}: class {} is not known from training{}", folder.string(), printable(name),
           did_you_mean(nearest(name, set.classes)));
    }
    for (ImageFile& file : listing.files) {
      file.name = fmt::format("{}/{}/{}", part, name, file.name);
      files.push_back(std::move(file));
      labels.push_back(static_cast<std::int32_t>(found - set.classes.begin()));
    }
    for (const std::string& other : listing.others) others.push_back(fmt::format("{}/{}", name, other));
  }
  std::error_code ignored;
  std::vector<std::string> stray;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory(ignored) || name.starts_with('.')) continue;
    (is_image_name(name) ? stray : others).push_back(name);
  }
  if (!stray.empty()) {
    std::sort(stray.begin(), stray.end());
    for (std::string& name : stray) name = printable(name);
    fail(ExitCode::data, "{}: {} images lie in no class's folder: {}; expected {}/CLASS/{}", folder.string(),
         stray.size(), some_of(stray, kShown), part, stray[0]);
  }
  std::sort(others.begin(), others.end());
  warn_of_others(others, folder, set);
}

void read_train_folder(const fs::path& root, FolderSet& set) {
  const std::string folder = (root / "train").string();
  set.classes = list_folders(folder);
  for (const std::string& name : set.classes) check_class_name(name, folder);
  if (set.classes.size() < 2) {
    fail(ExitCode::data, "{}: {}; expected a folder of images for each class, at least two", folder,
         set.classes.empty() ? "it holds no folder" : "one class, " + printable(set.classes[0]));
  }
  read_class_folders(root, "train", set, set.train, set.train_labels);
  std::vector<std::string> empty;
  for (std::size_t c = 0; c < set.classes.size(); ++c) {
    if (std::find(set.train_labels.begin(), set.train_labels.end(), static_cast<std::int32_t>(c)) ==
        set.train_labels.end()) {
      empty.push_back(printable(set.classes[c]));
    }
  }
  if (!empty.empty()) {
    fail(ExitCode::data, "{}: no .png, .jpg or .jpeg file in the folder of {}", folder,
         some_of(empty, kMostNamed));
  }
}

// The pictures that labels.csv names, in its order.
void read_labelled_images(const fs::path& root, FolderSet& set) {
  const std::string table = (root / "labels.csv").string(), folder = (root / "images").string();
  if (!is_folder(folder)) fail(ExitCode::data, "{}: no folder images/ beside it", table);
  std::vector<std::string> known;
  const fs::path class_file = root / "classes.txt";
  if (is_there(class_file)) known = parse_class_names(text_of(class_file), class_file.string());
  FolderLabels labels = parse_folder_labels(text_of(table), table, known);
  set.classes = std::move(labels.classes);

  ImageListing listing = list_images(folder);
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < listing.files.size(); ++i) places[listing.files[i].name] = i;
  std::vector<std::string> missing;
  std::vector<bool> used(listing.files.size());
  for (const FolderLabels::Row& row : labels.rows) {
    const auto found = places.find(fs::path(row.file).lexically_normal().string());
    if (found == places.end()) {
      missing.push_back(fmt::format("{} (line {})", printable(row.file), row.line));
      continue;
    }
    used[found->second] = true;
    set.train.push_back(listing.files[found->second]);
    set.train_labels.push_back(row.label);
  }
  if (!missing.empty()) {
    fail(ExitCode::data, "{}: {} of {} files are not in {}, or are not .png, .jpg or .jpeg: {}", table,
         missing.size(), labels.rows.size(), folder, some_of(missing, kMostNamed));
  }
  std::vector<std::string> unnamed;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) unnamed.push_back(printable(listing.files[i].name));
  }
  if (!unnamed.empty()) {
    set.warnings.push_back(fmt::format("{}: {} images in {} have no row and are left out: {}", table,
                                       unnamed.size(), folder, some_of(unnamed, kShown)));
  }
  if (!labels.has_labels) set.train_labels.clear();
  if (!labels.has_candidates) return;
  const std::size_t classes = set.classes.size();
  set.candidates.assign(labels.rows.size() * classes, 0);
  for (std::size_t i = 0; i < labels.rows.size(); ++i) {
    std::uint8_t* row = &set.candidates[i * classes];
    if (labels.rows[i].candidates.empty()) std::fill_n(row, classes, std::uint8_t{1});
    for (const int label : labels.rows[i].candidates) row[label] = 1;
  }
}

FolderSet list_folder(const fs::path& root) {
  FolderSet set;
  if (!is_folder(root)) fail(ExitCode::data, "data.path: {} is not a folder", root.string());
  const bool by_class = is_folder(root / "train"), by_table = is_there(root / "labels.csv");
  if (by_class && by_table) {
    fail(ExitCode::data, "{}: it has both train/ and labels.csv; expected one of the two", root.string());
  }
  if (by_class) {
    read_train_folder(root, set);
  } else if (by_table) {
    read_labelled_images(root, set);
  } else {
    fail(ExitCode::data,
         "{}: expected a folder train/ with a folder of images for each class, or a folder images/ and a "
         "table labels.csv with the columns file,label,candidates",
         root.string());
  }
  if (is_folder(root / "test")) read_class_folders(root, "test", set, set.test, set.test_labels);
  return set;
}

ImageSet images_of(std::vector<std::uint8_t> pixels, std::size_t count, int size,
                   std::vector<std::int32_t> labels) {
  return {.count = static_cast<std::int64_t>(count),
          .height = size,
          .width = size,
          .channels = kFolderChannels,
          .pixels = std::move(pixels),
          .labels = std::move(labels)};
}

// The first images in the order of the classes may be all of the first class.
void warn_of_limit(const RunConfig::Data& keys, DataSet& data) {
  const auto limit = static_cast<std::size_t>(keys.train_limit);
  if (limit == 0 || limit >= data.train.labels.size()) return;
  std::vector<std::string> without;
  const auto end = data.train.labels.begin() + static_cast<std::ptrdiff_t>(limit);
  for (std::size_t c = 0; c < data.class_names.size(); ++c) {
    if (std::find(data.train.labels.begin(), end, static_cast<std::int32_t>(c)) == end) {
      without.push_back(printable(data.class_names[c]));
    }
  }
  if (without.empty()) return;
  data.warnings.push_back(fmt::format("the first {} images (data.train_limit) have none with the label {}",
                                      limit, some_of(without, kShown)));
}

}  // namespace

DataSet read_image_folder(const DatasetRow&, const RunConfig& config, const LoadReport& report) {
  const RunConfig::Data& keys = config.data;
  FolderSet set = list_folder(keys.path);
  std::vector<ImageFile> all = set.train;
  all.insert(all.end(), set.test.begin(), set.test.end());
  std::vector<std::uint8_t> pixels =
      cached_images(keys.cache, keys.path, all, keys.size, kFolderChannels, report, set.warnings);
  const auto cut =
      pixels.begin() + static_cast<std::ptrdiff_t>(pixels.size() / all.size() * set.train.size());
  std::vector<std::uint8_t> of_test(cut, pixels.end());
  pixels.erase(cut, pixels.end());

  DataSet data;
  for (const ImageFile& file : set.train) data.files.push_back(file.name);
  data.class_names = std::move(set.classes);
  data.train = images_of(std::move(pixels), set.train.size(), keys.size, std::move(set.train_labels));
  data.test = images_of(std::move(of_test), set.test.size(), keys.size, std::move(set.test_labels));
  if (!set.candidates.empty()) data.candidates = std::move(set.candidates);
  data.warnings = std::move(set.warnings);
  warn_of_limit(keys, data);
  if (set.test.empty() && keys.validation_fraction == 0) {
    data.warnings.push_back(
        fmt::format("{} has no test/ with a folder of images for each class, so there is no test accuracy; "
                    "data.validation_fraction = 0.1 holds out a tenth of the labelled images to measure with",
                    keys.path));
  }
  return data;
}

}  // namespace dpll
