// Small images in rows and columns, enlarged so that single pixels can be seen, with lines of text below.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/canvas.h"

namespace dpll::report {

struct SheetCell {
  std::vector<std::uint8_t> pixels;  // [height, width, channels] of the sheet
  std::vector<std::string> lines;    // below the image
};

struct ContactSheet {
  int height = 0, width = 0, channels = 0;   // of every image; 1, 2: the first channel as grey, 3, 4: RGB
  std::vector<std::string> headings;         // one per column
  std::vector<std::vector<SheetCell>> rows;  // each with one cell a column
};

inline constexpr int kSheetZoom = 4;  // a pixel of an image is a square with this side

// Error(usage) if the picture would have more than 2^28 pixels.
Canvas draw_contact_sheet(const ContactSheet& sheet);

}  // namespace dpll::report
