#include "backend/cpu/winograd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "backend/memory_plan.h"

namespace dpll::cpu {
namespace {

// What a block of tiles has in flight for one row of positions.
constexpr std::int64_t kConvBlockBytes = std::int64_t{64} << 10;
constexpr std::int64_t kGradientBlockBytes = std::int64_t{192} << 10;

// Columns of a tile: four where that is fewer multiplications and the sums have so many terms that the
// coefficients of the transforms do not dominate their error.
constexpr std::int64_t kTermsForFour = 32;
int tile_columns(const ConvGeometry& geometry, std::int64_t terms) {
  const int width = geometry.width, twos = (width + 1) / 2, fours = (width + 3) / 4;
  return terms >= kTermsForFour && 6 * fours < 4 * twos ? 4 : 2;
}

// The tiles of a number of images, in blocks of whole rows.
struct Tiling {
  Tiling(const ConvGeometry& geometry, int tile_width, std::int64_t block_bytes)
      : columns(tile_width),
        height(geometry.height),
        width(geometry.width),
        row_tiles((geometry.width + columns - 1) / columns),
        image_rows((geometry.height + 1) / 2),
        rows(geometry.images * image_rows) {
    const std::int64_t row_bytes = row_positions() * row_tiles *
                                   (geometry.in_channels + geometry.out_channels) *
                                   std::int64_t{sizeof(float)};
    block_rows = std::clamp<std::int64_t>(block_bytes / row_bytes, 1, rows);
  }

  int row_positions() const { return columns + 2; }
  int positions() const { return 4 * row_positions(); }
  const TileTransforms& transforms(const ConvolutionKernels& kernels) const {
    return columns == 2 ? kernels.two_columns : kernels.four_columns;
  }
  std::string name(const ConvolutionKernels& kernels) const {
    return fmt::format("Winograd F(2x{},3x3), {}", columns, kernels.name);
  }
  std::int64_t block_tiles() const { return block_rows * row_tiles; }
  // Between two positions. Not a multiple of a page: all positions of a tile would share one set of the
  // cache.
  std::int64_t stride(std::int64_t channels) const { return block_tiles() * channels + 16; }
  // Row y of the image that a row of tiles belongs to; null outside.
  template <typename T>
  T* pixels(T* images, std::int64_t tile_row, std::int64_t y, std::int64_t channels) const {
    if (y < 0 || y >= height) return nullptr;
    return images + (tile_row / image_rows * height + y) * width * channels;
  }
  std::int64_t top(std::int64_t tile_row) const { return 2 * (tile_row % image_rows); }

