// The kinds of configuration keys: they convert the text of a value to a typed member and back, and check it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/spellings.h"

namespace dpll {

// A key bound to one member of one RunConfig, which must outlive it.
struct Key {
  std::string name;     // "section.key"
  std::string accepts;  // "integer, 1 to 65536"
  std::string doc;      // one line
  // Sets the member; returns the mistake in the text, or "" if there is none.
  std::function<std::string(const std::string&)> parse;
  std::function<std::string()> print;  // text that parse() turns back into exactly the member's value

  std::string section() const { return name.substr(0, name.find('.')); }
  std::string local_name() const { return name.substr(name.find('.') + 1); }
};

// An interval of finite numbers; an open end does not belong to it.
struct Range {
  enum class Ends { closed, open_low, open_high };
  double low, high;
  Ends ends = Ends::closed;

  bool contains(double value) const;
  std::string describe() const;  // "0 to 1", "0 or more, below 1", "above 0, at most 1"
};

// A path, or a name that is part of one: any bytes except 0. Text::required refuses the empty text.
enum class Text { optional, required };
Key text_key(const std::string& name, std::string& member, Text kind, const std::string& doc);
// true|false, also yes|no, on|off, 1|0.
Key boolean_key(const std::string& name, bool& member, const std::string& doc);

// Decimal digits only; low and high inclusive. The optional members also take "preset" (nullopt).
Key integer_key(const std::string& name, int& member, int low, int high, const std::string& doc);
Key integer_key(const std::string& name, std::int64_t& member, std::int64_t low, std::int64_t high,
                const std::string& doc);
Key integer_key(const std::string& name, std::uint32_t& member, std::uint32_t low, std::uint32_t high,
                const std::string& doc);
Key integer_key(const std::string& name, std::uint64_t& member, std::uint64_t low, std::uint64_t high,
                const std::string& doc);
Key integer_key(const std::string& name, std::optional<int>& member, int low, int high,
                const std::string& doc);

Key real_key(const std::string& name, double& member, const Range& range, const std::string& doc);
Key real_key(const std::string& name, std::optional<double>& member, const Range& range,
             const std::string& doc);

// Items separated by commas, or the word `empty_word` for no items.
Key integer_list_key(const std::string& name, std::vector<int>& member, int low, int high,
                     const std::string& empty_word, const std::string& doc);
Key real_list_key(const std::string& name, std::vector<double>& member, const Range& range,
                  const std::string& empty_word, const std::string& doc);

// auto, cpu, cuda, check; cuda:N and check:N name one of several GPUs, which is -1 otherwise.
Key device_key(const std::string& name, DeviceChoice& device, int& gpu, const std::string& doc);

// The message for a word that is none of `allowed`.
std::string not_one_of(const std::vector<std::string>& allowed, const std::string& word);
// "one of a, b, c"
std::string one_of(const std::vector<std::string>& allowed);

template <typename Enum>
std::vector<std::string> allowed_words() {
  std::vector<std::string> words;
  for (const Spelling<Enum>& spelling : spellings<Enum>()) words.emplace_back(spelling.text);
  return words;
}

template <typename Enum>
Key choice_key(const std::string& name, Enum& member, const std::string& doc) {
  const auto parse = [&member](const std::string& word) -> std::string {
    for (const Spelling<Enum>& spelling : spellings<Enum>()) {
      if (word == spelling.text) {
        member = spelling.value;
        return "";
      }
    }
    return not_one_of(allowed_words<Enum>(), word);
  };
  return {name, one_of(allowed_words<Enum>()), doc, parse, [&member] { return spell(member); }};
}

// The same, but the word "preset" means no choice (nullopt).
template <typename Enum>
Key choice_key(const std::string& name, std::optional<Enum>& member, const std::string& doc) {
  std::vector<std::string> allowed = allowed_words<Enum>();
  allowed.emplace_back("preset");
  const auto parse = [&member, allowed](const std::string& word) -> std::string {
    if (word == "preset") {
      member.reset();
      return "";
    }
    for (const Spelling<Enum>& spelling : spellings<Enum>()) {
      if (word == spelling.text) {
        member = spelling.value;
        return "";
      }
    }
    return not_one_of(allowed, word);
  };
  return {name, one_of(allowed), doc, parse, [&member] { return member ? spell(*member) : "preset"; }};
}

}  // namespace dpll
