// How the CPU's passes over a part of a batch norm run: in strips of channels, a few rows side by side as one
// row of lanes, and in blocks of rows. See batch_norm_parts.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "backend/cpu/parallel.h"

namespace dpll::cpu {

// The loops below run over `rows` rows of `width` neighbouring floats, one row `stride` floats after the
// other. Per-channel values and accumulators are arrays of `width` lanes, no wider than kMaxLanes, so that
// they stay in the first-level cache (and may live on the stack).
inline constexpr int kMaxLanes = 1024;
inline constexpr int kMinLanes = 128;  // fewer would leave the accumulators' add latency uncovered
inline constexpr int kVector = 16;     // floats of the widest vector

// A part's rows are cut into blocks, within which sums are float32; blocks are put together in double. A
// block has about kBlock floats but not fewer rows than kMinBlockRows, over which the work for each channel
// at its end is spread.
inline constexpr std::int64_t kBlock = 1 << 13;
inline constexpr std::int64_t kMinBlockRows = 64;

// One value for each lane: lane k * channels + c belongs to channel c. See Strip for `repeat`.
struct Lanes {
  alignas(64) float value[kMaxLanes];

  void clear(int lanes) { std::fill_n(value, lanes, 0.0F); }
  // Gives every repetition the values of the first `channels` lanes.
  void spread(int channels, int repeat) {
    for (int k = 1; k < repeat; ++k) std::copy_n(value, channels, value + k * channels);
  }
  void set(const float* values, int channels, int repeat) {
    std::copy_n(values, channels, value);
    spread(channels, repeat);
  }
};

// The channels of a part that are handled together, and how its rows are cut. With few channels, `repeat`
// rows are handled as one row of repeat * C lanes, which fill whole vectors; with many, a strip is kMaxLanes
// of them.
class Strip {
 public:
  Strip(int first_channel, int all_channels)
      : first_(first_channel), channels_(std::min(kMaxLanes, all_channels - first_channel)) {
    const int c = all_channels;
    repeat_ = kVector / std::gcd(c, kVector);
    while (repeat_ * c < kMinLanes) repeat_ *= 2;
    if (repeat_ * c > kMaxLanes) repeat_ = 1;
    stride_ = std::int64_t{repeat_} * c;
    block_rows_ = round_up(std::max(kMinBlockRows, kBlock / std::min(c, kMaxLanes)), repeat_);
  }

  int first() const { return first_; }
  int channels() const { return channels_; }
  int repeat() const { return repeat_; }
  int lanes() const { return channels_ * repeat_; }
  std::int64_t block_rows() const { return block_rows_; }

  // Calls kernel(offset, rows, width, stride) so that `rows` rows from row `first` on are covered: `repeat`
  // rows at a time, then the rest. `offset` counts elements from the strip's first.
  template <typename Kernel>
  void run(std::int64_t first, std::int64_t rows, const Kernel& kernel) const {
    const std::int64_t offset = first * (stride_ / repeat_);
    const std::int64_t groups = rows / repeat_;
    const std::int64_t rest = rows % repeat_;
    if (groups > 0) kernel(offset, groups, std::int64_t{repeat_} * channels_, stride_);
    if (rest > 0) kernel(offset + groups * stride_, 1, rest * channels_, stride_);
  }

 private:
  static std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
  }

  int first_, channels_;
  int repeat_ = 1;
  std::int64_t stride_ = 1;
  std::int64_t block_rows_ = 1;
};

// Calls body(strip, c) for all strips, c being the first channel.
template <typename Body>
void each_strip(int channels, const Body& body) {
  for (int c = 0; c < channels; c += kMaxLanes) body(Strip(c, channels), c);
}

// Adds each channel's lanes to total [channels].
void fold_lanes(double* total, const float* lanes, std::int64_t channels, std::int64_t repeat);

}  // namespace dpll::cpu