  int columns;  // of a tile: 2 or 4
  std::int64_t height, width;
  std::int64_t row_tiles;   // tiles of a row
  std::int64_t image_rows;  // rows of tiles of an image
  std::int64_t rows;        // of all images
  std::int64_t block_rows = 1;
};

// Row i of the transformed input of `count` rows of tiles from `first`.
void transform_inputs(const ConvolutionKernels& kernels, const Tiling& tiling, int i, float* v,
                      std::int64_t stride, const float* images, const float* zeros, std::int64_t first,
                      std::int64_t count, std::int64_t channels) {
  for (std::int64_t r = 0; r < count; ++r) {
    const std::int64_t top = tiling.top(first + r) - 1;
    const float* rows[4];
    for (std::int64_t y = 0; y < 4; ++y) {
      const float* row = tiling.pixels(images, first + r, top + y, channels);
      rows[y] = row == nullptr ? zeros : row;
    }
    tiling.transforms(kernels).input(i, v + r * tiling.row_tiles * channels, stride, rows, tiling.width,
                                     channels);
  }
}

// G of F(2, 3).
constexpr double kSmallFilterMatrix[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};

// G of F(4, 3).
struct FilterMatrix {
  explicit FilterMatrix(const ConvolutionKernels& kernels) {
    const double near = kernels.near, far = kernels.far, near2 = near * near, far2 = far * far;
    const double points[5] = {0, near, -near, far, -far};
    const double divisors[5] = {near2 * far2, 2 * near2 * (near2 - far2), 2 * near2 * (near2 - far2),
                                2 * far2 * (far2 - near2), 2 * far2 * (far2 - near2)};
    for (int j = 0; j < 5; ++j) {
      for (int s = 0; s < 3; ++s) g[j][s] = std::pow(points[j], s) / divisors[j];
    }
    g[5][2] = 1;
  }
  double g[6][3] = {};
};

// Filters of neighbouring output channels are transformed together, so many at once. Channels are a multiple
// of it.
constexpr int kGroup = 4, kPositions = 24;  // at most
using Values = float[kGroup];               // one of each filter

// The row g of three columns times G^T, as many positions as a row has.
void transform_filter_row(float* u, std::int64_t stride, int columns, const FilterMatrix& matrix,
                          const Values (&g)[3]) {
  for (int j = 0; j < columns + 2; ++j) {
    const double* const row = columns == 2 ? kSmallFilterMatrix[j] : matrix.g[j];
    for (int l = 0; l < kGroup; ++l) {
      u[j * stride + l] = static_cast<float>(row[0] * g[0][l] + row[1] * g[1][l] + row[2] * g[2][l]);
    }
  }
}

// U = G g G^T. Position k of filter l goes to u[k * stride + l].
void transform_filters(float* u, std::int64_t stride, int columns, const FilterMatrix& matrix,
                       const Values (&g)[3][3]) {
  for (int i = 0; i < 4; ++i) {
    const double* const row = kSmallFilterMatrix[i];
    Values half[3];  // G g
    for (int s = 0; s < 3; ++s) {
      for (int l = 0; l < kGroup; ++l) {
        half[s][l] = static_cast<float>(row[0] * g[0][s][l] + row[1] * g[1][s][l] + row[2] * g[2][s][l]);
      }
    }
    transform_filter_row(u + i * (columns + 2) * stride, stride, columns, matrix, half);
  }
}

enum class Direction { forward, backward };

class WinogradConvolution final : public Convolution {
 public:
  WinogradConvolution(const ConvGeometry& geometry, Direction direction, const ConvolutionKernels& kernels)
      : kernels_(kernels),
        direction_(direction),
        from_(direction == Direction::forward ? geometry.in_channels : geometry.out_channels),
        to_(direction == Direction::forward ? geometry.out_channels : geometry.in_channels),
        tiling_(geometry, tile_columns(geometry, from_), kConvBlockBytes) {
    v_ = plan_.add<float>(tiling_.row_positions() * tiling_.stride(from_));
    m_ = plan_.add<float>(tiling_.row_positions() * tiling_.stride(to_));
    zeros_ = plan_.add<float>(tiling_.width * from_);
    spare_ = plan_.add<float>(tiling_.width * to_);
  }

  std::size_t packed_bytes() const override {
    return static_cast<std::size_t>(tiling_.positions() * from_ * to_) * sizeof(float);
  }
  std::size_t scratch_bytes() const override { return plan_.bytes(); }
  std::string implementation() const override { return tiling_.name(kernels_); }

  const float* pack(float* packed, const float* weight, void* /*scratch*/) const override {
    const bool forward = direction_ == Direction::forward;
    const std::int64_t panel = kernels_.panel(), position = from_ * to_;
    const FilterMatrix matrix(kernels_);
#pragma omp parallel for schedule(static)
    for (std::int64_t t = 0; t < to_; t += kGroup) {
      const std::int64_t first = t / panel * panel, width = std::min(panel, to_ - first);
      for (std::int64_t f = 0; f < from_; ++f) {
        Values g[3][3];
        for (int l = 0; l < kGroup; ++l) {
          // conv^T is the convolution with the filter turned by 180 degrees.
          const float* filter = weight + (forward ? (t + l) * from_ + f : f * to_ + t + l) * 9;
          for (int k = 0; k < 9; ++k) g[k / 3][k % 3][l] = filter[forward ? k : 8 - k];
        }
        transform_filters(packed + first * from_ + f * width + (t - first), position, tiling_.columns, matrix,
                          g);
      }
    }
    return packed;
  }

  void run(int /*lane*/, float* to, const float* from, const float* packed, const float* /*bias*/,
           void* scratch) const noexcept override {
    float *v = v_.in(scratch), *m = m_.in(scratch), *zeros = zeros_.in(scratch);
    std::memset(zeros, 0, static_cast<std::size_t>(tiling_.width * from_) * sizeof(float));
    for (std::int64_t first = 0; first < tiling_.rows; first += tiling_.block_rows) {
      const std::int64_t count = std::min(tiling_.block_rows, tiling_.rows - first);
      for (int i = 0; i < 4; ++i) {
        transform_inputs(kernels_, tiling_, i, v, tiling_.stride(from_), from, zeros, first, count, from_);
        for (int j = 0; j < tiling_.row_positions(); ++j) {
          kernels_.multiply(m + j * tiling_.stride(to_), v + j * tiling_.stride(from_),
                            packed + (tiling_.row_positions() * i + j) * from_ * to_,
                            count * tiling_.row_tiles, from_, to_);
        }
        for (std::int64_t r = 0; r < count; ++r) {
          const std::int64_t top = tiling_.top(first + r);
          float* lower = tiling_.pixels(to, first + r, top + 1, to_);
          float* rows[2] = {tiling_.pixels(to, first + r, top, to_),
                            lower == nullptr ? spare_.in(scratch) : lower};
          tiling_.transforms(kernels_).output(i, rows, m + r * tiling_.row_tiles * to_, tiling_.stride(to_),
                                              tiling_.width, to_);
        }
      }
    }
  }

