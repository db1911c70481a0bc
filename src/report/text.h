// Text in DejaVu Sans, which is part of the program (cmake/EmbedFont.cmake). Strings are UTF-8; a byte that
// is not UTF-8 is drawn as U+FFFD, a control character as a space. Sizes are pixels per em.
#pragma once

#include <string>
#include <string_view>

#include "report/canvas.h"

namespace dpll::report {

enum class Align { left, centre, right };
enum class Direction { horizontal, upwards };  // upwards: turned by 90 degrees, read from below to above
enum class Ellipsis { end, middle };

double text_width(std::string_view text, double size);
// The text, shortened with "…" if it is wider than max_width.
std::string fit_text(std::string_view text, double size, double max_width, Ellipsis where = Ellipsis::end);
// `at` is the baseline at the left end, centre or right end of the text (upwards: bottom end, centre, top
// end). The baseline is moved to whole pixels.
void draw_text(Canvas& canvas, std::string_view text, Point at, double size, Colour colour,
               Align align = Align::left, Direction direction = Direction::horizontal);

}  // namespace dpll::report
