#include "report/text.h"

#include <stb_truetype.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "dpll/core/check.h"

extern "C" const unsigned char dpll_chart_font_begin[];

namespace dpll::report {
namespace {

constexpr std::string_view kEllipsis = "\u2026";
constexpr int kReplacement = 0xFFFD;

const stbtt_fontinfo& font() {
  static const stbtt_fontinfo info = [] {
    stbtt_fontinfo loaded;
    const int ok = stbtt_InitFont(&loaded, dpll_chart_font_begin, 0);
    DPLL_CHECK(ok != 0, "the font in the program is damaged");
    return loaded;
  }();
  return info;
}

// The number of bytes of the first character of `text`: 1 for anything that is not well-formed UTF-8.
struct Character {
  int code_point;
  std::size_t bytes;
};

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x20 || lead == 0x7F) return {' ', 1};
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {kReplacement, 1};
  int code_point = lead & (0x7F >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {kReplacement, 1};
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = (bytes == 3 && code_point < 0x800) || (bytes == 4 && code_point < 0x10000);
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (overlong || surrogate || code_point > 0x10FFFF) return {kReplacement, 1};
  return {code_point, bytes};
}

struct Glyph {
  int index;
  double x;  // of its origin from the start of the text, pixels
};

struct Line {
  std::vector<Glyph> glyphs;
  double width = 0;
};

Line set_line(std::string_view text, double size) {
  const double scale = stbtt_ScaleForMappingEmToPixels(&font(), static_cast<float>(size));
  Line line;
  while (!text.empty()) {
    const Character character = first_character(text);
    text.remove_prefix(character.bytes);
    const int index = stbtt_FindGlyphIndex(&font(), character.code_point);
    if (!line.glyphs.empty()) {
      line.width += scale * stbtt_GetGlyphKernAdvance(&font(), line.glyphs.back().index, index);
    }
    line.glyphs.push_back({index, line.width});
    int advance = 0, bearing = 0;
    stbtt_GetGlyphHMetrics(&font(), index, &advance, &bearing);
    line.width += scale * advance;
  }
  return line;
}

}  // namespace

double text_width(std::string_view text, double size) {
  return set_line(text, size).width;
}

std::string fit_text(std::string_view text, double size, double max_width, Ellipsis where) {
  std::vector<std::string_view> characters;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t bytes = first_character(rest).bytes;
    characters.push_back(rest.substr(0, bytes));
    rest.remove_prefix(bytes);
  }
  // Hardly any character is narrower than a quarter of an em. This bound avoids measuring a name of a
  // megabyte many times.
  const auto most = static_cast<std::size_t>(std::max(0.0, max_width) / (size / 4)) + 1;
  if (characters.size() <= most && text_width(text, size) <= max_width) return std::string(text);
  for (std::size_t keep = std::min(most, characters.size() - 1); keep > 0; --keep) {
    const std::size_t tail = where == Ellipsis::middle ? keep / 2 : 0;
    std::string shortened;
    for (std::size_t i = 0; i < keep - tail; ++i) shortened += characters[i];
    while (!shortened.empty() && shortened.back() == ' ') shortened.pop_back();
    shortened += kEllipsis;
    for (std::size_t i = characters.size() - tail; i < characters.size(); ++i) shortened += characters[i];
    if (text_width(shortened, size) <= max_width) return shortened;
  }
  return std::string(kEllipsis);
}

void draw_text(Canvas& canvas, std::string_view text, Point at, double size, Colour colour, Align align,
               Direction direction) {
  const Line line = set_line(text, size);
  const double shift = align == Align::left ? 0 : align == Align::centre ? line.width / 2 : line.width;
  const bool upwards = direction == Direction::upwards;
  const double along = upwards ? -(at.y + shift) : at.x - shift;  // start of the text in reading direction
  const int baseline = static_cast<int>(std::lround(upwards ? at.x : at.y));
  const float scale = stbtt_ScaleForMappingEmToPixels(&font(), static_cast<float>(size));
  std::vector<unsigned char> bitmap;
  for (const Glyph& glyph : line.glyphs) {
    const double origin = along + glyph.x;
    const int whole = static_cast<int>(std::floor(origin));
    const auto fraction = static_cast<float>(origin - whole);
    int left = 0, top = 0, right = 0, bottom = 0;
    stbtt_GetGlyphBitmapBoxSubpixel(&font(), glyph.index, scale, scale, fraction, 0, &left, &top, &right,
                                    &bottom);
    const int width = right - left, height = bottom - top;
    if (width <= 0 || height <= 0) continue;
    bitmap.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), 0);
    stbtt_MakeGlyphBitmapSubpixel(&font(), bitmap.data(), width, height, width, scale, scale, fraction, 0,
                                  glyph.index);
    for (int row = 0; row < height; ++row) {
      for (int column = 0; column < width; ++column) {
        const int reading = whole + left + column, down = baseline + top + row;
        const double coverage = bitmap[static_cast<std::size_t>(row) * static_cast<std::size_t>(width) +
                                       static_cast<std::size_t>(column)] /
                                255.0;
        if (coverage == 0) continue;
        if (upwards) {
          canvas.blend(down, -1 - reading, colour, coverage);
        } else {
          canvas.blend(reading, down, colour, coverage);
        }
      }
    }
  }
}

}  // namespace dpll::report