  void check() const override {}

 private:
  const ConvolutionKernels& kernels_;
  Direction direction_;
  std::int64_t from_, to_;  // channels
  Tiling tiling_;
  MemoryPlan plan_;
  Piece<float> v_, m_;  // one row of positions of a block
  Piece<float> zeros_;  // a row of pixels above or below the image
  Piece<float> spare_;  // takes the row below an image of odd height
};

// d_g = G^T S G of the sums S of V x Q over all tiles, where Q = A d A^T: the transpose of the above.
class WinogradWeightGradient final : public PartialWeightGradient {
 public:
  WinogradWeightGradient(const ConvGeometry& geometry, const ConvolutionKernels& kernels)
      : kernels_(kernels),
        tiling_(geometry, tile_columns(geometry, kTermsForFour), kGradientBlockBytes),
        in_(geometry.in_channels),
        out_(geometry.out_channels) {
    sums_ = plan_.add<float>(tiling_.positions() * in_ * out_);
    v_ = plan_.add<float>(tiling_.row_positions() * tiling_.stride(in_));
    q_ = plan_.add<float>(tiling_.row_positions() * tiling_.stride(out_));
    zeros_ = plan_.add<float>(tiling_.width * std::max(in_, out_));
  }

  std::size_t sums_bytes() const override { return bytes_of(tiling_.positions() * in_ * out_); }
  std::size_t scratch_bytes() const override { return plan_.bytes(); }
  std::string implementation() const override { return tiling_.name(kernels_); }

  void begin(void* scratch) const noexcept override {
    std::memset(sums_.in(scratch), 0, sums_bytes());
    std::memset(zeros_.in(scratch), 0, bytes_of(tiling_.width * std::max(in_, out_)));
  }

  void add(int /*lane*/, const float* a, const float* d_y, void* scratch) const noexcept override {
    for (std::int64_t first = 0; first < tiling_.rows; first += tiling_.block_rows) {
      add_block(a, d_y, scratch, first, std::min(tiling_.block_rows, tiling_.rows - first));
    }
  }

  void finish(float* d_weight, void* scratch, std::size_t lane_bytes, int lanes) const override {
    const FilterMatrix matrix(kernels_);
    // A line of the cache at a time.
    constexpr std::int64_t kLine = 64 / sizeof(float);
#pragma omp parallel for schedule(static)
    for (std::int64_t line = 0; line < out_; line += kLine) {
      for (std::int64_t c = 0; c < in_; ++c) {
        for (std::int64_t o = line; o < std::min(line + kLine, out_); o += kGroup) {
          finish_group(d_weight, scratch, lane_bytes, lanes, matrix, c, o);
        }
      }
    }
  }

 private:
  static std::size_t bytes_of(std::int64_t floats) {
    return static_cast<std::size_t>(floats) * sizeof(float);
  }

  void add_block(const float* a, const float* d_y, void* scratch, std::int64_t first,
                 std::int64_t count) const {
    float *sums = sums_.in(scratch), *v = v_.in(scratch), *q = q_.in(scratch);
    const float* zeros = zeros_.in(scratch);
    for (int i = 0; i < 4; ++i) {
      transform_inputs(kernels_, tiling_, i, v, tiling_.stride(in_), a, zeros, first, count, in_);
      for (std::int64_t r = 0; r < count; ++r) {
        const std::int64_t top = tiling_.top(first + r);
        const float* lower = tiling_.pixels(d_y, first + r, top + 1, out_);
        const float* rows[2] = {tiling_.pixels(d_y, first + r, top, out_), lower == nullptr ? zeros : lower};
        tiling_.transforms(kernels_).gradient(i, q + r * tiling_.row_tiles * out_, tiling_.stride(out_), rows,
                                              tiling_.width, out_);
      }
      for (int j = 0; j < tiling_.row_positions(); ++j) {
        kernels_.accumulate(sums + (tiling_.row_positions() * i + j) * in_ * out_,
                            v + j * tiling_.stride(in_), q + j * tiling_.stride(out_),
                            count * tiling_.row_tiles, in_, out_);
      }
    }
  }

