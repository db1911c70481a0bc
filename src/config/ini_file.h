// The INI form of a configuration: sections and "key = value" lines with their line numbers, nothing about
// meaning.
//
//   # comment                        also with ; and after a value, where white space must precede it
//   [section]
//   key = value                      spaces and tabs around key and value do not count
//   key = "value; with # inside"     quotes keep # ; and outer spaces; within them \" and \\ stand for " and
//   \,
//                                    and \xNN for the byte with these two hexadecimal digits
//
// UTF-8, read by TextLines. A value may hold bytes that are not UTF-8, since a path may. A section may be
// opened more than once. No continuation lines.
#pragma once

#include <string>
#include <vector>

namespace dpll {

struct IniEntry {
  std::string section, key, value;
  int line = 0;  // counted from 1
};

struct IniSection {
  std::string name;
  int line = 0;
};

struct IniFile {
  std::vector<IniSection> sections;  // in file order, each "[name]" line
  std::vector<IniEntry> entries;     // in file order
};

// Error(config) naming path and line for malformed lines, a key before any section, a key given twice, binary
// content and text without any section.
IniFile parse_ini(const std::string& text, const std::string& path);

// `value` as it must be written after "key = " to be read back: quoted where needed, and UTF-8 whatever its
// bytes are.
std::string ini_value(const std::string& value);

}  // namespace dpll
