#include "config/ini_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include "dpll/core/check.h"
#include "io/text.h"
#include "io/text_lines.h"

namespace dpll {
namespace {

bool starts_comment(char c) {
  return c == '#' || c == ';';
}
bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// The text up to the first # or ; that follows white space, trimmed.
std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_comment(text[i]) && i > 0 && is_blank(text[i - 1])) return trim(text.substr(0, i));
  }
  return trim(text);
}

// The length of the escape sequence at the start of `text`, and its byte; 0 if there is none.
std::size_t escape_length(std::string_view text, char& byte) {
  const char kind = text.size() > 1 ? text[1] : '\0';
  if (kind == '"' || kind == '\\') {
    byte = kind;
    return 2;
  }
  constexpr std::size_t kLength = 4;  // \xNN
  if (kind != 'x' || text.size() < kLength) return 0;
  unsigned char value = 0;
  const char* const last = text.data() + kLength;
  const auto [end, error] = std::from_chars(text.data() + 2, last, value, 16);
  byte = static_cast<char>(value);
  return error == std::errc() && end == last ? kLength : 0;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& path)
      : path_(path), lines_(text, path, ExitCode::config) {}

  IniFile parse() {
    for (std::string_view line; lines_.next(line);) {
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
  // A value may be a path, which may have any bytes except control characters.
  void check_is_text(std::string_view line) const {
    bool value = false;
    for (std::size_t i = 0; i < line.size();) {
      const auto byte = static_cast<unsigned char>(line[i]);
      if (is_control(line[i])) {
        lines_.reject("not a text file: control character 0x{:02x} at byte {} of the line{}", byte, i + 1,
                      value ? fmt::format("; in a value it is written \\x{:02x}, within quotes", byte) : "");
      }
      const std::size_t length = utf8_length(line.substr(i));
      value = value || (line[i] == '=' && !starts_comment(trim(line)[0]));
      if (length == 0 && !value)
        lines_.reject("not UTF-8 text: byte 0x{:02x} at byte {} of the line", byte, i + 1);
      i += length == 0 ? 1 : length;
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
      lines_.reject("\"{}\" is not a section header; it should look like [run]", printable(line));
    }
    file_.sections.push_back({std::string(name), lines_.number()});
  }

  void parse_entry(std::string_view line) {
    const std::size_t equals = line.find('=');
    const std::string_view key = equals == std::string_view::npos ? "" : trim(line.substr(0, equals));
    if (key.empty()) {
      lines_.reject("\"{}\" is neither \"key = value\" nor \"[section]\" nor a # comment", printable(line));
    }
    if (file_.sections.empty()) {
      lines_.reject("key \"{}\" stands before any section; a [section] line must come first", printable(key));
    }
    const std::string& section = file_.sections.back().name;
    const auto [first, is_new] = line_of_.try_emplace({section, std::string(key)}, lines_.number());
    if (!is_new) {
      lines_.reject("{}.{} is given a second time; it stands already in line {}", printable(section),
                    printable(key), first->second);
    }
    file_.entries.push_back(
        {section, std::string(key), parse_value(key, line.substr(equals + 1)), lines_.number()});
  }

  std::string parse_value(std::string_view key, std::string_view text) const {
    const std::string_view value = trim(text);
    if (value.empty() || value[0] != '"') return std::string(without_comment(text));
    std::string result;
    std::size_t i = 1;
    for (; i < value.size() && value[i] != '"'; ++i) {
      char byte = value[i];
      if (byte == '\\') {
        const std::size_t length = escape_length(value.substr(i), byte);
        if (length == 0) {
          lines_.reject(
              "{} = {}: within quotes a backslash must be followed by \", \\ or x and two hexadecimal digits",
              printable(key), printable(value));
        }
        i += length - 1;
      }
      result += byte;
    }
    if (i == value.size()) {
      lines_.reject("{} = {}: the closing quote is missing", printable(key), printable(value));
    }
    const std::string_view rest = value.substr(i + 1);
    if (!rest.empty() && !(is_blank(rest[0]) && starts_comment(trim(rest)[0]))) {
      lines_.reject("{} = {}: there is text after the closing quote", printable(key), printable(value));
    }
    return result;
  }

  const std::string& path_;
  TextLines lines_;
  IniFile file_;
  std::map<std::pair<std::string, std::string>, int> line_of_;  // (section, key) -> line
};

}  // namespace

IniFile parse_ini(const std::string& text, const std::string& path) {
  return Parser(text, path).parse();
}

std::string ini_value(const std::string& value) {
  const bool plain = value.find_first_of("#;\"") == std::string::npos && trim(value) == value &&
                     is_utf8(value) && std::none_of(value.begin(), value.end(), is_control);
  if (plain) return value;
  std::string quoted = "\"";
  for (std::size_t i = 0; i < value.size();) {
    const std::size_t length = utf8_length(std::string_view(value).substr(i));
    if (length == 0 || is_control(value[i])) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(value[i++]));
      continue;
    }
    if (value[i] == '"' || value[i] == '\\') quoted += '\\';
    quoted.append(value, i, length);
    i += length;
  }
  return quoted + '"';
}

}  // namespace dpll
