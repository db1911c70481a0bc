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

// A view's rows are cut into blocks, within which sums are float32, and blocks are put together in double, a
// tile of them by one thread. A block has about kBlock floats but not fewer rows than kMinBlockRows, over
// which the work for each channel at its end is spread.
constexpr std::int64_t kBlock = 1 << 13;
constexpr std::int64_t kMinBlockRows = 64;
constexpr std::int64_t kTileBlocks = 8;

// Channels whose tiles one thread puts together at a time.
constexpr std::int64_t kReduceGrain = 256;

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

DPLL_VECTOR_CLONES void add_and_centred_kernel(float* __restrict sum, float* __restrict square,
                                               float* __restrict y, const float* __restrict residual,
                                               const float* __restrict centre, std::int64_t rows,
                                               std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, y += stride, residual += stride) {
    for (std::int64_t j = 0; j < width; ++j) {
      y[j] += residual[j];
      const float d = y[j] - centre[j];
      sum[j] += d;
      square[j] += d * d;
    }
  }
}

// Adds each channel's lanes to total [channels].
DPLL_VECTOR_CLONES void fold_kernel(double* __restrict total, const float* __restrict lanes,
                                    std::int64_t channels, std::int64_t repeat) {
  for (std::int64_t k = 0; k < repeat; ++k, lanes += channels) {
    for (std::int64_t c = 0; c < channels; ++c) total[c] += lanes[c];
  }
}

// Turns n values' sums of x - centre and its square into their mean and centred sum of squares.
DPLL_VECTOR_CLONES void moments_kernel(double* __restrict sum, double* __restrict square,
                                       const float* __restrict centre, double n, std::int64_t channels) {
  const double inverse = 1 / n;
  for (std::int64_t c = 0; c < channels; ++c) {
    const double distance = sum[c] * inverse;
    const double about_mean = square[c] - sum[c] * distance;
    sum[c] = centre[c] + distance;
    square[c] = 0.0 > about_mean ? 0.0 : about_mean;
  }
}

// Puts the mean and centred sum of squares of n more values to those of `before` values. Chan, Golub &
// LeVeque 1983, equation 2.1.
DPLL_VECTOR_CLONES void combine_kernel(double* __restrict mean, double* __restrict square, double before,
                                       const double* __restrict more_mean,
                                       const double* __restrict more_square, double n,
                                       std::int64_t channels) {
  const double share = n / (before + n);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double delta = more_mean[c] - mean[c];
    mean[c] += delta * share;
    square[c] += more_square[c] + delta * delta * (before * share);
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
    tile_rows_ = kTileBlocks * block_rows_;
    row_tiles_ = (geometry.rows + tile_rows_ - 1) / tile_rows_;
  }

  std::int64_t tiles() const { return geometry_.views * row_tiles_ * strips_; }
  std::int64_t row_tiles() const { return row_tiles_; }
  std::int64_t rows_of(std::int64_t row_tile) const {
    return std::min(tile_rows_, geometry_.rows - row_tile * tile_rows_);
  }
  int repeat() const { return repeat_; }

  Tile tile(std::int64_t i) const {
    Tile tile{};
    tile.view = static_cast<int>(i / strips_ / row_tiles_);
    tile.row_tile = i / strips_ % row_tiles_;
    tile.first_row = tile.row_tile * tile_rows_;
    tile.rows = rows_of(tile.row_tile);
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

// Two doubles for each channel of a tile, in workspace [V, row tiles, 2, C]: view_stats has the mean and the
// centred sum of squares, bn_relu_backward_sums the two sums.
struct Partial {
  double* first;
  double* second;
};

Partial partial_of(void* workspace, const BnGeometry& geometry, const Cut& cut, int view,
                   std::int64_t row_tile, std::int64_t channel) {
  double* first =
      static_cast<double*>(workspace) + (view * cut.row_tiles() + row_tile) * 2 * geometry.channels + channel;
  return {first, first + geometry.channels};
}

// Every block is centred about a value near its mean, the first one about its own, found in a pass before,
// the others about the mean of the blocks before them. That is accurate enough: a block of n values whose
// mean is delta away loses about 2^-24 n delta^2 of its squares, and adds at least n delta^2 / 2 to the
// tile's.
void stats_of_tile(const Partial& partial, const Cut& cut, const Tile& tile, float* y,
                   const float* residual) {
  Lanes sum;
  Lanes square;
  Lanes centre;
  alignas(64) double block_sum[kMaxLanes];
  alignas(64) double block_square[kMaxLanes];
  const int channels = tile.channels;
  const int repeat = cut.repeat();
  std::fill_n(partial.first, channels, 0.0);
  std::fill_n(partial.second, channels, 0.0);
  cut.each_block(tile, [&](std::int64_t first, std::int64_t rows) {
    const auto n = static_cast<double>(rows);
    const float* to_add = residual;
    if (first == 0) {
      sum.clear(channels * repeat);
      cut.run(tile, 0, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
        if (residual != nullptr) {
          add_and_sum_kernel(sum.value, y + at, residual + at, r, width, stride);
        } else {
          sum_kernel(sum.value, y + at, r, width, stride);
        }
      });
      fold_kernel(partial.first, sum.value, channels, repeat);
      for (int c = 0; c < channels; ++c) partial.first[c] /= n;
      to_add = nullptr;
    }
    for (int c = 0; c < channels; ++c) centre.value[c] = static_cast<float>(partial.first[c]);
    centre.spread(channels, repeat);
    sum.clear(channels * repeat);
    square.clear(channels * repeat);
    cut.run(tile, first, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
      if (to_add != nullptr) {
        add_and_centred_kernel(sum.value, square.value, y + at, to_add + at, centre.value, r, width, stride);
      } else {
        centred_kernel(sum.value, square.value, y + at, centre.value, r, width, stride);
      }
    });
    std::fill_n(block_sum, channels, 0.0);
    std::fill_n(block_square, channels, 0.0);
    fold_kernel(block_sum, sum.value, channels, repeat);
    fold_kernel(block_square, square.value, channels, repeat);
    moments_kernel(block_sum, block_square, centre.value, n, channels);
    combine_kernel(partial.first, partial.second, static_cast<double>(first), block_sum, block_square, n,
                   channels);
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
    fold_kernel(partial.first, sum.value, channels, repeat);
    fold_kernel(partial.second, product.value, channels, repeat);
  });
}

}  // namespace

