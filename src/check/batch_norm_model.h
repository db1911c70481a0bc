// Batch norm and ReLU in float64 from a call's own numbers: what they should give, how they are conditioned
// and which values lie on ReLU's kink. See arithmetic.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "check/measure.h"

namespace dpll::check {

class BatchNormModel {
 public:
  // x [V, n, C] as `groups` says, stats [V, 2, C], gamma and beta [C]; they must outlive the model.
  BatchNormModel(const Groups& groups, const Floats& x, const Floats& stats, const Floats& gamma,
                 const Floats& beta)
      : groups_(groups), x_(x), stats_(stats), gamma_(gamma), beta_(beta) {}

  // Of a channel in a view: z = gain (x - mean) + beta.
  struct Lane {
    double mean, inverse_deviation, gain, beta;
    double z(float x) const { return gain * (static_cast<double>(x) - mean) + beta; }
    double normal(float x) const { return (static_cast<double>(x) - mean) * inverse_deviation; }
    double reach(float x) const {
      return std::abs(gain) * (std::abs(static_cast<double>(x)) + std::abs(mean)) + std::abs(beta);
    }
    // How far rounding may move z.
    double kink(float x) const { return kKink * kFloatRoundoff * reach(x); }
  };
  Lane lane(std::int64_t view, std::int64_t channel) const;

  Floats activation() const;  // relu(z), shape of x
  Doubles reach() const;      // root mean square of each group
  const Groups& groups() const { return groups_; }
  const Floats& x() const { return x_; }

  struct Gradient {
    Floats d_x;
    Doubles d_gamma, d_beta;  // [C]
    // Of each group, with d_z the gradient of z and x_hat = (x - mean) / sigma:
    Doubles sum, product;                    // of d_z, of d_z x_hat
    Doubles sum_squares, product_squares;    // of their squares
    Doubles doubtful_sum, doubtful_product;  // what values on the kink can add to `sum` and `product`
    std::vector<std::uint8_t> left_out;      // values of d_x that depend on the side of the kink
  };
  // d_a: gradient of relu(z), shape of x. `kink`: what counts as on the kink beside rounding. `doubtful`:
  // empty, or gradients that values may or may not get for another reason, 0 for none.
  Gradient gradient(const Floats& d_a, double kink = 0, const Floats& doubtful = {}) const;
  // Where the mask of ReLU depends on more than x: from d_z itself.
  Gradient gradient_of(const Floats& d_z, const Floats& doubtful) const;

 private:
  // passes(lane, i): whether ReLU lets the gradient of value i through; doubt(lane, i): what it may add or
  // lack.
  template <typename Passes, typename Doubt>
  Gradient masked_gradient(const Floats& d_a, const Passes& passes, const Doubt& doubt) const;

  Groups groups_;
  const Floats &x_, &stats_, &gamma_, &beta_;
};

}  // namespace dpll::check
