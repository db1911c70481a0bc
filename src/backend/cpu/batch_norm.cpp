#include "backend/cpu/batch_norm.h"

#include <cmath>
#include <numeric>

#include "backend/cpu/parallel.h"

namespace dpll::cpu {
namespace {

// The loops below run over `rows` rows of `width` neighbouring floats, one row `stride` floats after the
// other. Per-channel values and accumulators are arrays of `width` lanes, no wider than kMaxLanes, so that
// they stay in the first-level cache (and may live on the stack).
constexpr int kMaxLanes = 1024;
constexpr int kMinLanes = 128;  // fewer would leave the accumulators' add latency uncovered
constexpr int kVector = 16;     // floats of the widest vector

// Floats of a block, which is read twice and should stay in the first- or second-level cache, and of a tile,
// which one thread handles. Sums within a block are float32, between blocks double.
constexpr std::int64_t kBlock = 1 << 13;
constexpr std::int64_t kMinBlockRows = 32;
constexpr std::int64_t kTile = 1 << 16;

// Channels whose partial sums one thread combines at a time.
constexpr std::int64_t kReduceGrain = 64;

// One value for each lane: lane k * channels + c belongs to channel c. See Cut for `repeat`.
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
  double sum_of(int channel, int channels, int repeat) const {
    double sum = 0;
    for (int k = 0; k < repeat; ++k) sum += value[k * channels + channel];
    return sum;
  }
};

DPLL_VECTOR_CLONES void sum_kernel(float* __restrict sum, const float* __restrict x, std::int64_t rows,
                                   std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride) {
    for (std::int64_t j = 0; j < width; ++j) sum[j] += x[j];
  }
}

DPLL_VECTOR_CLONES void add_and_sum_kernel(float* __restrict sum, float* __restrict y,
                                           const float* __restrict residual, std::int64_t rows,
                                           std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, y += stride, residual += stride) {
    for (std::int64_t j = 0; j < width; ++j) {
      y[j] += residual[j];
      sum[j] += y[j];
    }
  }
}

DPLL_VECTOR_CLONES void centred_kernel(float* __restrict sum, float* __restrict square,
                                       const float* __restrict x, const float* __restrict centre,
                                       std::int64_t rows, std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride) {
    for (std::int64_t j = 0; j < width; ++j) {
      const float d = x[j] - centre[j];
      sum[j] += d;
      square[j] += d * d;
    }
  }
}

// A NaN must stay a NaN: 0 > z ? 0 : z, which is also what the maximum instruction does.
DPLL_VECTOR_CLONES void apply_kernel(float* a, const float* x, const float* __restrict scale,
                                     const float* __restrict shift, std::int64_t rows, std::int64_t width,
                                     std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, a += stride) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const float z = x[j] * scale[j] + shift[j];
      a[j] = 0.0F > z ? 0.0F : z;
    }
  }
}

DPLL_VECTOR_CLONES void backward_sums_kernel(float* __restrict sum, float* __restrict product,
                                             const float* __restrict d_a, const float* __restrict x,
                                             const float* __restrict mean, const float* __restrict scale,
                                             const float* __restrict shift, std::int64_t rows,
                                             std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, d_a += stride) {
    for (std::int64_t j = 0; j < width; ++j) {
      const float d = d_a[j];
      const float d_z = x[j] * scale[j] + shift[j] > 0.0F ? d : 0.0F;
      sum[j] += d_z;
      product[j] += d_z * (x[j] - mean[j]);
    }
  }
}

// d_x = scale * d_z + slope * (x - mean) + offset.
struct GradientLanes {
  Lanes mean, scale, shift, slope, offset;
};

DPLL_VECTOR_CLONES void backward_apply_kernel(float* d_x, const float* d_a, const float* __restrict x,
                                              const GradientLanes& lanes, std::int64_t rows,
                                              std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, d_a += stride, d_x += stride) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const float d = d_a[j];
      const float d_z = x[j] * lanes.scale.value[j] + lanes.shift.value[j] > 0.0F ? d : 0.0F;
      d_x[j] = lanes.scale.value[j] * d_z +
               (lanes.slope.value[j] * (x[j] - lanes.mean.value[j]) + lanes.offset.value[j]);
    }
  }
}