std::size_t bn_workspace_bytes(const BnGeometry& geometry) {
  const std::int64_t tiles = geometry.views * Cut(geometry).row_tiles();
  return static_cast<std::size_t>(tiles * 2 * geometry.channels) * sizeof(double);
}

void view_stats(float* stats, float* y, const float* residual, const BnGeometry& geometry, void* workspace) {
  const Cut cut(geometry);
  const std::int64_t channels = geometry.channels;
  parallel_chunks(cut.tiles(), 1, [&](std::int64_t i, std::int64_t) {
    const Tile tile = cut.tile(i);
    const std::int64_t at = cut.element(tile);
    stats_of_tile(partial_of(workspace, geometry, cut, tile.view, tile.row_tile, tile.first_channel), cut,
                  tile, y + at, residual == nullptr ? nullptr : residual + at);
  });
  for (int view = 0; view < geometry.views; ++view) {
    parallel_chunks(channels, kReduceGrain, [&](std::int64_t begin, std::int64_t end) {
      const Partial all = partial_of(workspace, geometry, cut, view, 0, begin);
      auto n = static_cast<double>(cut.rows_of(0));
      for (std::int64_t t = 1; t < cut.row_tiles(); ++t) {
        const Partial more = partial_of(workspace, geometry, cut, view, t, begin);
        const auto rows = static_cast<double>(cut.rows_of(t));
        combine_kernel(all.first, all.second, n, more.first, more.second, rows, end - begin);
        n += rows;
      }
      for (std::int64_t c = begin; c < end; ++c) {
        stats[(view * 2 + 0) * channels + c] = static_cast<float>(all.first[c - begin]);
        stats[(view * 2 + 1) * channels + c] = static_cast<float>(all.second[c - begin] / n);
      }
    });
  }
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
    const std::int64_t first = cut.element(tile);
    const std::int64_t channel = cut.channel(tile);
    Lanes scales;
    Lanes shifts;
    scales.set(scale + channel, tile.channels, cut.repeat());
    shifts.set(shift + channel, tile.channels, cut.repeat());
    cut.run(tile, 0, tile.rows,
            [&](std::int64_t at, std::int64_t rows, std::int64_t width, std::int64_t stride) {
              apply_kernel(a + first + at, x + first + at, scales.value, shifts.value, rows, width, stride);
            });
  });
}

void bn_relu_backward_sums(float* sums, float* d_gamma, float* d_beta, const float* d_a, const float* x,
                           const float* stats, const float* scale, const float* shift,
                           const BnGeometry& geometry, void* workspace) {
  const Cut cut(geometry);
  const std::int64_t channels = geometry.channels;
  parallel_chunks(cut.tiles(), 1, [&](std::int64_t i, std::int64_t) {
    const Tile tile = cut.tile(i);
    const std::int64_t at = cut.element(tile);
    const std::int64_t channel = cut.channel(tile);
    const float* mean = stats + channel + tile.view * channels;  // of [V, 2, C]
    sums_of_tile(partial_of(workspace, geometry, cut, tile.view, tile.row_tile, tile.first_channel), cut,
                 tile, d_a + at, x + at, mean, scale + channel, shift + channel);
  });
  parallel_chunks(channels, kReduceGrain, [&](std::int64_t begin, std::int64_t end) {
    for (int view = 0; view < geometry.views; ++view) {
      const Partial all = partial_of(workspace, geometry, cut, view, 0, begin);
      for (std::int64_t t = 1; t < cut.row_tiles(); ++t) {
        const Partial more = partial_of(workspace, geometry, cut, view, t, begin);
        for (std::int64_t c = 0; c < end - begin; ++c) {
          all.first[c] += more.first[c];
          all.second[c] += more.second[c];
        }
      }
    }
    for (std::int64_t c = begin; c < end; ++c) {
      double total = 0;
      double total_product = 0;
      for (int view = 0; view < geometry.views; ++view) {
        const Partial all = partial_of(workspace, geometry, cut, view, 0, c);
        const double product = *all.second * inverse_sigma(stats[(view * 2 + 1) * channels + c]);
        sums[(view * 2 + 0) * channels + c] = static_cast<float>(*all.first);
        sums[(view * 2 + 1) * channels + c] = static_cast<float>(product);
        total += *all.first;
        total_product += product;
      }
      d_beta[c] = static_cast<float>(total);
      d_gamma[c] = static_cast<float>(total_product);
    }
  });
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
