#include "io/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <iterator>
#include <numeric>

namespace dpll {
namespace {

char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

// Levenshtein distance by the two-row recurrence.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substitute = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substitute, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// The code point of one well-formed UTF-8 character.
std::uint32_t code_point(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return lead;
  std::uint32_t code = lead & (0x7FU >> character.size());
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3FU);
  return code;
}

// Is a character beyond ASCII a control character, or invisible, or does it look like a space?
bool is_invisible(std::uint32_t code) {
  struct Span {
    std::uint32_t first, last;
  };
  constexpr Span kInvisible[] = {{0x80, 0xA0},     {0xAD, 0xAD},     {0x61C, 0x61C},   {0x180E, 0x180E},
                                 {0x2000, 0x200F}, {0x2028, 0x202F}, {0x205F, 0x206F}, {0xFEFF, 0xFEFF},
                                 {0xFFF9, 0xFFFB}, {0xFFFE, 0xFFFF}};
  return std::any_of(std::begin(kInvisible), std::end(kInvisible),
                     [&](const Span& span) { return code >= span.first && code <= span.last; });
}

}  // namespace

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7F;
}

std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0;
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return length;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0, length = 0; i < text.size(); i += length) {
    length = utf8_length(text.substr(i));
    if (length == 0) return false;
  }
  return true;
}

std::string escaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view character = text.substr(i, utf8_length(text.substr(i)));
    if (character.empty() || is_control(text[i])) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
      ++i;
      continue;
    }
    if (is_invisible(code_point(character))) {
      result += fmt::format("\\u{:04x}", code_point(character));
    } else {
      result += character;
    }
    i += character.size();
  }
  return result;
}

std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 80;
  if (text.size() <= kMost) return escaped(text);
  std::size_t end = 0;
  for (std::size_t next = 0; next <= kMost;) {
    end = next;
    next += std::max<std::size_t>(1, utf8_length(text.substr(end)));
  }
  return escaped(text.substr(0, end)) + "...";
}

std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::vector<std::string> best;
  std::size_t smallest = std::max<std::size_t>(2, (word.size() + 2) / 3);
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance > smallest || distance >= std::max(word.size(), candidate.size())) continue;
    if (distance < smallest) best.clear();
    smallest = distance;
    best.push_back(candidate);
  }
  return best;
}

std::string did_you_mean(const std::vector<std::string>& names) {
  return names.empty() ? std::string() : fmt::format("; did you mean {}?", fmt::join(names, " or "));
}

}  // namespace dpll