DPLL_VECTOR_CLONES void backward_accumulate_kernel(float* __restrict d_x, const float* __restrict d_a,
                                                   const float* __restrict x, const GradientLanes& lanes,
                                                   std::int64_t rows, std::int64_t width,
                                                   std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, d_a += stride, d_x += stride) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const float d = d_a[j];
      const float d_z = x[j] * lanes.scale.value[j] + lanes.shift.value[j] > 0.0F ? d : 0.0F;
      d_x[j] += lanes.scale.value[j] * d_z +
                (lanes.slope.value[j] * (x[j] - lanes.mean.value[j]) + lanes.offset.value[j]);
    }
  }
}

// The part of a view that one thread handles.
struct Tile {
  int view;
  std::int64_t row_tile;
  std::int64_t first_row, rows;
  int first_channel, channels;
};

// How [V, n, C] is cut. With few channels, `repeat` rows are handled as one row of repeat * C lanes, which
// fill whole vectors; with many, a tile is a strip of kMaxLanes of them.
class Cut {
 public:
  explicit Cut(const BnGeometry& geometry) : geometry_(geometry) {
    const int c = geometry.channels;
    repeat_ = kVector / std::gcd(c, kVector);
    while (repeat_ * c < kMinLanes) repeat_ *= 2;
    if (repeat_ * c > kMaxLanes) repeat_ = 1;
    strips_ = (c + kMaxLanes - 1) / kMaxLanes;
    const std::int64_t strip = std::min(c, kMaxLanes);
    block_rows_ = round_up(std::max(kMinBlockRows, kBlock / strip), repeat_);
    tile_rows_ = round_up(kTile / strip, block_rows_);
    row_tiles_ = (geometry.rows + tile_rows_ - 1) / tile_rows_;
  }

  std::int64_t tiles() const { return geometry_.views * row_tiles_ * strips_; }
  std::int64_t row_tiles() const { return row_tiles_; }
  std::int64_t tile_rows() const { return tile_rows_; }
  int repeat() const { return repeat_; }

  Tile tile(std::int64_t i) const {
    Tile tile{};
    tile.view = static_cast<int>(i / strips_ / row_tiles_);
    tile.row_tile = i / strips_ % row_tiles_;
    tile.first_row = tile.row_tile * tile_rows_;
    tile.rows = std::min(tile_rows_, geometry_.rows - tile.first_row);
    tile.first_channel = static_cast<int>(i % strips_) * kMaxLanes;
    tile.channels = std::min(kMaxLanes, geometry_.channels - tile.first_channel);
    return tile;
  }
  // Where a tile begins in [V, n, C].
  std::int64_t element(const Tile& tile) const {
    return (tile.view * geometry_.rows + tile.first_row) * geometry_.channels + tile.first_channel;
  }
  // Where a tile's channels begin in [V, C].
  std::int64_t channel(const Tile& tile) const {
    return static_cast<std::int64_t>(tile.view) * geometry_.channels + tile.first_channel;
  }

  // Calls block(first, rows) for the blocks of a tile: rows counted from the tile's first.
  template <typename Block>
  void each_block(const Tile& tile, const Block& block) const {
    for (std::int64_t row = 0; row < tile.rows; row += block_rows_) {
      block(row, std::min(block_rows_, tile.rows - row));
    }
  }
  // Calls kernel(offset, rows, width, stride) so that `rows` rows of the tile from row `first` on are
  // covered: `repeat` rows at a time, then the rest. `offset` counts elements from the tile's first.
  template <typename Kernel>
  void run(const Tile& tile, std::int64_t first, std::int64_t rows, const Kernel& kernel) const {
    const std::int64_t offset = first * geometry_.channels;
    const std::int64_t stride = static_cast<std::int64_t>(repeat_) * geometry_.channels;
    const std::int64_t groups = rows / repeat_;
    const std::int64_t rest = rows % repeat_;
    if (groups > 0) kernel(offset, groups, static_cast<std::int64_t>(repeat_) * tile.channels, stride);
    if (rest > 0) kernel(offset + groups * stride, 1, rest * tile.channels, stride);
  }

 private:
  static std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
  }

  BnGeometry geometry_;
  int repeat_ = 1;
  int strips_ = 1;
  std::int64_t block_rows_ = 1;
  std::int64_t tile_rows_ = 1;
  std::int64_t row_tiles_ = 1;
};

// Where a tile's two doubles for each of its channels are: in [V, parts, 2, C].
struct Partial {
  double* first;
  double* second;
};

