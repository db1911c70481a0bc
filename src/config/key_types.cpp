#include "config/key_types.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>

#include "io/text.h"

namespace dpll {
namespace {

template <typename Integer>
std::string describe_integers(Integer low, Integer high) {
  return fmt::format("{} to {}", low, high);
}

// The message for `text` that has not only digits: why it is not an integer. For 1e4 and 64.0 it has the
// digits to write instead.
std::string not_an_integer(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
  if (is_number && value == std::trunc(value) && std::abs(value) < 0x1p53) {
    return fmt::format("an integer is written in digits alone, here {:.0f}", value);
  }
  return is_number ? "not an integer" : "not a number";
}

// Sets `value`, or returns the error.
template <typename Integer>
std::string parse_integer(std::string_view text, Integer low, Integer high, Integer& value) {
  if (text.empty()) return "empty";
  Integer parsed{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  const std::size_t digits = text.substr(0, 1) == "-" ? 1 : 0;
  const bool only_digits =
      text.size() > digits && text.find_first_not_of("0123456789", digits) == std::string_view::npos;
  if (!only_digits) return not_an_integer(text);
  // For from_chars a minus sign before an unsigned number is invalid_argument; here it is out of range.
  if (error != std::errc() || end != text.data() + text.size() || parsed < low || parsed > high)
    return "out of range";
  value = parsed;
  return "";
}

std::string parse_real(std::string_view text, const Range& range, double& value) {
  if (text.empty()) return "empty";
  double parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return "not a number";
  if (error == std::errc::result_out_of_range) return "too large or too small for a double";
  if (!std::isfinite(parsed)) return "not a finite number";
  if (!range.contains(parsed)) return "out of range";
  value = parsed;
  return "";
}

template <typename Integer>
Key make_integer_key(const std::string& name, Integer& member, Integer low, Integer high,
                     const std::string& doc) {
  return {name, "integer, " + describe_integers(low, high), doc,
          [&member, low, high](const std::string& text) { return parse_integer(text, low, high, member); },
          [&member] { return fmt::format("{}", member); }};
}

// parse_item(text, item) as parse_integer above.
template <typename Item, typename ParseItem>
Key make_list_key(const std::string& name, std::vector<Item>& member, const std::string& items,
                  const std::string& empty_word, const std::string& doc, ParseItem parse_item) {
  const auto parse = [&member, empty_word, parse_item](const std::string& text) -> std::string {
    std::vector<Item> parsed;
    if (text.empty()) return "empty";
    if (text != empty_word) {
      std::string_view rest = text;
      for (bool more = true; more;) {
        const std::size_t comma = rest.find(',');
        const std::string_view item = trim(rest.substr(0, comma));
        more = comma != std::string_view::npos;
        if (more) rest.remove_prefix(comma + 1);
        if (item.empty()) return fmt::format("item {} is empty", parsed.size() + 1);
        Item value{};
        const std::string problem = parse_item(item, value);
        if (!problem.empty())
          return fmt::format("item {}, \"{}\": {}", parsed.size() + 1, printable(item), problem);
        parsed.push_back(value);
      }
    }
    member = std::move(parsed);
    return "";
  };
  return {name, fmt::format("{}, separated by commas, or {}", items, empty_word), doc, parse,
          [&member, empty_word] {
            return member.empty() ? empty_word : fmt::format("{}", fmt::join(member, ", "));
          }};
}

}  // namespace

bool Range::contains(double value) const {
  const bool above = ends == Ends::open_low ? value > low : value >= low;
  const bool below = ends == Ends::open_high ? value < high : value <= high;
  return above && below;
}

std::string Range::describe() const {
  if (ends == Ends::open_low) return fmt::format("above {}, at most {}", low, high);
  if (ends == Ends::open_high) return fmt::format("{} or more, below {}", low, high);
  return fmt::format("{} to {}", low, high);
}

Key text_key(const std::string& name, std::string& member, Text kind, const std::string& doc) {
  const auto parse = [&member, kind](const std::string& text) -> std::string {
    if (kind == Text::required && text.empty()) return "empty";
    if (text.find('\0') != std::string::npos) return "holds the byte 0x00";  // ends every path
    member = text;
    return "";
  };
  return {name, kind == Text::required ? "text, not empty" : "text", doc, parse,
          [&member] { return member; }};
}

Key boolean_key(const std::string& name, bool& member, const std::string& doc) {
  const auto parse = [&member](const std::string& word) -> std::string {
    for (const char* yes : {"true", "yes", "on", "1"}) {
      if (word == yes) {
        member = true;
        return "";
      }
    }
    for (const char* no : {"false", "no", "off", "0"}) {
      if (word == no) {
        member = false;
        return "";
      }
    }
    return word.empty() ? "empty" : "not a truth value";
  };
  return {name, "true or false (also yes/no, on/off, 1/0)", doc, parse,
          [&member] { return member ? "true" : "false"; }};
}

Key integer_key(const std::string& name, int& member, int low, int high, const std::string& doc) {
  return make_integer_key(name, member, low, high, doc);
}
Key integer_key(const std::string& name, std::int64_t& member, std::int64_t low, std::int64_t high,
                const std::string& doc) {
  return make_integer_key(name, member, low, high, doc);
}
Key integer_key(const std::string& name, std::uint32_t& member, std::uint32_t low, std::uint32_t high,
                const std::string& doc) {
  return make_integer_key(name, member, low, high, doc);
}
Key integer_key(const std::string& name, std::uint64_t& member, std::uint64_t low, std::uint64_t high,
                const std::string& doc) {
  return make_integer_key(name, member, low, high, doc);
}

Key integer_key(const std::string& name, std::optional<int>& member, int low, int high,
                const std::string& doc) {
  const auto parse = [&member, low, high](const std::string& text) -> std::string {
    if (text == "preset") {
      member.reset();
      return "";
    }
    int value = 0;
    std::string problem = parse_integer(text, low, high, value);
    if (problem.empty()) member = value;
    return problem;
  };
  return {name, "integer, " + describe_integers(low, high) + ", or preset", doc, parse,
          [&member] { return member ? fmt::format("{}", *member) : "preset"; }};
}

Key real_key(const std::string& name, double& member, const Range& range, const std::string& doc) {
  return {name, "number, " + range.describe(), doc,
          [&member, range](const std::string& text) { return parse_real(text, range, member); },
          [&member] { return fmt::format("{}", member); }};
}

Key real_key(const std::string& name, std::optional<double>& member, const Range& range,
             const std::string& doc) {
  const auto parse = [&member, range](const std::string& text) -> std::string {
    if (text == "preset") {
      member.reset();
      return "";
    }
    double value = 0;
    std::string problem = parse_real(text, range, value);
    if (problem.empty()) member = value;
    return problem;
  };
  return {name, "number, " + range.describe() + ", or preset", doc, parse,
          [&member] { return member ? fmt::format("{}", *member) : "preset"; }};
}

Key integer_list_key(const std::string& name, std::vector<int>& member, int low, int high,
                     const std::string& empty_word, const std::string& doc) {
  return make_list_key(
      name, member, "integers, " + describe_integers(low, high), empty_word, doc,
      [low, high](std::string_view item, int& value) { return parse_integer(item, low, high, value); });
}

Key real_list_key(const std::string& name, std::vector<double>& member, const Range& range,
                  const std::string& empty_word, const std::string& doc) {
  return make_list_key(
      name, member, "numbers, " + range.describe(), empty_word, doc,
      [range](std::string_view item, double& value) { return parse_real(item, range, value); });
}

Key device_key(const std::string& name, DeviceChoice& device, int& gpu, const std::string& doc) {
  constexpr int kMostGpus = 1023;
  std::vector<std::string> allowed = allowed_words<DeviceChoice>();
  const auto parse = [&device, &gpu, allowed](const std::string& text) -> std::string {
    const std::size_t colon = text.find(':');
    const std::string word = text.substr(0, colon);
    for (const Spelling<DeviceChoice>& spelling : spellings<DeviceChoice>()) {
      if (word != spelling.text) continue;
      const bool on_gpu = spelling.value == DeviceChoice::cuda || spelling.value == DeviceChoice::check;
      int index = -1;
      if (colon != std::string::npos) {
        if (!on_gpu) return fmt::format("'{}' takes no number; cuda:0 names a GPU", word);
        std::string problem = parse_integer(text.substr(colon + 1), 0, kMostGpus, index);
        if (!problem.empty()) return "the GPU's number: " + problem;
      }
      device = spelling.value;
      gpu = index;
      return "";
    }
    return not_one_of(allowed, text);
  };
  return {name, one_of(allowed) + ", or cuda:N, check:N", doc, parse,
          [&device, &gpu] { return gpu < 0 ? spell(device) : fmt::format("{}:{}", spell(device), gpu); }};
}

std::string one_of(const std::vector<std::string>& allowed) {
  return fmt::format("one of {}", fmt::join(allowed, ", "));
}

std::string not_one_of(const std::vector<std::string>& allowed, const std::string& word) {
  return word.empty() ? "empty" : "not known" + did_you_mean(nearest(word, allowed));
}

}  // namespace dpll
