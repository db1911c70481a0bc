// How far an operation may be off that does what its contract says, from the arithmetic it is done in.
//
// Measure. Results are compared in groups that share their arithmetic: the values of one channel in one view
// of an activation, of one output channel of a weight's gradient. A group's error is the root mean square of
// its differences; its bound is the root mean square that the roundings on the way explain, times kSafety,
// times 1 + 3 / sqrt(n), because the root mean square of n random errors scatters by 1 / sqrt(2 n) of itself
// and the largest of ten thousand groups lies about four such deviations out. An error is told in units of
// its bound: a right backend stays below 1, a wrong one does not as soon as a group is off by more than its
// rounding.
//
// A sum of products. Let S be the Euclidean norm of the L summands. A sum with random signs is about S large,
// but it may come out as nearly 0 (the gradient of a bias that a batch norm removes), so errors are measured
// by S, never by the result. S follows from the mean squares of both factors, channel by channel.
//   Factors   that are rounded before they are multiplied, with unit roundoff u each: u S, once for each of
//             them, as roundings of different factors are independent. Where the hardware cuts digits off
//             instead (TF32), all factors shrink alike and the result does by the same share: u |result|
//             more.
//   Addition  in float32, one summand after the other: every partial sum is off by 2^-24 of itself at random,
//             sqrt(L) 2^-24 P together, where P is S or, if that is larger, the result. Winograd's
//             convolutions, which both the CPU and cuDNN use, lose a small constant more: kAddition. Summands
//             that hardly vary (the gradients of a channel that ReLU blocks almost everywhere) are rounded
//             the same way again and again: L 2^-24 P more for a share kSameWay of them. (A first layer's
//             d_weight on the CPU, batch 64: 0.3 of the bound; without this term 0.4, and growing with L.)
//             Tensor cores take about 16 products (8 of TF32) at a time and cut the sum's digits off below
//             2^-23 of it, in the same direction every time: L / 16 times 2^-23 P more.
//   Storing   the result: its type's unit roundoff of it; f16 has no numbers between multiples of 2^-24, so
//             half of that at least.
//
// Batch norm. z = gamma (x - mean) / sigma + beta is off by a few 2^-24 of its terms before they cancel,
// |gamma| (|x| + |mean|) / sigma + |beta|, its reach. Part of that is the rounding of the factor and the
// offset, which all values of the channel share. Where a convolution that computes in 16 bits applies batch
// norm to what it reads, it has factor and offset in 16 bits, and that share is the type's unit roundoff of
// the reach.
//
// ReLU's kink. Where |z| is within rounding of 0, one side may let a gradient through and the other not; the
// same holds for the two largest of a window that are within rounding of each other. Such values are left out
// of the comparison of d_x, and what they can contribute is added to the bounds of the sums they are part of.
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
// How close to ReLU's kink counts as on it, in units of float32's roundoff of the reach.
inline constexpr double kKink = 8;

struct Arithmetic {
  DType type = DType::f32;         // of activations and of their gradients
  double stored = kFloatRoundoff;  // unit roundoff of that type
  double smallest = 0;             // half the distance between its smallest numbers, where that matters
  double factor = 0;               // what multiplying takes from each factor that is stored in that type
  bool cuts = false;               // digits of factors are cut off
  int at_once = 0;                 // products that a tensor core adds at a time; 0: there is none
  bool fuses = false;              // convolutions may apply batch norm, with factor and offset of that type

  bool sixteen_bits() const { return type == DType::f16 || type == DType::bf16; }

  // Root mean square error of a sum of `length` products whose summands have norm `norm`, computed in float32
  // from factors as they are stored; `result` is the sum's own root mean square.
  double of_sum(double length, double norm, double result) const {
    const double partial = std::max(norm, result);
    double error = kFloatRoundoff * (kAddition * std::sqrt(length) + kSameWay * length) * partial;
    if (at_once > 0) error += length / at_once * 2 * kFloatRoundoff * partial;
    return error + 2 * factor * norm + (cuts ? 2 * factor * result : 0);
  }
  // Of what all results shrink or grow by alike.
  double of_cut(double result) const { return cuts ? 2 * factor * std::abs(result) : 0; }
  // Of storing values of this root mean square.
  double of_storing(double values) const { return stored * values + smallest; }
};

// `precision`: which of f32 and tf32 it is where the backend's compute type is f32.
Arithmetic arithmetic_of(const Backend& backend, Precision precision);

}  // namespace dpll::check