Partial partial_of(void* workspace, const BnGeometry& geometry, const Cut& cut, const Tile& tile) {
  double* first = static_cast<double*>(workspace) +
                  (tile.view * cut.row_tiles() + tile.row_tile) * 2 * geometry.channels + tile.first_channel;
  return {first, first + geometry.channels};
}

// Mean and centred sum of squares of n values.
struct Moments {
  double n, mean, square;
};

// Chan, Golub & LeVeque 1983, equation 2.1.
Moments combine(const Moments& a, const Moments& b) {
  const double n = a.n + b.n;
  const double delta = b.mean - a.mean;
  return {n, a.mean + delta * (b.n / n), a.square + b.square + delta * delta * (a.n * (b.n / n))};
}

void stats_of_tile(const Partial& partial, const Cut& cut, const Tile& tile, float* y,
                   const float* residual) {
  Lanes sum;
  Lanes square;
  Lanes centre;
  const int channels = tile.channels;
  const int repeat = cut.repeat();
  cut.each_block(tile, [&](std::int64_t first, std::int64_t rows) {
    const auto n = static_cast<double>(rows);
    sum.clear(channels * repeat);
    cut.run(tile, first, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
      if (residual != nullptr) {
        add_and_sum_kernel(sum.value, y + at, residual + at, r, width, stride);
      } else {
        sum_kernel(sum.value, y + at, r, width, stride);
      }
    });
    for (int c = 0; c < channels; ++c) {
      centre.value[c] = static_cast<float>(sum.sum_of(c, channels, repeat) / n);
    }
    centre.spread(channels, repeat);
    sum.clear(channels * repeat);
    square.clear(channels * repeat);
    cut.run(tile, first, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
      centred_kernel(sum.value, square.value, y + at, centre.value, r, width, stride);
    });
    for (int c = 0; c < channels; ++c) {
      // The centre is not quite the mean: its float32 sum is rounded. What it lacks is the centred sum.
      const double rest = sum.sum_of(c, channels, repeat);
      const double about_mean = square.sum_of(c, channels, repeat) - rest * rest / n;
      const Moments here{n, centre.value[c] + rest / n, about_mean < 0 ? 0 : about_mean};
      const Moments before{static_cast<double>(first), partial.first[c], partial.second[c]};
      const Moments both = first == 0 ? here : combine(before, here);
      partial.first[c] = both.mean;
      partial.second[c] = both.square;
    }
  });
}

void apply_to_tile(const Cut& cut, const Tile& tile, float* a, const float* x, const float* scale,
                   const float* shift) {
  Lanes scales;
  Lanes shifts;
  scales.set(scale, tile.channels, cut.repeat());
  shifts.set(shift, tile.channels, cut.repeat());
  cut.run(tile, 0, tile.rows,
          [&](std::int64_t at, std::int64_t rows, std::int64_t width, std::int64_t stride) {
            apply_kernel(a + at, x + at, scales.value, shifts.value, rows, width, stride);
          });
}

// Adds up d_z and d_z * (x - mean).
void sums_of_tile(const Partial& partial, const Cut& cut, const Tile& tile, const float* d_a, const float* x,
                  const float* mean, const float* scale, const float* shift) {
  Lanes sum;
  Lanes product;
  Lanes means;
  Lanes scales;
  Lanes shifts;
  const int channels = tile.channels;
  const int repeat = cut.repeat();
  means.set(mean, channels, repeat);
  scales.set(scale, channels, repeat);
  shifts.set(shift, channels, repeat);
  std::fill_n(partial.first, channels, 0.0);
  std::fill_n(partial.second, channels, 0.0);
  cut.each_block(tile, [&](std::int64_t first, std::int64_t rows) {
    sum.clear(channels * repeat);
    product.clear(channels * repeat);
    cut.run(tile, first, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
      backward_sums_kernel(sum.value, product.value, d_a + at, x + at, means.value, scales.value,
                           shifts.value, r, width, stride);
    });
    for (int c = 0; c < channels; ++c) {
      partial.first[c] += sum.sum_of(c, channels, repeat);
      partial.second[c] += product.sum_of(c, channels, repeat);
    }
  });
}

// Calls body(cut, tile) for the strips of a part that one thread handles as a whole.
template <typename Body>
void each_strip(std::int64_t rows, int channels, const Body& body) {
  const Cut cut({1, rows, channels});
  for (int first = 0; first < channels; first += kMaxLanes) {
    body(cut, Tile{0, 0, 0, rows, first, std::min(kMaxLanes, channels - first)});
  }
}

}  // namespace

