// The INI form of a configuration: sections and "key = value" lines with their line numbers, without their
// meaning.
//
//   # comment                        also with ; and after a value, if white space precedes it
//   [section]
//   key = value                      spaces and tabs around key and value are ignored
//   key = "value; with # inside"     quotes keep # ; and outer spaces
//
// In quotes, \" stands for ", \\ for \, and \xNN for the byte with these two hexadecimal digits. The file is
// UTF-8, read by TextLines. A value may have bytes that are not UTF-8, because a path may. A section may be
// opened more than once. There are no continuation lines.
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

// The text of `value` that must be written after "key = " so that it reads back: quoted if needed, and always
// UTF-8.
std::string ini_value(const std::string& value);

}  // namespace dpll
