// labels.csv of a folder of images: which picture has which label and which candidate labels.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dpll {

struct FolderLabels {
  struct Row {
    std::string file;         // as written, relative to images/
    int line = 0;             // of the table
    std::int32_t label = -1;  // -1: not given
    std::vector<int>
        candidates;  // in the order of the table; empty: not given, so that every label may be the true one
  };
  std::vector<std::string> classes;  // sorted
  std::vector<Row> rows;
  bool has_labels = false, has_candidates = false;  // is any given?
};

// A first line with the columns file, label and candidates in any order (label or candidates may be left
// out), then a row a picture; the class names of a candidate set are separated by |. `known`: the class names
// where they are listed elsewhere, else empty: then all names in the table are the classes. Error(data) with
// the line: other columns, a row that is not whole, a file outside of images/ or named twice, a name that is
// not among `known` (with the nearest) or twice in a set, fewer than two classes, nothing but file names.
FolderLabels parse_folder_labels(std::string_view text, const std::string& path,
                                 const std::vector<std::string>& known);

// The class names of a text file, one a line, sorted. Error(data): not UTF-8, one twice, fewer than two.
std::vector<std::string> parse_class_names(std::string_view text, const std::string& path);

// Error(data) where `name`, which `where` gives, cannot be a class's: control characters, bytes that are not
// UTF-8.
void check_class_name(std::string_view name, const std::string& where);

}  // namespace dpll
