// Small text functions that error messages and value parsers share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dpll {

// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);

// Length in bytes of the UTF-8 character at the start of `text`, which is not empty; 0 if there is none.
// Overlong forms and surrogates are not characters.
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

// Makes any bytes of a path or a file fit for one line of a message on a terminal or in a log: control
// characters and bytes that are not UTF-8 become \xNN, other invisible characters (a byte order mark,
// no-break and zero-width spaces, direction marks) become \uNNNN. A tab is kept.
std::string escaped(std::string_view text);

// The same, shortened to at most 80 bytes.
std::string printable(std::string_view text);

bool is_control(char c);  // a control character, except tab

// The candidates with the smallest edit distance to `word` (several on a tie, in their order); upper and
// lower case count as equal. Empty if even these differ in more than about a third of the letters.
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

// "; did you mean a?", "; did you mean a or b?", or "" for no names.
std::string did_you_mean(const std::vector<std::string>& names);

}  // namespace dpll
