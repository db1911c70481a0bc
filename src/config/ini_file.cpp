#include "config/ini_file.h"

#include <map>
#include <string_view>
#include <utility>

#include "config/text.h"
#include "dpll/core/check.h"

namespace dpll {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool starts_comment(char c) {
  return c == '#' || c == ';';
}
bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Up to the first # or ; that follows white space, trimmed.
std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_comment(text[i]) && i > 0 && is_blank(text[i - 1])) return trim(text.substr(0, i));
  }
  return trim(text);
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  IniFile parse() {
    if (text_.substr(0, kByteOrderMark.size()) == kByteOrderMark) text_.remove_prefix(kByteOrderMark.size());
    while (!text_.empty()) {
      ++line_;
      const std::size_t end = text_.find('\n');
      std::string_view line = text_.substr(0, end);
      text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      check_is_text(line);
      parse_line(trim(line));
    }
    if (file_.sections.empty()) {
      fail(ExitCode::config,
           "{}: holds no configuration; sections such as [run] with \"key = value\" lines are expected",
           path_);
    }
    return std::move(file_);
  }

 private:
  void check_is_text(std::string_view line) const {
    for (std::size_t i = 0; i < line.size();) {
      if (is_control(line[i])) {
        fail(ExitCode::config, "{}:{}: not a text file: control character 0x{:02x} at byte {} of the line",
             path_, line_, static_cast<unsigned char>(line[i]), i + 1);
      }
      const std::size_t length = utf8_length(line.substr(i));
      if (length == 0) {
        fail(ExitCode::config, "{}:{}: not UTF-8 text: byte 0x{:02x} at byte {} of the line", path_, line_,
             static_cast<unsigned char>(line[i]), i + 1);
      }
      i += length;
    }
  }

  void parse_line(std::string_view line) {
    if (line.empty() || starts_comment(line[0])) return;
    if (line[0] == '[') {
      parse_section(line);
    } else {
      parse_entry(line);
    }
  }

  void parse_section(std::string_view line) {
    const std::size_t end = line.find(']');
    const std::string_view name = end == std::string_view::npos ? "" : trim(line.substr(1, end - 1));
    const std::string_view rest = end == std::string_view::npos ? "" : trim(line.substr(end + 1));
    if (name.empty() || !(rest.empty() || starts_comment(rest[0]))) {
      fail(ExitCode::config, "{}:{}: \"{}\" is not a section header; it should look like [run]", path_, line_,
           printable(line));
    }
    file_.sections.push_back({std::string(name), line_});
  }

  void parse_entry(std::string_view line) {
    const std::size_t equals = line.find('=');
    const std::string_view key = equals == std::string_view::npos ? "" : trim(line.substr(0, equals));
    if (key.empty()) {
      fail(ExitCode::config, "{}:{}: \"{}\" is neither \"key = value\" nor \"[section]\" nor a # comment",
           path_, line_, printable(line));
    }
    if (file_.sections.empty()) {
      fail(ExitCode::config, "{}:{}: key \"{}\" stands before any section; a [section] line must come first",
           path_, line_, printable(key));
    }
    const std::string& section = file_.sections.back().name;
    const auto [first, is_new] = lines_.try_emplace({section, std::string(key)}, line_);
    if (!is_new) {
      fail(ExitCode::config, "{}:{}: {}.{} is given a second time; it stands already in line {}", path_,
           line_, printable(section), printable(key), first->second);
    }
    file_.entries.push_back({section, std::string(key), parse_value(key, line.substr(equals + 1)), line_});
  }

  std::string parse_value(std::string_view key, std::string_view text) const {
    const std::string_view value = trim(text);
    if (value.empty() || value[0] != '"') return std::string(without_comment(text));
    std::string result;
    std::size_t i = 1;
    for (; i < value.size() && value[i] != '"'; ++i) {
      if (value[i] == '\\') {
        ++i;
        if (i == value.size() || (value[i] != '"' && value[i] != '\\')) {
          fail(ExitCode::config, "{}:{}: {} = {}: within quotes a backslash must be followed by \" or \\",
               path_, line_, printable(key), printable(value));
        }
      }
      result += value[i];
    }
    if (i == value.size()) {
      fail(ExitCode::config, "{}:{}: {} = {}: the closing quote is missing", path_, line_, printable(key),
           printable(value));
    }
    const std::string_view rest = value.substr(i + 1);
    if (!rest.empty() && !(is_blank(rest[0]) && starts_comment(trim(rest)[0]))) {
      fail(ExitCode::config, "{}:{}: {} = {}: there is text after the closing quote", path_, line_,
           printable(key), printable(value));
    }
    return result;
  }

  std::string_view text_;
  const std::string& path_;
  int line_ = 0;
  IniFile file_;
  std::map<std::pair<std::string, std::string>, int> lines_;  // (section, key) -> line
};

}  // namespace

IniFile parse_ini(const std::string& text, const std::string& path) {
  return Parser(text, path).parse();
}

std::string ini_value(const std::string& value) {
  for (const char c : value) {
    DPLL_CHECK(!is_control(c), "a configuration value with control characters: {}", printable(value));
  }
  const bool plain = value.find_first_of("#;\"") == std::string::npos && trim(value) == value;
  if (plain) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace dpll