void stats_of_part(double* part, float* y, const float* residual, std::int64_t rows, int channels) {
  each_strip(rows, channels, [&](const Cut& cut, const Tile& tile) {
    const int c = tile.first_channel;
    stats_of_tile({part + c, part + channels + c}, cut, tile, y + c,
                  residual == nullptr ? nullptr : residual + c);
  });
}

void combine_stats(float* stats, const double* parts, std::int64_t part_rows, const BnGeometry& geometry) {
  const std::int64_t channels = geometry.channels;
  const std::int64_t count = (geometry.rows + part_rows - 1) / part_rows;
  parallel_chunks(geometry.views * channels, kReduceGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t view = i / channels;
      const std::int64_t c = i % channels;
      const double* part = parts + view * count * 2 * channels + c;
      Moments all{0, 0, 0};
      for (std::int64_t p = 0; p < count; ++p, part += 2 * channels) {
        const std::int64_t rows = std::min(part_rows, geometry.rows - p * part_rows);
        all = combine(all, Moments{static_cast<double>(rows), part[0], part[channels]});
      }
      stats[(view * 2 + 0) * channels + c] = static_cast<float>(all.mean);
      stats[(view * 2 + 1) * channels + c] = static_cast<float>(all.square / all.n);
    }
  });
}

void bn_relu_apply_to_part(float* a, const float* x, const float* scale, const float* shift,
                           std::int64_t rows, int channels) {
  each_strip(rows, channels, [&](const Cut& cut, const Tile& tile) {
    const int c = tile.first_channel;
    apply_to_tile(cut, tile, a + c, x + c, scale + c, shift + c);
  });
}

void backward_sums_of_part(double* part, const float* d_a, const float* x, const float* mean,
                           const float* scale, const float* shift, std::int64_t rows, int channels) {
  each_strip(rows, channels, [&](const Cut& cut, const Tile& tile) {
    const int c = tile.first_channel;
    sums_of_tile({part + c, part + channels + c}, cut, tile, d_a + c, x + c, mean + c, scale + c, shift + c);
  });
}

void combine_backward_sums(float* sums, float* d_gamma, float* d_beta, const double* parts,
                           std::int64_t part_rows, const float* stats, const BnGeometry& geometry) {
  const std::int64_t channels = geometry.channels;
  const std::int64_t count = (geometry.rows + part_rows - 1) / part_rows;
  parallel_chunks(channels, kReduceGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const double* part = parts + c;
      double total = 0;
      double total_product = 0;
      for (int view = 0; view < geometry.views; ++view) {
        double sum = 0;
        double product = 0;
        for (std::int64_t p = 0; p < count; ++p, part += 2 * channels) {
          sum += part[0];
          product += part[channels];
        }
        product *= inverse_sigma(stats[(view * 2 + 1) * channels + c]);
        sums[(view * 2 + 0) * channels + c] = static_cast<float>(sum);
        sums[(view * 2 + 1) * channels + c] = static_cast<float>(product);
        total += sum;
        total_product += product;
      }
      d_beta[c] = static_cast<float>(total);
      d_gamma[c] = static_cast<float>(total_product);
    }
  });
}

std::size_t bn_workspace_bytes(const BnGeometry& geometry) {
  const std::int64_t tiles = geometry.views * Cut(geometry).row_tiles();
  return static_cast<std::size_t>(tiles * 2 * geometry.channels) * sizeof(double);
}

void view_stats(float* stats, float* y, const float* residual, const BnGeometry& geometry, void* workspace) {
  const Cut cut(geometry);
  parallel_chunks(cut.tiles(), 1, [&](std::int64_t i, std::int64_t) {
    const Tile tile = cut.tile(i);
    const std::int64_t at = cut.element(tile);
    stats_of_tile(partial_of(workspace, geometry, cut, tile), cut, tile, y + at,
                  residual == nullptr ? nullptr : residual + at);
  });
  combine_stats(stats, static_cast<double*>(workspace), cut.tile_rows(), geometry);
}

