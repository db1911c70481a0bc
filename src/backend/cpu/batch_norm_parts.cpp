#include "backend/cpu/batch_norm_parts.h"

#include <algorithm>
#include <vector>

#include "backend/cpu/batch_norm_lanes.h"
#include "backend/cpu/parallel.h"
#include "backend/shared_statistics.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kUsualBlocks = 8;  // of a part

// Channels whose parts one thread puts together at a time.
constexpr std::int64_t kPartsGrain = 256;

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

// Every block is centred about a value near its mean, the first one about its own, found in a pass before,
// the others about the mean of the blocks before them. That is accurate enough: a block of n values whose
// mean is delta away loses about 2^-24 n delta^2 of its squares, and adds at least n delta^2 / 2 to the
// tile's.
void stats_of_strip(double* mean, double* centred, const Strip& strip, float* y, const float* residual,
                    std::int64_t part_rows) {
  Lanes sum;
  Lanes square;
  Lanes centre;
  alignas(64) double block_sum[kMaxLanes];
  alignas(64) double block_square[kMaxLanes];
  const int channels = strip.channels();
  const int repeat = strip.repeat();
  std::fill_n(mean, channels, 0.0);
  std::fill_n(centred, channels, 0.0);
  for (std::int64_t first = 0; first < part_rows; first += strip.block_rows()) {
    const std::int64_t rows = std::min(strip.block_rows(), part_rows - first);
    const auto n = static_cast<double>(rows);
    const float* to_add = residual;
    if (first == 0) {
      sum.clear(strip.lanes());
      strip.run(0, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
        if (residual != nullptr) {
          add_and_sum_kernel(sum.value, y + at, residual + at, r, width, stride);
        } else {
          sum_kernel(sum.value, y + at, r, width, stride);
        }
      });
      fold_lanes(mean, sum.value, channels, repeat);
      for (int c = 0; c < channels; ++c) mean[c] /= n;
      to_add = nullptr;
    }
    for (int c = 0; c < channels; ++c) centre.value[c] = static_cast<float>(mean[c]);
    centre.spread(channels, repeat);
    sum.clear(strip.lanes());
    square.clear(strip.lanes());
    strip.run(first, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
      if (to_add != nullptr) {
        add_and_centred_kernel(sum.value, square.value, y + at, to_add + at, centre.value, r, width, stride);
      } else {
        centred_kernel(sum.value, square.value, y + at, centre.value, r, width, stride);
      }
    });
    std::fill_n(block_sum, channels, 0.0);
    std::fill_n(block_square, channels, 0.0);
    fold_lanes(block_sum, sum.value, channels, repeat);
    fold_lanes(block_square, square.value, channels, repeat);
    moments_kernel(block_sum, block_square, centre.value, n, channels);
    combine_kernel(mean, centred, static_cast<double>(first), block_sum, block_square, n, channels);
  }
}

// Adds up d_z and d_z * (x - mean).
void backward_sums_of_strip(double* sums, double* products, const Strip& strip, const float* d_a,
                            const float* x, const float* mean, const float* scale, const float* shift,
                            std::int64_t part_rows) {
  Lanes sum;
  Lanes product;
  Lanes means;
  Lanes scales;
  Lanes shifts;
  const int channels = strip.channels();
  const int repeat = strip.repeat();
  means.set(mean, channels, repeat);
  scales.set(scale, channels, repeat);
  shifts.set(shift, channels, repeat);
  std::fill_n(sums, channels, 0.0);
  std::fill_n(products, channels, 0.0);
  for (std::int64_t first = 0; first < part_rows; first += strip.block_rows()) {
    const std::int64_t rows = std::min(strip.block_rows(), part_rows - first);
    sum.clear(strip.lanes());
    product.clear(strip.lanes());
    strip.run(first, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
      backward_sums_kernel(sum.value, product.value, d_a + at, x + at, means.value, scales.value,
                           shifts.value, r, width, stride);
    });
    fold_lanes(sums, sum.value, channels, repeat);
    fold_lanes(products, product.value, channels, repeat);
  }
}

// A channel's two doubles in [V, parts, 2, C].
struct Pair {
  double* first;
  double* second;
};

Pair pair_of(double* parts, const BnGeometry& geometry, std::int64_t count, std::int64_t view,
             std::int64_t part, std::int64_t channel) {
  double* first = parts + (view * count + part) * 2 * geometry.channels + channel;
  return {first, first + geometry.channels};
}

}  // namespace

DPLL_VECTOR_CLONES void fold_lanes(double* __restrict total, const float* __restrict lanes,
                                   std::int64_t channels, std::int64_t repeat) {
  for (std::int64_t k = 0; k < repeat; ++k, lanes += channels) {
    for (std::int64_t c = 0; c < channels; ++c) total[c] += lanes[c];
  }
}

std::int64_t usual_part_rows(int channels) {
  return kUsualBlocks * Strip(0, channels).block_rows();
}

void stats_of_part(double* sums, float* y, const float* residual, std::int64_t rows, int channels) {
  each_strip(channels, [&](const Strip& strip, int c) {
    stats_of_strip(sums + c, sums + channels + c, strip, y + c, residual == nullptr ? nullptr : residual + c,
                   rows);
  });
}

