#include <charconv>
#include <string_view>
#include <system_error>

#include "config/text.h"
#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/files.h"

namespace dpll {
namespace {

constexpr std::string_view kMagic = "# dpll candidates, classes = ";
constexpr std::string_view kColumns = "sample,candidates";

class Reader {
 public:
  Reader(std::string_view text, const std::string& path, std::int64_t expected_count, int expected_classes)
      : rest_(text), path_(path), sets_(expected_count, expected_classes) {}

  CandidateSets read() {
    const std::string hash = read_first_line();
    if (next_line("the columns") != kColumns) reject("expected the columns \"{}\"", kColumns);
    for (std::int64_t i = 0; i < sets_.count; ++i) {
      read_row(next_line(fmt::format("sample {} of {}", i, sets_.count)), i);
    }
    if (!rest_.empty()) {
      ++line_;
      reject("there is text after the last of {} samples", sets_.count);
    }
    if (!hash.empty() && candidates_sha256(sets_) != hash) {
      fail(ExitCode::data,
           "{}: the sets do not have the SHA-256 of line 1 ({}...): the file is damaged or was edited", path_,
           hash.substr(0, 16));
    }
    return std::move(sets_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ExitCode::data, "{}:{}: {}", path_, line_, fmt::format(format, std::forward<Args>(args)...));
  }

  // Without its LF or CRLF.
  std::string_view next_line(const std::string& what) {
    ++line_;
    if (rest_.empty()) reject("the file ends where {} should follow", what);
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
  }

  static bool skip(std::string_view& text, std::string_view expected) {
    if (text.substr(0, expected.size()) != expected) return false;
    text.remove_prefix(expected.size());
    return true;
  }

  // Digits at the start of `text`; false when there are none or too many.
  static bool skip_number(std::string_view& text, std::int64_t& number) {
    if (text.empty() || text[0] < '0' || text[0] > '9') return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  }

  // Checks class and sample count; returns the hash, "" when the line has none.
  std::string read_first_line() {
    const std::string_view line = next_line("the first line of a candidate file");
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
      reject("\"{}\" is not the first line of a candidate file; expected \"{}C, count = N, sha256 = H\"",
             printable(line), kMagic);
    }
    if (classes != sets_.classes)
      reject("the sets are for {} classes, the data set has {}", classes, sets_.classes);
    if (count != sets_.count) reject("the sets are for {} samples, the data set has {}", count, sets_.count);
    return hash;
  }

  void read_row(std::string_view text, std::int64_t expected_sample) {
    const std::string_view line = text;
    std::int64_t sample = 0;
    if (!skip_number(text, sample) || !skip(text, ",")) {
      reject("\"{}\" is not a row; expected the sample, a comma and labels separated by spaces",
             printable(line));
    }
    if (sample != expected_sample) {
      reject("sample {} where sample {} should be; rows must be in order and without gaps", sample,
             expected_sample);
    }
    if (text.empty()) reject("sample {} has no candidate label; every sample needs one", sample);
    for (;;) {
      std::int64_t label = 0;
      if (!skip_number(text, label)) {
        reject("sample {}: \"{}\" is not a label; expected labels separated by single spaces", sample,
               printable(text));
      }
      if (label >= sets_.classes) {
        reject("sample {}: label {} is out of range; expected 0 to {}", sample, label, sets_.classes - 1);
      }
      if (sets_.contains(sample, static_cast<int>(label)))
        reject("sample {}: label {} stands twice", sample, label);
      sets_.insert(sample, static_cast<int>(label));
      if (text.empty()) return;
      if (!skip(text, " ")) {
        reject("sample {}: \"{}\" after label {}; expected labels separated by single spaces", sample,
               printable(text), label);
      }
    }
  }

  std::string_view rest_;
  const std::string& path_;
  CandidateSets sets_;
  std::int64_t line_ = 0;
};

}  // namespace

void write_candidates(const std::string& path, const CandidateSets& sets) {
  std::string text = fmt::format("{}{}, count = {}, sha256 = {}\n{}\n", kMagic, sets.classes, sets.count,
                                 candidates_sha256(sets), kColumns);
  for (std::int64_t i = 0; i < sets.count; ++i) {
    fmt::format_to(std::back_inserter(text), "{}", i);
    char separator = ',';
    for (int c = 0; c < sets.classes; ++c) {
      if (!sets.contains(i, c)) continue;
      fmt::format_to(std::back_inserter(text), "{}{}", separator, c);
      separator = ' ';
    }
    DPLL_CHECK(separator == ' ', "sample {} has no candidate label", i);
    text += '\n';
  }
  write_file_atomically(path, text);
}

CandidateSets read_candidates(const std::string& path, std::int64_t expected_count, int expected_classes) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  const std::string text(bytes.begin(), bytes.end());
  return Reader(text, path, expected_count, expected_classes).read();
}

}  // namespace dpll
