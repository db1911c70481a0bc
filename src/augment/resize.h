// Pillow's bilinear enlargement of uint8 images, for CPU and GPU with the same bits: first along the rows,
// then along the columns, with the uint8 image between them. Weights are whole numbers in 1/2^22. Images
// never shrink here, so the filter is two pixels wide and a value has at most three taps.
#pragma once

#include <cstdint>

#include "dpll/core/host_device.h"

namespace dpll {

inline constexpr int kResizeBits = 22;
inline constexpr int kMostTaps = 3;

struct ResizeTaps {
  int first, count;  // pixels of the input
  std::int32_t weights[kMostTaps];
};

// The taps of pixel `index` of `outputs`, from a line of `inputs` <= outputs pixels.
DPLL_HD ResizeTaps resize_taps(int index, int inputs, int outputs) {
  const double scale = static_cast<double>(inputs) / outputs;
  const double centre = rounded_product(index + 0.5, scale);
  const int below = static_cast<int>(rounded_sum(rounded_sum(centre, -1.0), 0.5));
  const int above = static_cast<int>(rounded_sum(rounded_sum(centre, 1.0), 0.5));
  ResizeTaps taps{};
  taps.first = below < 0 ? 0 : below;
  taps.count = (above > inputs ? inputs : above) - taps.first;
  double weights[kMostTaps], sum = 0;
  // Loops over a constant number keep the arrays in registers.
  for (int i = 0; i < kMostTaps; ++i) {
    double distance = rounded_sum(rounded_sum(static_cast<double>(taps.first + i), -centre), 0.5);
    if (distance < 0) distance = -distance;
    weights[i] = i < taps.count && distance < 1 ? 1 - distance : 0;
    sum += weights[i];
  }
  for (int i = 0; i < kMostTaps; ++i) {
    taps.weights[i] = static_cast<std::int32_t>(
        rounded_sum(rounded_product(weights[i] / sum, static_cast<double>(1 << kResizeBits)), 0.5));
  }
  return taps;
}

// `line`: the value of the input's pixel 0; `step`: values from one pixel to the next.
DPLL_HD std::uint8_t resized_value(const std::uint8_t* line, int step, const ResizeTaps& taps) {
  std::int32_t sum = 1 << (kResizeBits - 1);
  for (int i = 0; i < kMostTaps; ++i) {
    if (i < taps.count) sum += taps.weights[i] * line[(taps.first + i) * step];
  }
  const std::int32_t value = sum >> kResizeBits;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

}  // namespace dpll