void combine_stats(float* stats, double* parts, std::int64_t part_rows, const BnGeometry& geometry) {
  const std::int64_t channels = geometry.channels;
  const std::int64_t count = parts_of_view(geometry, part_rows);
  // [V, 2, C]: means and centred sums of squares.
  std::vector<double> own(
      static_cast<std::size_t>(geometry.ranks != nullptr ? 2 * geometry.views * channels : 0));
  for (int view = 0; view < geometry.views; ++view) {
    parallel_chunks(channels, kPartsGrain, [&](std::int64_t begin, std::int64_t end) {
      const Pair all = pair_of(parts, geometry, count, view, 0, begin);
      auto n = static_cast<double>(std::min(part_rows, geometry.rows));
      for (std::int64_t t = 1; t < count; ++t) {
        const Pair more = pair_of(parts, geometry, count, view, t, begin);
        const auto rows = static_cast<double>(std::min(part_rows, geometry.rows - t * part_rows));
        combine_kernel(all.first, all.second, n, more.first, more.second, rows, end - begin);
        n += rows;
      }
      for (std::int64_t c = begin; c < end; ++c) {
        const std::int64_t mean = view * 2 * channels + c, var = mean + channels;
        if (geometry.ranks != nullptr) {
          own[static_cast<std::size_t>(mean)] = all.first[c - begin];
          own[static_cast<std::size_t>(var)] = all.second[c - begin];
        } else {
          stats[mean] = static_cast<float>(all.first[c - begin]);
          stats[var] = static_cast<float>(all.second[c - begin] / n);
        }
      }
    });
  }
  if (geometry.ranks == nullptr) return;
  merge_moments(*geometry.ranks, own, geometry.rows, geometry.views, channels);
  const auto n = static_cast<double>(geometry.counted());
  for (int view = 0; view < geometry.views; ++view) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t mean = view * 2 * channels + c, var = mean + channels;
      stats[mean] = static_cast<float>(own[static_cast<std::size_t>(mean)]);
      stats[var] = static_cast<float>(own[static_cast<std::size_t>(var)] / n);
    }
  }
}

void bn_relu_apply_to_part(float* a, const float* x, const float* scale, const float* shift,
                           std::int64_t rows, int channels) {
  Lanes scales;
  Lanes shifts;
  each_strip(channels, [&](const Strip& strip, int c) {
    scales.set(scale + c, strip.channels(), strip.repeat());
    shifts.set(shift + c, strip.channels(), strip.repeat());
    strip.run(0, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
      apply_kernel(a + c + at, x + c + at, scales.value, shifts.value, r, width, stride);
    });
  });
}

void bn_relu_backward_sums_of_part(double* sums, const float* d_a, const float* x, const float* mean,
                                   const float* scale, const float* shift, std::int64_t rows, int channels) {
  each_strip(channels, [&](const Strip& strip, int c) {
    backward_sums_of_strip(sums + c, sums + channels + c, strip, d_a + c, x + c, mean + c, scale + c,
                           shift + c, rows);
  });
}

void combine_backward_sums(float* sums, float* d_gamma, float* d_beta, double* parts, std::int64_t part_rows,
                           const float* stats, const BnGeometry& geometry) {
  const std::int64_t channels = geometry.channels;
  const std::int64_t count = parts_of_view(geometry, part_rows);
  SharedSums shared(geometry.ranks, sums, std::int64_t{geometry.views} * 2 * channels);
  parallel_chunks(channels, kPartsGrain, [&](std::int64_t begin, std::int64_t end) {
    for (int view = 0; view < geometry.views; ++view) {
      const Pair all = pair_of(parts, geometry, count, view, 0, begin);
      for (std::int64_t t = 1; t < count; ++t) {
        const Pair more = pair_of(parts, geometry, count, view, t, begin);
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
        const Pair all = pair_of(parts, geometry, count, view, 0, c);
        const double product = *all.second * inverse_sigma(stats[(view * 2 + 1) * channels + c]);
        shared.set((view * 2 + 0) * channels + c, *all.first);
        shared.set((view * 2 + 1) * channels + c, product);
        total += *all.first;
        total_product += product;
      }
      d_beta[c] = static_cast<float>(total);
      d_gamma[c] = static_cast<float>(total_product);
    }
  });
  shared.finish();
}

void bn_relu_backward_apply_to_part(float* d_x, Accumulate accumulate, const float* d_a, const float* x,
                                    const float* stats, const float* scale, const float* shift,
                                    const float* sums, std::int64_t view_rows, std::int64_t rows,
                                    int channels) {
  const auto kernel = accumulate == Accumulate::yes ? backward_accumulate_kernel : backward_apply_kernel;
  GradientLanes lanes;
  each_strip(channels, [&](const Strip& strip, int c) {
    lanes.mean.set(stats + c, strip.channels(), strip.repeat());
    lanes.scale.set(scale + c, strip.channels(), strip.repeat());
    lanes.shift.set(shift + c, strip.channels(), strip.repeat());
    for (int i = 0; i < strip.channels(); ++i) {
      const BnGradient gradient =
          bn_gradient(scale[c + i], stats[channels + c + i], sums[c + i], sums[channels + c + i], view_rows);
      lanes.slope.value[i] = gradient.slope;
      lanes.offset.value[i] = gradient.offset;
    }
    lanes.slope.spread(strip.channels(), strip.repeat());
    lanes.offset.spread(strip.channels(), strip.repeat());
    strip.run(0, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
      kernel(d_x + c + at, d_a + c + at, x + c + at, lanes, r, width, stride);
    });
  });
}

}  // namespace dpll::cpu
