#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/csv.h"
#include "io/text.h"
#include "io/text_lines.h"

namespace dpll {
namespace {

constexpr std::string_view kMagic = "# dpll candidates, classes = ";

using Fields = std::vector<std::string>;
const Fields kColumns = {"sample", "candidates"};
const Fields kColumnsOfPart = {"sample", "position", "candidates"};

// The whole file: `sets` of `samples`.
struct FileSets {
  CandidateSets sets;
  std::vector<std::int64_t> samples;
  bool has_positions = false;
};

class Reader {
 public:
  Reader(std::string_view text, const std::string& path, std::int64_t most_samples, int classes)
      : lines_(text, path), path_(path), most_samples_(most_samples), classes_(classes) {}

  FileSets read() {
    const std::string hash = read_first_line();
    const Fields columns = next_row("the columns");
    file_.has_positions = columns == kColumnsOfPart;
    if (!file_.has_positions && columns != kColumns) {
      lines_.reject("\"{}\" are not the columns; expected \"sample,candidates\"", printable(line_));
    }
    for (std::int64_t i = 0; i < file_.sets.count; ++i) {
      read_row(next_row(fmt::format("row {} of {}", i + 1, file_.sets.count)), i);
    }
    if (lines_.next(line_)) {
      lines_.reject("\"{}\" after the last of {} samples", printable(line_), file_.sets.count);
    }
    if (!hash.empty() && candidates_sha256(file_.sets) != hash) {
      fail(ExitCode::data,
           "{}: the sets do not have the SHA-256 of line 1 ({}...): the file is damaged or was edited", path_,
           hash.substr(0, 16));
    }
    return std::move(file_);
  }

 private:
  // Spreadsheets fill short rows with empty fields at the end; these are ignored, except one after "sample,".
  Fields next_row(const std::string& what) {
    if (!lines_.next(line_)) lines_.reject("the file ends where {} should follow", what);
    std::optional<Fields> fields = csv_fields(line_);
    if (!fields) {
      lines_.reject("\"{}\": a quote is not closed, or stands within a field", printable(line_));
    }
    while (fields->size() > 2 && fields->back().empty()) fields->pop_back();
    return *std::move(fields);
  }

  static bool skip(std::string_view& text, std::string_view expected) {
    if (text.substr(0, expected.size()) != expected) return false;
    text.remove_prefix(expected.size());
    return true;
  }

  // Reads the digits at the start of `text`; false if there are none or too many.
  static bool skip_number(std::string_view& text, std::int64_t& number) {
    if (text.empty() || text[0] < '0' || text[0] > '9') return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  }

  static bool is_number(std::string_view text, std::int64_t& number) {
    return skip_number(text, number) && text.empty();
  }

  // Checks the numbers of classes and samples; returns the hash, or "" if the line has none.
  std::string read_first_line() {
    const Fields fields = next_row("the first line of a candidate file");
    const std::string line = fmt::format("{}", fmt::join(fields, ","));
    std::string_view text = line;
    std::int64_t classes = 0, count = 0;
    bool good = skip(text, kMagic) && skip_number(text, classes) && skip(text, ", count = ") &&
                skip_number(text, count);
    std::string hash;
    if (good && !text.empty()) {
      good = skip(text, ", sha256 = ") && text.size() == 64 &&
             text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
      hash = text;
    }
    if (!good) {
      lines_.reject(
          "\"{}\" is not the first line of a candidate file; expected \"{}C, count = N, sha256 = H\"",
          printable(line_), kMagic);
    }
    if (classes != classes_) {
      lines_.reject("the sets are for {} classes, the data set has {}", classes, classes_);
    }
    if (count > most_samples_) {
      lines_.reject("the sets are for {} samples, the data set has {}", count, most_samples_);
    }
    file_.sets = CandidateSets(count, classes_);
    return hash;
  }

  void read_row(const Fields& fields, std::int64_t row) {
    const std::size_t columns = file_.has_positions ? 3 : 2;
    std::int64_t sample = 0, position = 0;
    if (fields.size() < columns || !is_number(fields[0], sample) ||
        (file_.has_positions && !is_number(fields[1], position))) {
      lines_.reject("\"{}\" is not a row; expected the sample, a comma{} and labels separated by spaces",
                    printable(line_), file_.has_positions ? ", its position, a comma" : "");
    }
    if (row > 0 && sample <= file_.samples.back()) {
      lines_.reject("sample {} after sample {}; samples must be in ascending order, each once", sample,
                    file_.samples.back());
    }
    if (sample >= most_samples_) {
      lines_.reject("sample {} is not in the data set, whose {} samples count from 0", sample, most_samples_);
    }
    if (fields.size() > columns) {
      lines_.reject(
          "sample {}: \"{}\" after the labels; expected them in one field, separated by single spaces",
          sample, printable(fields[columns]));
    }
    file_.samples.push_back(sample);
    read_labels(fields[columns - 1], row, sample);
  }

