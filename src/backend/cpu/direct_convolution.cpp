#include "backend/cpu/direct_convolution.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/memory_plan.h"

namespace dpll::cpu {
namespace {

// Pixels of d_a that see the same panel of the weight in turn: it comes from the second-level cache once for
// so many.
constexpr std::int64_t kInputBlockPixels = 128;
// Pixels that d_weight's sums are taken over in registers; those of both images stay in the first-level
// cache.
constexpr std::int64_t kGradientBlockPixels = 64;
// What of a panel stays in the first-level cache beside the activations.
constexpr std::int64_t kPanelBytes = std::int64_t{24} << 10;

struct Range {
  std::int64_t begin, end;
  bool empty() const { return begin >= end; }
};

Range both(Range a, Range b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

// Along one axis of the image: pixel to_first + j * to_step of the result is a sum over `taps` neighbouring
// pixels t of the source, from_first + j * from_step + t. Tap t is the kernel's k_first + t * k_step.
struct Axis {
  std::int64_t to_first, to_step, from_first, from_step, count, taps, k_first, k_step, from_size;

  std::int64_t to(std::int64_t j) const { return to_first + j * to_step; }
  std::int64_t from(std::int64_t j) const { return from_first + j * from_step; }
  // Taps that lie in the source.
  Range taps_of(std::int64_t j) const { return both({0, taps}, {-from(j), from_size - from(j)}); }
  // Results that see tap t.
  Range seeing(std::int64_t t) const {
    Range range{0, count};
    while (!range.empty() && from(range.begin) + t < 0) ++range.begin;
    while (!range.empty() && from(range.end - 1) + t >= from_size) --range.end;
    return range;
  }
  // Those that see all.
  Range inner() const { return both(seeing(0), seeing(taps - 1)); }
};

Axis forward_axis(std::int64_t size, std::int64_t out_size, const ConvGeometry& g) {
  return {.to_first = 0,
          .to_step = 1,
          .from_first = -g.pad,
          .from_step = g.stride,
          .count = out_size,
          .taps = g.kernel,
          .k_first = 0,
          .k_step = 1,
          .from_size = size};
}

// Of the pixels whose remainder by the stride is `remainder`, from the output's gradient to the input's.
// Later pixels of the source are seen through earlier taps of the kernel.
Axis backward_axis(std::int64_t size, std::int64_t out_size, const ConvGeometry& g, std::int64_t remainder) {
  const std::int64_t stride = g.stride, first = (remainder + g.pad) % stride;
  const std::int64_t taps = first < g.kernel ? (g.kernel - first + stride - 1) / stride : 0;
  const std::int64_t last = first + (taps - 1) * stride;
  return {.to_first = remainder,
          .to_step = stride,
          .from_first = (remainder + g.pad - last) / stride,
          .from_step = 1,
          .count = (size - remainder + stride - 1) / stride,
          .taps = taps,
          .k_first = last,
          .k_step = -stride,
          .from_size = out_size};
}

// A 1x1 convolution of stride 1 does not know where an image ends.
ConvGeometry merged(ConvGeometry g) {
  if (g.kernel > 1 || g.stride > 1) return g;
  g.height *= static_cast<int>(g.images);
  g.images = 1;
  return g;
}

class DirectBackwardData final : public Convolution {
 public:
  DirectBackwardData(const ConvGeometry& geometry, const ConvolutionKernels& kernels)
      : kernels_(kernels),
        g_(merged(geometry)),
        from_{g_.out_height(), g_.out_width(), g_.out_channels},
        to_{g_.height, g_.width, g_.in_channels} {
    for (int h = 0; h < g_.stride; ++h) {
      for (int w = 0; w < g_.stride; ++w) {
        const Part part{backward_axis(to_.height, from_.height, g_, h),
                        backward_axis(to_.width, from_.width, g_, w)};
        if (part.rows.taps > 0 && part.columns.taps > 0) parts_.push_back(part);
      }
    }
    place_taps();
    const std::int64_t width = (to_.width + g_.stride - 1) / g_.stride;
    block_rows_ = std::max<std::int64_t>(1, kInputBlockPixels / width);
  }

  std::size_t packed_bytes() const override {
    return static_cast<std::size_t>(from_.channels * to_.channels * g_.kernel * g_.kernel) * sizeof(float);
  }
  std::size_t scratch_bytes() const override { return 0; }
  std::string implementation() const override { return std::string("direct, ") + kernels_.name; }

  const float* pack(float* packed, const float* weight, void* /*scratch*/) const override {
    const std::int64_t from = from_.channels, to = to_.channels, panel = kernels_.panel();
    const auto taps = static_cast<std::int64_t>(taps_.size());
#pragma omp parallel for schedule(static)
    for (std::int64_t f = 0; f < from; ++f) {
      for (std::int64_t t = 0; t < to; ++t) {
        const float* filter = weight + (f * to + t) * taps;
        const std::int64_t first = t / panel * panel, width = std::min(panel, to - first);
        for (std::int64_t k = 0; k < taps; ++k) {
          const Tap& tap = taps_[static_cast<std::size_t>(k)];
          packed[tap.row_begin + first * tap.row_length + (tap.begin + f) * width + (t - first)] = filter[k];
        }
      }
    }
    return packed;
  }

  void run(int /*lane*/, float* to, const float* from, const float* packed, const float* /*bias*/,
           void* /*scratch*/) const noexcept override {
    // The one tap of a 1x1 kernel writes, the many of others are added up.
    const bool writes = g_.kernel == 1;
    const std::int64_t steps = g_.stride, height = to_.height, row = to_.row();
    for_each_block(to, from, [&](float* image, const float* source, Range block) {
      if (!writes || steps > 1) {
        const std::int64_t begin = block.begin * steps, end = std::min(height, block.end * steps);
        std::memset(image + begin * row, 0, static_cast<std::size_t>((end - begin) * row) * sizeof(float));
      }
      add_block(image, source, packed, block, !writes);
    });
  }

  void check() const override {}

  bool can_add() const override {
    return true;
  }
  void add(int /*lane*/, float* to, const float* from, const float* packed,
           void* /*scratch*/) const noexcept override {
    for_each_block(to, from, [&](float* image, const float* source, Range block) {
      add_block(image, source, packed, block, true);
    });
  }

 private:
  struct Image {
    std::int64_t height, width, channels;
    std::int64_t row() const { return width * channels; }
    std::int64_t elements() const { return height * row(); }
  };
  // Pixels that see the same taps.
  struct Part {
    Axis rows, columns;
    std::int64_t packed = 0;  // where its weight begins: [rows' taps][panel][columns' taps, from][channels]
  };
  // Where a tap of the kernel lies in the packed weight.
  struct Tap {
    std::int64_t row_begin, row_length, begin;
  };

  void place_taps() {
    taps_.resize(static_cast<std::size_t>(g_.kernel) * static_cast<std::size_t>(g_.kernel));
    std::int64_t packed = 0;
    for (Part& part : parts_) {
      part.packed = packed;
      const std::int64_t length = part.columns.taps * from_.channels;
      for (std::int64_t h = 0; h < part.rows.taps; ++h, packed += length * to_.channels) {
        for (std::int64_t w = 0; w < part.columns.taps; ++w) {
          const std::int64_t k = (part.rows.k_first + h * part.rows.k_step) * g_.kernel +
                                 part.columns.k_first + w * part.columns.k_step;
          taps_[static_cast<std::size_t>(k)] = {packed, length, w * from_.channels};
        }
      }
    }
  }

  // Calls body(image of `to`, image of `from`, rows of each part) for all.
  template <typename Body>
  void for_each_block(float* to, const float* from, const Body& body) const {
    const std::int64_t rows = (to_.height + g_.stride - 1) / g_.stride;
    for (std::int64_t n = 0; n < g_.images; ++n, to += to_.elements(), from += from_.elements()) {
      for (std::int64_t first = 0; first < rows; first += block_rows_) {
        body(to, from, Range{first, first + block_rows_});
      }
    }
  }

  void add_block(float* to, const float* from, const float* packed, Range block, bool add) const {
    for (const Part& part : parts_) add_part(part, to, from, packed, block, add);
  }

  void add_part(const Part& part, float* to, const float* from, const float* packed, Range block,
                bool add) const {
    const std::int64_t length = part.columns.taps * from_.channels, panel = kernels_.panel();
    for (std::int64_t first = 0; first < to_.channels; first += panel) {
      const std::int64_t width = std::min(panel, to_.channels - first);
      for (std::int64_t h = 0; h < part.rows.taps; ++h) {
        const Range rows = both(block, part.rows.seeing(h));
        if (rows.empty()) continue;
        const float* u = packed + part.packed + h * length * to_.channels + first * length;
        const Product product{part, to + first, from, u, h, width, add};
        add_inner(product, rows);
        add_borders(product, rows);
      }
    }
  }

  // One panel of one row of taps.
  struct Product {
    const Part& part;
    float* to;
    const float* from;
    const float* u;
    std::int64_t h, width;
    bool add;
  };

  // The pixels that see all taps of the row, row by row.
  void add_inner(const Product& p, Range rows) const {
    const Axis& columns = p.part.columns;
    const Range inner = columns.inner();
    if (inner.empty()) return;
    const std::int64_t length = columns.taps * from_.channels;
    const std::int64_t most = kPanelBytes / (p.width * std::int64_t{sizeof(float)});
    const std::int64_t pieces = (length + most - 1) / most;
    for (std::int64_t i = 0; i < pieces; ++i) {
      const std::int64_t begin = i * length / pieces, end = (i + 1) * length / pieces;
      for (std::int64_t j = rows.begin; j < rows.end; ++j) {
        float* to = p.to + p.part.rows.to(j) * to_.row() + columns.to(inner.begin) * to_.channels;
        const float* from =
            p.from + (p.part.rows.from(j) + p.h) * from_.row() + columns.from(inner.begin) * from_.channels;
        kernels_.multiply_panel(to, columns.to_step * to_.channels, from + begin,
                                columns.from_step * from_.channels, p.u + begin * p.width,
                                inner.end - inner.begin, end - begin, p.width, p.add || i > 0);
      }
    }
  }

  // The others, column by column: one such pixel alone would wait for its own sum.
  void add_borders(const Product& p, Range rows) const {
    const Axis &columns = p.part.columns, &lines = p.part.rows;
    Range inner = columns.inner();
    if (inner.empty()) inner = {columns.count, columns.count};
    for (std::int64_t j = 0; j < columns.count; ++j) {
      if (j == inner.begin) j = inner.end;
      if (j >= columns.count) break;
      const Range taps = columns.taps_of(j);
      if (taps.empty()) continue;
      float* to = p.to + lines.to(rows.begin) * to_.row() + columns.to(j) * to_.channels;
      const float* from = p.from + (lines.from(rows.begin) + p.h) * from_.row() +
                          (columns.from(j) + taps.begin) * from_.channels;
      kernels_.multiply_panel(to, lines.to_step * to_.row(), from, lines.from_step * from_.row(),
                              p.u + taps.begin * from_.channels * p.width, rows.end - rows.begin,
                              (taps.end - taps.begin) * from_.channels, p.width, true);
    }
  }

  const ConvolutionKernels& kernels_;
  ConvGeometry g_;
  Image from_, to_;  // d_y, d_a
  std::vector<Part> parts_;
  std::vector<Tap> taps_;
  std::int64_t block_rows_ = 1;  // of each part
};

class DirectWeightGradient final : public PartialWeightGradient {
 public:
  DirectWeightGradient(const ConvGeometry& geometry, const ConvolutionKernels& kernels)
      : kernels_(kernels),
        g_(merged(geometry)),
        in_(g_.in_channels),
        out_(g_.out_channels),
        rows_(forward_axis(g_.height, g_.out_height(), g_)),
        columns_(forward_axis(g_.width, g_.out_width(), g_)),
        block_rows_(std::max<std::int64_t>(1, kGradientBlockPixels / g_.out_width())) {
    sums_ = plan_.add<float>(std::int64_t{g_.kernel} * g_.kernel * in_ * out_);
  }

  std::size_t sums_bytes() const override {
    return static_cast<std::size_t>(std::int64_t{g_.kernel} * g_.kernel * in_ * out_) * sizeof(float);
  }
  std::size_t scratch_bytes() const override { return plan_.bytes(); }
  std::string implementation() const override { return std::string("direct, ") + kernels_.name; }

  void begin(void* scratch) const noexcept override { std::memset(sums_.in(scratch), 0, sums_bytes()); }

  void add(int /*lane*/, const float* a, const float* d_y, void* scratch) const noexcept override {
    const std::int64_t row = g_.width * in_, out_row = g_.out_width() * out_;
    for (std::int64_t n = 0; n < g_.images; ++n, a += g_.height * row, d_y += rows_.count * out_row) {
      for (std::int64_t first = 0; first < rows_.count; first += block_rows_) {
        for (std::int64_t h = 0; h < g_.kernel; ++h) {
          const Range lines = both({first, first + block_rows_}, rows_.seeing(h));
          if (lines.empty()) continue;
          add_lines(sums_.in(scratch) + h * g_.kernel * in_ * out_, a + (rows_.from(lines.begin) + h) * row,
                    d_y + lines.begin * out_row, lines.end - lines.begin);
        }
      }
    }
  }

  void finish(float* d_weight, void* scratch, std::size_t lane_bytes, int lanes) const override {
    const std::int64_t taps = std::int64_t{g_.kernel} * g_.kernel;
    // Sums lie by output channels, d_weight has them outermost: a vector's at a time.
#pragma omp parallel for schedule(static)
    for (std::int64_t first = 0; first < out_; first += kOutputs) {
      for (std::int64_t i = 0; i < in_; ++i) {
        for (std::int64_t k = 0; k < taps; ++k) {
          float sum[kOutputs] = {};
          for (int lane = 0; lane < lanes; ++lane) {
            const float* sums =
                sums_.in(static_cast<std::byte*>(scratch) + static_cast<std::size_t>(lane) * lane_bytes) +
                (k * in_ + i) * out_ + first;
            for (std::int64_t o = 0; o < kOutputs; ++o) sum[o] += sums[o];
          }
          for (std::int64_t o = 0; o < kOutputs; ++o) {
            d_weight[((first + o) * in_ + i) * taps + k] = sum[o];
          }
        }
      }
    }
  }

 private:
  // A divisor of every vector.
  static constexpr std::int64_t kOutputs = 8;

  // What `lines` rows of d_y give to one row of taps.
  void add_lines(float* sums, const float* a, const float* d_y, std::int64_t lines) const {
    const std::int64_t line = rows_.from_step * g_.width * in_, d_y_line = columns_.count * out_;
    const Range inner = columns_.inner();
    if (!inner.empty()) {
      const PixelLines pixels{lines, inner.end - inner.begin, line, columns_.from_step * in_, d_y_line, out_};
      kernels_.accumulate_lines(sums, a + columns_.from(inner.begin) * in_, d_y + inner.begin * out_, pixels,
                                columns_.taps * in_, out_);
    }
    // Pixels at the borders do not see all taps; column by column.
    for (std::int64_t j = 0; j < columns_.count; ++j) {
      const Range taps = columns_.taps_of(j);
      if (taps.empty() || taps.end - taps.begin == columns_.taps) continue;
      kernels_.accumulate_lines(sums + taps.begin * in_ * out_, a + (columns_.from(j) + taps.begin) * in_,
                                d_y + j * out_, {1, lines, 0, line, 0, d_y_line},
                                (taps.end - taps.begin) * in_, out_);
    }
  }

  const ConvolutionKernels& kernels_;
  ConvGeometry g_;
  std::int64_t in_, out_;
  Axis rows_, columns_;
  std::int64_t block_rows_;
  MemoryPlan plan_;
  Piece<float> sums_;  // [taps, in, out]
};

}  // namespace

bool direct_suits(const ConvGeometry& geometry, const ConvolutionKernels& kernels) {
  return geometry.pad < geometry.kernel && geometry.in_channels % kernels.lanes == 0 &&
         geometry.out_channels % kernels.lanes == 0;
}

std::unique_ptr<Convolution> direct_backward_data(const ConvGeometry& geometry,
                                                  const ConvolutionKernels& kernels) {
  return std::make_unique<DirectBackwardData>(geometry, kernels);
}

std::unique_ptr<PartialWeightGradient> direct_backward_weight(const ConvGeometry& geometry,
                                                              const ConvolutionKernels& kernels) {
  return std::make_unique<DirectWeightGradient>(geometry, kernels);
}

}  // namespace dpll::cpu
