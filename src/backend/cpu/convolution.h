// The convolutions that preact_conv is made of. All data in memory is float32; activations are NHWC, weights
// OIHW.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "dpll/core/tensor.h"

namespace dpll::cpu {

struct ConvGeometry {
  std::int64_t images = 1;    // of one run()
  int height = 1, width = 1;  // of the input
  int in_channels = 1, out_channels = 1;
  int kernel = 3, stride = 1, pad = 1;
  // f32; or bf16: the factors of all products are rounded to it, the products are added up in float32. A
  // shape for which oneDNN has no fast bf16 kernel is computed in float32.
  DType products = DType::f32;

  int out_height() const { return (height + 2 * pad - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * pad - kernel) / stride + 1; }
};

// From an activation to an activation. It is run by any number of "lanes", threads that call it at the same
// time, each with its own scratch memory; a run() uses the calling thread alone. What goes wrong in making it
// is thrown by the factory; run() is called in parallel regions, where nothing may be thrown, and keeps the
// first failure for check(). Each implementation chooses its own layout of the weight: "packed".
class Convolution {
 public:
  virtual ~Convolution() = default;
  virtual std::size_t packed_bytes() const = 0;   // 0 where that is OIHW itself
  virtual std::size_t scratch_bytes() const = 0;  // one lane's
  virtual std::string implementation() const = 0;
  // Returns the packed weight: `packed`, or `weight` itself. Called by one thread, uses all and one lane's
  // scratch.
  virtual const float* pack(float* packed, const float* weight, void* scratch) const = 0;
  virtual void run(int lane, float* to, const float* from, const float* packed, const float* bias,
                   void* scratch) const noexcept = 0;
  virtual void check() const = 0;  // throws what a run() met
  // With can_add(), add() is a run() without bias that adds to what `to` holds, which saves the caller two
  // passes.
  virtual bool can_add() const { return false; }
  virtual void add(int /*lane*/, float* /*to*/, const float* /*from*/, const float* /*packed*/,
                   void* /*scratch*/) const noexcept {}
};

// d_weight = the sum over images and pixels of d_y x a, of a whole batch. Called by one thread, uses all.
class WeightGradient {
 public:
  virtual ~WeightGradient() = default;
  virtual std::size_t scratch_bytes() const = 0;
  virtual std::string implementation() const = 0;
  virtual void run(float* d_weight, const float* a, const float* d_y, void* scratch) const = 0;
};

// The same, a few images at a time: each lane adds up its own, in its own scratch memory. Which lane is given
// which images decides in what order they are added up.
class PartialWeightGradient {
 public:
  virtual ~PartialWeightGradient() = default;
  virtual std::size_t sums_bytes() const = 0;     // of a lane's scratch: what every add() goes through
  virtual std::size_t scratch_bytes() const = 0;  // one lane's
  virtual std::string implementation() const = 0;
  virtual void begin(void* scratch) const noexcept = 0;
  virtual void add(int lane, const float* a, const float* d_y, void* scratch) const noexcept = 0;
  // Called by one thread, uses all. Lane l's scratch lies l * lane_bytes behind lane 0's. Throws what an
  // add() met.
  virtual void finish(float* d_weight, void* scratch, std::size_t lane_bytes, int lanes) const = 0;
};

// y [images, OH, OW, out] = conv(a [images, H, W, in], weight) + bias.
std::unique_ptr<Convolution> make_conv_forward(const ConvGeometry& geometry, bool bias, int lanes);
// d_a = conv^T(d_y, weight); run() from d_y to d_a, without bias.
std::unique_ptr<Convolution> make_conv_backward_data(const ConvGeometry& geometry, int lanes);
std::unique_ptr<WeightGradient> make_conv_backward_weight(const ConvGeometry& geometry);
bool has_partial_weight_gradient(const ConvGeometry& geometry);
// geometry: of one add(). Null where only the whole batch at once is fast.
std::unique_ptr<PartialWeightGradient> make_partial_weight_gradient(const ConvGeometry& geometry, int lanes);
// Whether this processor multiplies bf16 faster than float32.
bool has_fast_bf16();

}  // namespace dpll::cpu
