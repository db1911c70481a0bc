// The rounding error that a correct operation may have, derived from its arithmetic.
//
// Measure. Results are compared in groups that share their arithmetic: the values of one channel in one view
// of an activation, or of one output channel of a weight gradient. The error of a group is the root mean
// square of its differences. Its bound is the root mean square that the roundings explain, times kSafety,
// times 1 + 3 / sqrt(n). The last factor is needed because the root mean square of n random errors has a
// relative standard deviation of 1 / sqrt(2 n), and the largest of ten thousand groups is about four standard
// deviations away. Errors are given in units of their bound. A correct backend stays below 1; a wrong backend
// exceeds 1 as soon as the error of a group is larger than its rounding.
//
// A sum of products. Let S be the Euclidean norm of the L summands. A sum with random signs has about the
// size of S, but it may be nearly 0 (the gradient of a bias that a batch norm removes). So errors are
// measured relative to S, never to the result. S follows from the mean squares of both factors, channel by
// channel.
//   Factors   are rounded before they are multiplied, with unit roundoff u each. This adds u S for each of
//             them, because the roundings of different factors are independent. If the hardware truncates
//             instead (TF32), all factors and the result shrink by the same share; this adds u |result|.
//   Addition  in float32, one summand after the other: every partial sum has a random error of 2^-24 of
//             itself, together sqrt(L) 2^-24 P, where P is the larger one of S and the result. Winograd's
//             convolutions, which both the CPU and cuDNN use, have an error larger by a small constant:
//             kAddition. Summands that hardly vary (the gradients of a channel that ReLU blocks almost
//             everywhere) are always rounded in the same direction: L 2^-24 P more for a share kSameWay of
//             them. (The d_weight of a first layer on the CPU with batch 64 is at 0.3 of the bound; without
//             this term at 0.4, growing with L.) Tensor cores add about 16 products (8 of TF32) at a time and
//             truncate the sum below 2^-23 of it, always in the same direction: L / 16 times 2^-23 P more.
//   Storing   the result adds the unit roundoff of its type; f16 has no numbers between multiples of 2^-24,
//   so
//             it adds at least half of that.
//
// Batch norm. z = gamma (x - mean) / sigma + beta has an error of a few 2^-24 of its terms before they
// cancel: |gamma| (|x| + |mean|) / sigma + |beta|, called the reach. A part of this is the rounding of the
// factor and the offset, which is the same for all values of the channel. If a convolution that computes in
// 16 bits applies batch norm to its input, factor and offset have 16 bits, and this part is the unit roundoff
// of the type times the reach.
//
// ReLU's kink. If |z| is within rounding of 0, a gradient may pass on one side and not on the other. The same
// holds for the two largest values of a pooling window if they differ only by rounding. Such values are left
// out of the comparison of d_x, and their possible contribution is added to the bounds of the sums that
// contain them.
#pragma once

#include <algorithm>
#include <cmath>

#include "dpll/backend.h"
#include "dpll/config.h"

namespace dpll::check {

inline constexpr double kSafety = 2;
inline constexpr double kAddition = 4;
inline constexpr double kSameWay = 1.0 / 128;
inline constexpr double kFloatRoundoff = 0x1p-24;  // of float32
// The distance from ReLU's kink that still counts as on it, in units of float32's roundoff of the reach.
inline constexpr double kKink = 8;

struct Arithmetic {
  DType type = DType::f32;         // of activations and of their gradients
  double stored = kFloatRoundoff;  // unit roundoff of that type
  double smallest = 0;             // half the distance between its smallest numbers, if that matters
  double factor = 0;   // rounding of each factor that is stored in this type, when it is multiplied
  bool cuts = false;   // factors are truncated
  int at_once = 0;     // products that a tensor core adds at a time; 0: no tensor core
  bool fuses = false;  // convolutions may apply batch norm, with factor and offset of this type

  bool sixteen_bits() const { return type == DType::f16 || type == DType::bf16; }

  // Root mean square error of a sum of `length` products whose summands have the norm `norm`, computed in
  // float32 from the stored factors; `result` is the root mean square of the sum.
  double of_sum(double length, double norm, double result) const {
    const double partial = std::max(norm, result);
    double error = kFloatRoundoff * (kAddition * std::sqrt(length) + kSameWay * length) * partial;
    if (at_once > 0) error += length / at_once * 2 * kFloatRoundoff * partial;
    return error + 2 * factor * norm + (cuts ? 2 * factor * result : 0);
  }
  // The error by which all results shrink or grow in the same direction.
  double of_cut(double result) const { return cuts ? 2 * factor * std::abs(result) : 0; }
  // The error of storing values with this root mean square.
  double of_storing(double values) const { return stored * values + smallest; }
};

// `precision` distinguishes f32 and tf32 if the backend's compute type is f32.
Arithmetic arithmetic_of(const Backend& backend, Precision precision);

}  // namespace dpll::check