  void read_labels(std::string_view text, std::int64_t row, std::int64_t sample) {
    if (text.empty()) {
      lines_.reject(
          "sample {} has no candidate label; every sample needs one. Where nothing is known, all labels are "
          "candidates",
          sample);
    }
    for (;;) {
      std::int64_t label = 0;
      if (!skip_number(text, label)) {
        lines_.reject("sample {}: \"{}\" is not a label; expected labels separated by single spaces", sample,
                      printable(text));
      }
      if (label >= classes_) {
        lines_.reject(
            "sample {}: label {} is out of range; expected 0 to {}{}", sample, label, classes_ - 1,
            label == classes_ && !has_label_0_ ? "; do the labels start at 1? They count from 0" : "");
      }
      if (file_.sets.contains(row, static_cast<int>(label))) {
        lines_.reject("sample {}: label {} stands twice", sample, label);
      }
      has_label_0_ = has_label_0_ || label == 0;
      file_.sets.insert(row, static_cast<int>(label));
      if (text.empty()) return;
      if (!skip(text, " ")) {
        lines_.reject("sample {}: \"{}\" after label {}; expected labels separated by single spaces", sample,
                      printable(text), label);
      }
    }
  }

  TextLines lines_;
  const std::string& path_;
  const std::int64_t most_samples_;
  const int classes_;
  std::string_view line_;
  FileSets file_;
  bool has_label_0_ = false;
};

// The rows of the samples `wanted`.
std::vector<std::int64_t> rows_of(const FileSets& file, const std::vector<std::int64_t>& wanted,
                                  std::int64_t source_count, const std::string& path) {
  std::vector<std::int64_t> rows;
  for (const std::int64_t sample : wanted) {
    const auto found = std::lower_bound(file.samples.begin(), file.samples.end(), sample);
    if (found != file.samples.end() && *found == sample) {
      rows.push_back(found - file.samples.begin());
      continue;
    }
    // The wanted indices are not 0, 1, 2, ... So a file with 0, 1, 2, ... of the same length cannot contain
    // indices of the source.
    if (!file.has_positions && file.samples.size() == wanted.size() && counts_from_zero(file.samples)) {
      rows.resize(wanted.size());
      std::iota(rows.begin(), rows.end(), 0);
      return rows;
    }
    fail(
        ExitCode::data,
        "{}: sample {} has no set: the file has those of {} samples{}, training takes {} of {}; every sample "
        "needs a set. Where nothing is known, all labels are candidates",
        path, sample, file.samples.size(),
        file.samples.empty() ? "" : fmt::format(" from {} to {}", file.samples.front(), file.samples.back()),
        wanted.size(), source_count);
  }
  return rows;
}

}  // namespace

bool counts_from_zero(const std::vector<std::int64_t>& samples) {
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (samples[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

void write_candidates(const std::string& path, const CandidateSets& sets,
                      const std::vector<std::int64_t>& samples) {
  DPLL_CHECK(static_cast<std::int64_t>(samples.size()) == sets.count, "{} sets of {} samples", sets.count,
             samples.size());
  const bool positions = !counts_from_zero(samples);
  std::string text = fmt::format("{}{}, count = {}, sha256 = {}\n", kMagic, sets.classes, sets.count,
                                 candidates_sha256(sets));
  text += csv_line(positions ? kColumnsOfPart : kColumns);
  for (std::int64_t i = 0; i < sets.count; ++i) {
    std::string labels;
    for (int c = 0; c < sets.classes; ++c) {
      if (sets.contains(i, c)) labels += (labels.empty() ? "" : " ") + std::to_string(c);
    }
    DPLL_CHECK(!labels.empty(), "sample {} has no candidate label", i);
    Fields fields = {std::to_string(samples[static_cast<std::size_t>(i)])};
    if (positions) fields.push_back(std::to_string(i));
    fields.push_back(std::move(labels));
    text += csv_line(fields);
  }
  write_file_atomically(path, text);
}

void write_candidates(const std::string& path, const CandidateSets& sets) {
  std::vector<std::int64_t> samples(static_cast<std::size_t>(sets.count));
  std::iota(samples.begin(), samples.end(), 0);
  write_candidates(path, sets, samples);
}

CandidateSets read_candidates(const std::string& path, const std::vector<std::int64_t>& wanted,
                              std::int64_t source_count, int classes) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  const std::string text(bytes.begin(), bytes.end());
  const FileSets file = Reader(text, path, source_count, classes).read();
  const std::vector<std::int64_t> rows = rows_of(file, wanted, source_count, path);
  CandidateSets sets(static_cast<std::int64_t>(wanted.size()), classes);
  auto to = sets.words.begin();
  for (const std::int64_t row : rows) {
    to = std::copy_n(file.sets.words.begin() + row * sets.words_per_row, sets.words_per_row, to);
  }
  return sets;
}

CandidateSets read_candidates(const std::string& path, std::int64_t count, int classes) {
  std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
  std::iota(samples.begin(), samples.end(), 0);
  return read_candidates(path, samples, count, classes);
}

}  // namespace dpll
