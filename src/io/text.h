// Small text helpers of the configuration: what error messages and value parsers share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dpll {

// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);

// Length in bytes of the UTF-8 character at the start of `text`, which is not empty; 0 when there is none
// (overlong forms and surrogates are none).
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

// Fit for one line of a message, on a terminal or in a log, whatever bytes a path or a file holds: control
// characters and bytes that are not UTF-8 as \xNN, other characters that cannot be seen (a byte order mark,
// no-break and zero-width spaces, direction marks) as \uNNNN. A tab stays.
std::string escaped(std::string_view text);

// The same, cut after at most 80 bytes.
std::string printable(std::string_view text);

bool is_control(char c);  // a control character other than tab

// The candidates with the smallest edit distance to `word` (several on a tie, in their order), letter case
// ignored; none when even they differ in more than about a third of the letters.
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

// "; did you mean a?", "; did you mean a or b?", or "" for no names.
std::string did_you_mean(const std::vector<std::string>& names);

}  // namespace dpll
