// The inner loops of the convolutions that are our own, one set for each vector instruction set: products of
// matrices that are small enough to stay near a core, and the transforms of Winograd's minimal filtering.
//
// Letters of the transforms as in Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (2016),
// F(2x2, 3x3) and F(2x4, 3x3): the output is cut into tiles of two rows and two or four columns of pixels.
// Such a tile of w columns depends on 4 x (w + 2) pixels of the input and is computed from as many
// "positions". Tiles are taken by rows of an image, positions by rows as well: what is in flight then stays
// in the first-level cache. Position (i, j) of tile t and channel c lies at j * stride + t * channels + c of
// a buffer for row i.
#pragma once

#include <cstdint>
#include <span>

namespace dpll::cpu {

// Pixels of two images that belong together: pixel x of line y lies y * line + x * step floats from the
// first.
struct PixelLines {
  std::int64_t lines, length;   // pixels of a line
  std::int64_t a_line, a_step;  // of one image
  std::int64_t b_line, b_step;  // of the other
};

// The transforms for tiles of one width.
struct TileTransforms {
  // Row i of V = B^T d B for a row of tiles, whose input lies in rows[4], each [width, channels].
  void (*input)(int i, float* v, std::int64_t stride, const float* const* rows, std::int64_t width,
                std::int64_t channels);
  // What row i of M adds to a row of tiles of A^T M A, rows[2], each [width, channels]. In the order of i:
  // what the rows held before does not matter.
  void (*output)(int i, float* const* rows, const float* m, std::int64_t stride, std::int64_t width,
                 std::int64_t channels);
  // Row i of Q = A d A^T for a row of tiles whose output gradient lies in rows[2], each [width, channels].
  void (*gradient)(int i, float* q, std::int64_t stride, const float* const* rows, std::int64_t width,
                   std::int64_t channels);
};

struct ConvolutionKernels {
  const char* name;
  // Floats of a vector. Channels must be a multiple of it.
  int lanes;

  // The points of F(4, 3) are 0, +-near, +-far and infinity.
  float near, far;
  TileTransforms two_columns, four_columns;

  // m [rows, out] = v [rows, in] u; u is packed, see panel().
  void (*multiply)(float* m, const float* v, const float* u, std::int64_t rows, std::int64_t in,
                   std::int64_t out);
  // s [in, out] += v [rows, in]^T q [rows, out].
  void (*accumulate)(float* s, const float* v, const float* q, std::int64_t rows, std::int64_t in,
                     std::int64_t out);

  // The same products for one panel, of rows that lie apart or overlap.
  // c [rows, channels] (+)= a [rows, length] u [length, channels]; channels: panel() or half of it.
  void (*multiply_panel)(float* c, std::int64_t c_stride, const float* a, std::int64_t a_stride,
                         const float* u, std::int64_t rows, std::int64_t length, std::int64_t channels,
                         bool add);
  // s [in, out] += the sum over pixels of a[pixel][0 .. in)^T b[pixel][0 .. out).
  void (*accumulate_lines)(float* s, const float* a, const float* b, const PixelLines& pixels,
                           std::int64_t in, std::int64_t out);

  // u [in, out] lies in panels of so many output channels, the last one may be half: [panel][in][channels].
  std::int64_t panel() const { return std::int64_t{2} * lanes; }
};

// The sets that were built and that this processor can run, the best first. None: oneDNN does it all.
std::span<const ConvolutionKernels* const> available_convolution_kernels();
// The first of them; null where there is none.
const ConvolutionKernels* convolution_kernels();

// Each set: its file asks for nothing but its own instruction set, and is built where the compiler has that.
const ConvolutionKernels* convolution_kernels_avx512();
const ConvolutionKernels* convolution_kernels_avx2();
const ConvolutionKernels* convolution_kernels_neon();

}  // namespace dpll::cpu