void batch_norm_prepare(float* scale, float* shift, const BatchNorm& bn, const float* stats,
                        const BnGeometry& geometry) {
  const auto* gamma = bn.gamma.as<float>();
  const auto* beta = bn.beta.as<float>();
  auto* running_mean = bn.running_mean.as<float>();
  auto* running_var = bn.running_var.as<float>();
  const auto n = static_cast<double>(geometry.rows);
  const double unbiased = n / std::max(1.0, n - 1);
  for (int view = 0; view < geometry.views; ++view) {
    const std::int64_t at = static_cast<std::int64_t>(view) * geometry.channels;
    const float* mean = stats == nullptr ? running_mean : stats + 2 * at;
    const float* var = stats == nullptr ? running_var : stats + 2 * at + geometry.channels;
    for (int c = 0; c < geometry.channels; ++c) {
      const double factor = gamma[c] * inverse_sigma(var[c]);
      scale[at + c] = static_cast<float>(factor);
      shift[at + c] = static_cast<float>(beta[c] - mean[c] * factor);
      if (stats != nullptr) {
        running_mean[c] += static_cast<float>(kBatchNormMomentum * (mean[c] - running_mean[c]));
        running_var[c] += static_cast<float>(kBatchNormMomentum * (var[c] * unbiased - running_var[c]));
      }
    }
  }
}

void bn_relu_apply(float* a, const float* x, const float* scale, const float* shift,
                   const BnGeometry& geometry) {
  const Cut cut(geometry);
  parallel_chunks(cut.tiles(), 1, [&](std::int64_t i, std::int64_t) {
    const Tile tile = cut.tile(i);
    const std::int64_t at = cut.element(tile);
    const std::int64_t channel = cut.channel(tile);
    apply_to_tile(cut, tile, a + at, x + at, scale + channel, shift + channel);
  });
}

void bn_relu_backward_sums(float* sums, float* d_gamma, float* d_beta, const float* d_a, const float* x,
                           const float* stats, const float* scale, const float* shift,
                           const BnGeometry& geometry, void* workspace) {
  const Cut cut(geometry);
  parallel_chunks(cut.tiles(), 1, [&](std::int64_t i, std::int64_t) {
    const Tile tile = cut.tile(i);
    const std::int64_t at = cut.element(tile);
    const std::int64_t channel = cut.channel(tile);
    const float* mean = stats + channel + tile.view * geometry.channels;  // of [V, 2, C]
    sums_of_tile(partial_of(workspace, geometry, cut, tile), cut, tile, d_a + at, x + at, mean,
                 scale + channel, shift + channel);
  });
  combine_backward_sums(sums, d_gamma, d_beta, static_cast<double*>(workspace), cut.tile_rows(), stats,
                        geometry);
}

void bn_relu_backward_apply(float* d_x, Accumulate accumulate, const float* d_a, const float* x,
                            const float* stats, const float* scale, const float* shift, const float* sums,
                            const BnGeometry& geometry) {
  const Cut cut(geometry);
  parallel_chunks(cut.tiles(), 1, [&](std::int64_t i, std::int64_t) {
    const Tile tile = cut.tile(i);
    const std::int64_t first = cut.element(tile);
    const std::int64_t channel = cut.channel(tile);
    // Of [V, 2, C].
    const std::int64_t pair = channel + static_cast<std::int64_t>(tile.view) * geometry.channels;
    const float* mean = stats + pair;
    const float* var = mean + geometry.channels;
    const float* sum = sums + pair;
    const float* product = sum + geometry.channels;
    GradientLanes lanes;
    lanes.mean.set(mean, tile.channels, cut.repeat());
    lanes.scale.set(scale + channel, tile.channels, cut.repeat());
    lanes.shift.set(shift + channel, tile.channels, cut.repeat());
    for (int c = 0; c < tile.channels; ++c) {
      const BnGradient gradient = bn_gradient(scale[channel + c], var[c], sum[c], product[c], geometry.rows);
      lanes.slope.value[c] = gradient.slope;
      lanes.offset.value[c] = gradient.offset;
    }
    lanes.slope.spread(tile.channels, cut.repeat());
    lanes.offset.spread(tile.channels, cut.repeat());
    const auto kernel = accumulate == Accumulate::yes ? backward_accumulate_kernel : backward_apply_kernel;
    cut.run(tile, 0, tile.rows,
            [&](std::int64_t at, std::int64_t rows, std::int64_t width, std::int64_t stride) {
              kernel(d_x + first + at, d_a + first + at, x + first + at, lanes, rows, width, stride);
            });
  });
}

}  // namespace dpll::cpu
