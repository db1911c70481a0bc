// The style of charts: sizes, colours, dashes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "report/canvas.h"

namespace dpll::report {

// Okabe and Ito's palette, whose colours can be distinguished with every common colour blindness (Wong,
// Nature Methods 8:441, 2011), darkest first. Grey replaces its yellow, which is hard to see on white.
constexpr std::array<Colour, 8> kPalette = {{{0, 114, 178},
                                             {213, 94, 0},
                                             {0, 158, 115},
                                             {204, 121, 167},
                                             {230, 159, 0},
                                             {86, 180, 233},
                                             {0, 0, 0},
                                             {127, 127, 127}}};

constexpr Colour kWhite{255, 255, 255};
constexpr Colour kTitleInk{26, 26, 26};
constexpr Colour kInk{64, 64, 64};          // axes and their labels
constexpr Colour kFaintInk{110, 110, 110};  // subtitle, notes
constexpr Colour kReferenceInk{90, 90, 90};
constexpr Colour kGrid{230, 230, 230};
constexpr Colour kMinorGrid{243, 243, 243};
constexpr Colour kBoxEdge{205, 205, 205};

// All sizes in pixels, for a chart of the given size.
struct Style {
  Style(int width, int height) : scale(std::clamp(std::min(width / 1200.0, height / 760.0), 0.7, 4.0)) {}

  double scale;  // 1 at 1200 x 760
  double title = 24 * scale, subtitle = 17 * scale, axis_label = 19 * scale, text = 17 * scale;  // em
  double line = std::max(1.5, 2 * scale), hairline = std::max(1.0, std::floor(scale)),
         dot_radius = 3.6 * scale;
  double edge = 16 * scale;  // between the border of the image and the drawing
  double gap = 8 * scale;    // between elements that belong together
  double tick = 5 * scale;

  // Solid or dashed as requested. When all colours are used, dots and dash-dots distinguish equal colours.
  std::vector<double> dashes(bool dashed, std::size_t position) const {
    const double dash = 8 * scale, dot = 2 * scale, space = 6 * scale;
    if (dashed) return {dash, space};
    switch (position / kPalette.size() % 3) {
      case 0:
        return {};
      case 1:
        return {dot, space};
      default:
        return {dash, space, dot, space};
    }
  }
  std::vector<double> reference_dashes() const { return {5 * scale, 5 * scale}; }
};

}  // namespace dpll::report
