#include "data/folder_labels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "dpll/core/check.h"
#include "io/csv.h"
#include "io/text.h"
#include "io/text_lines.h"

namespace dpll {
namespace {

constexpr std::array<const char*, 3> kColumns = {"file", "label", "candidates"};
constexpr std::size_t kMostFolderClasses = 65536;

bool is_class_name(std::string_view name) {
  return is_utf8(name) && std::none_of(name.begin(), name.end(), is_control);
}

class LabelReader {
 public:
  LabelReader(std::string_view text, const std::string& path, const std::vector<std::string>& known)
      : lines_(text, path), path_(path), known_(known) {}

  FolderLabels read() {
    read_columns();
    while (lines_.next(line_)) {
      ++number_;
      if (!trim(line_).empty()) read_row();
    }
    if (rows_.empty()) fail(ExitCode::data, "{}: no picture is named behind the first line", path_);
    return finish();
  }

 private:
  struct Names {
    std::string label;
    std::vector<std::string> candidates;
  };

  // Spreadsheets fill up rows: empty fields beyond `least` do not count.
  std::vector<std::string> fields_of_line(std::size_t least) {
    std::optional<std::vector<std::string>> fields = csv_fields(line_);
    if (!fields) {
      lines_.reject("\"{}\": a quote is not closed, or stands within a field", printable(line_));
    }
    for (std::string& field : *fields) field = std::string(trim(field));
    while (fields->size() > least && fields->back().empty()) fields->pop_back();
    return *std::move(fields);
  }

  void read_columns() {
    if (!lines_.next(line_)) lines_.reject("the file is empty; expected the columns file,label,candidates");
    number_ = 1;
    columns_ = fields_of_line(1);
    for (const std::string& column : columns_) {
      if (std::find(kColumns.begin(), kColumns.end(), column) == kColumns.end()) {
        lines_.reject("unknown column \"{}\"; expected file, label and candidates", printable(column));
      }
      if (std::count(columns_.begin(), columns_.end(), column) > 1) {
        lines_.reject("column \"{}\" stands twice", column);
      }
    }
    const auto has = [&](const char* column) {
      return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
    };
    if (!has("file") || columns_.size() < 2) {
      lines_.reject("\"{}\" are not the columns; expected file, and label or candidates or both",
                    printable(line_));
    }
  }

  void read_row() {
    const std::vector<std::string> fields = fields_of_line(columns_.size());
    if (fields.size() != columns_.size()) {
      lines_.reject("{} fields, expected {}: {}", fields.size(), columns_.size(), fmt::join(columns_, ","));
    }
    FolderLabels::Row& row = rows_.emplace_back();
    Names& names = names_.emplace_back();
    row.line = number_;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (columns_[i] == "file") {
        row.file = fields[i];
      } else if (columns_[i] == "label") {
        names.label = fields[i];
      } else if (!fields[i].empty()) {
        names.candidates = split_set(fields[i]);
      }
    }
    check_file(row);
    if (names.label.find('|') != std::string::npos) {
      lines_.reject("label \"{}\" holds |, which separates candidates; expected one class name",
                    printable(names.label));
    }
    if (!names.label.empty()) take_class(names.label);
    for (const std::string& name : names.candidates) take_class(name);
  }

  void check_file(const FolderLabels::Row& row) {
    if (row.file.empty()) lines_.reject("no file is named");
    const std::filesystem::path normal = std::filesystem::path(row.file).lexically_normal();
    if (normal.is_absolute() || *normal.begin() == ".." || row.file.find('\0') != std::string::npos) {
      lines_.reject("\"{}\" lies outside of images/; expected a name relative to it", printable(row.file));
    }
    const auto [first, is_new] = lines_of_files_.emplace(normal.string(), row.line);
    if (!is_new) lines_.reject("\"{}\" is named in line {} already", printable(row.file), first->second);
  }

  std::vector<std::string> split_set(std::string_view text) {
    std::vector<std::string> names;
    while (true) {
      const std::size_t bar = text.find('|');
      const std::string name(trim(text.substr(0, bar)));
      if (name.empty()) lines_.reject("a candidate without a name: \"{}\"", printable(text));
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        lines_.reject("candidate \"{}\" stands twice", printable(name));
      }
      names.push_back(name);
      if (bar == std::string_view::npos) return names;
      text.remove_prefix(bar + 1);
    }
  }

  void take_class(const std::string& name) {
    if (!is_class_name(name)) lines_.reject("\"{}\" is not a class name in UTF-8", printable(name));
    if (!known_.empty() && !std::binary_search(known_.begin(), known_.end(), name)) {
      lines_.reject("unknown class \"{}\"{}", printable(name), did_you_mean(nearest(name, known_)));
    }
    found_.insert(name);
    if (found_.size() > kMostFolderClasses) lines_.reject("more than {} classes", kMostFolderClasses);
  }

  FolderLabels finish() {
    FolderLabels labels;
    labels.classes = known_.empty() ? std::vector<std::string>(found_.begin(), found_.end()) : known_;
    if (found_.empty()) {
      fail(ExitCode::data, "{}: nothing to learn from: neither labels nor candidates are given", path_);
    }
    if (labels.classes.size() < 2) {
      fail(ExitCode::data, "{}: one class, {}; at least two are needed", path_, printable(labels.classes[0]));
    }
    const auto index_of = [&](const std::string& name) {
      return static_cast<int>(std::lower_bound(labels.classes.begin(), labels.classes.end(), name) -
                              labels.classes.begin());
    };
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!names_[i].label.empty()) rows_[i].label = index_of(names_[i].label);
      for (const std::string& name : names_[i].candidates) rows_[i].candidates.push_back(index_of(name));
      labels.has_labels = labels.has_labels || rows_[i].label >= 0;
      labels.has_candidates = labels.has_candidates || !rows_[i].candidates.empty();
    }
    labels.rows = std::move(rows_);
    return labels;
  }

  TextLines lines_;
  const std::string& path_;
  const std::vector<std::string>& known_;
  std::string_view line_;
  int number_ = 0;
  std::vector<std::string> columns_;
  std::vector<FolderLabels::Row> rows_;
  std::vector<Names> names_;
  std::map<std::string, int> lines_of_files_;
  std::set<std::string> found_;
};

}  // namespace

FolderLabels parse_folder_labels(std::string_view text, const std::string& path,
                                 const std::vector<std::string>& known) {
  return LabelReader(text, path, known).read();
}

std::vector<std::string> parse_class_names(std::string_view text, const std::string& path) {
  TextLines lines(text, path);
  std::set<std::string> names;
  for (std::string_view line; lines.next(line);) {
    line = trim(line);
    if (line.empty()) continue;
    if (!is_class_name(line)) lines.reject("\"{}\" is not a class name in UTF-8", printable(line));
    if (!names.emplace(line).second) lines.reject("\"{}\" stands twice", printable(line));
    if (names.size() > kMostFolderClasses) lines.reject("more than {} classes", kMostFolderClasses);
  }
  if (names.size() < 2)
    fail(ExitCode::data, "{}: {} class names, at least two are needed", path, names.size());
  return {names.begin(), names.end()};
}

void check_class_name(std::string_view name, const std::string& where) {
  if (is_class_name(name)) return;
  fail(ExitCode::data, "{}: \"{}\" is not a class name in UTF-8; rename the folder", where, printable(name));
}

}  // namespace dpll