  // The gradients of the filters from input channel c to the output channels from o on.
  void finish_group(float* d_weight, void* scratch, std::size_t lane_bytes, int lanes,
                    const FilterMatrix& matrix, std::int64_t c, std::int64_t o) const {
    Values s[kPositions] = {};
    for (int lane = 0; lane < lanes; ++lane) {
      const float* sums =
          sums_.in(static_cast<std::byte*>(scratch) + static_cast<std::size_t>(lane) * lane_bytes);
      for (int k = 0; k < tiling_.positions(); ++k) {
        for (int l = 0; l < kGroup; ++l) s[k][l] += sums[(k * in_ + c) * out_ + o + l];
      }
    }
    Values d_filters[3][3];
    transform_sums(d_filters, s, matrix);
    for (int l = 0; l < kGroup; ++l) {
      for (int k = 0; k < 9; ++k) d_weight[((o + l) * in_ + c) * 9 + k] = d_filters[k / 3][k % 3][l];
    }
  }

  // G^T S G.
  void transform_sums(Values (&d_filters)[3][3], const Values (&s)[kPositions],
                      const FilterMatrix& matrix) const {
    const int row = tiling_.row_positions();
    Values half[3][6];  // G^T S
    for (int j = 0; j < row; ++j) {
      for (int l = 0; l < kGroup; ++l) {
        const float second = s[row + j][l], third = s[2 * row + j][l], mean = (second + third) / 2;
        half[0][j][l] = s[j][l] + mean;
        half[1][j][l] = (second - third) / 2;
        half[2][j][l] = s[3 * row + j][l] + mean;
      }
    }
    for (int r = 0; r < 3; ++r) {
      const auto& h = half[r];
      const auto& g = matrix.g;
      for (int l = 0; l < kGroup; ++l) {
        if (tiling_.columns == 2) {
          const float mean = (h[1][l] + h[2][l]) / 2;
          d_filters[r][0][l] = h[0][l] + mean;
          d_filters[r][1][l] = (h[1][l] - h[2][l]) / 2;
          d_filters[r][2][l] = h[3][l] + mean;
        } else {
          // The rows of G for a point and its negative differ by the sign of the middle column.
          const double near = double{h[1][l]} + h[2][l], far = double{h[3][l]} + h[4][l];
          const double near_odd = double{h[1][l]} - h[2][l], far_odd = double{h[3][l]} - h[4][l];
          d_filters[r][0][l] = static_cast<float>(g[0][0] * h[0][l] + g[1][0] * near + g[3][0] * far);
          d_filters[r][1][l] = static_cast<float>(g[1][1] * near_odd + g[3][1] * far_odd);
          d_filters[r][2][l] = static_cast<float>(g[1][2] * near + g[3][2] * far + h[5][l]);
        }
      }
    }
  }

  const ConvolutionKernels& kernels_;
  Tiling tiling_;
  std::int64_t in_, out_;
  MemoryPlan plan_;
  Piece<float> sums_;   // [positions, in, out]
  Piece<float> v_, q_;  // one row of positions of a block
  Piece<float> zeros_;  // a row of pixels above or below the image
};

}  // namespace

bool winograd_suits(const ConvGeometry& geometry, const ConvolutionKernels& kernels) {
  return geometry.kernel == 3 && geometry.stride == 1 && geometry.pad == 1 &&
         geometry.in_channels % kernels.lanes == 0 && geometry.out_channels % kernels.lanes == 0;
}

std::unique_ptr<Convolution> winograd_forward(const ConvGeometry& geometry,
                                              const ConvolutionKernels& kernels) {
  return std::make_unique<WinogradConvolution>(geometry, Direction::forward, kernels);
}

std::unique_ptr<Convolution> winograd_backward_data(const ConvGeometry& geometry,
                                                    const ConvolutionKernels& kernels) {
  return std::make_unique<WinogradConvolution>(geometry, Direction::backward, kernels);
}

std::unique_ptr<PartialWeightGradient> winograd_backward_weight(const ConvGeometry& geometry,
                                                                const ConvolutionKernels& kernels) {
  return std::make_unique<WinogradWeightGradient>(geometry, kernels);
}

}  // namespace dpll::cpu
