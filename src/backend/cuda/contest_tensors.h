// What contests of the tuner are made of: random inputs, outputs with the bounds within which right results
// lie.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "backend/cuda/contest.h"
#include "backend/cuda/recomputed.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// How far two right results may be apart.
struct Bound {
  double relative = 0, absolute = 0;
};

// Half the spacing of `type` at 1.
double unit_roundoff(DType type);

// Of a sum of `length` products of size `term` that is stored as `type`. Stored values may be two roundings
// apart. Sums are float32, in any order, hence linear in the length. `of_factors`: how far the factors of the
// products may be off, relatively. Tensor cores, which multiply 16-bit and tf32 factors, cut off instead of
// rounding each time they have added 16 products to a sum, which is of size sqrt(length) term: always toward
// zero, so that this adds up.
Bound bound_of_sum(DType type, double length, double term, double of_factors);

// Root mean square of values uniform in [-1, 1].
inline constexpr double kUniformRms = 0.5773502691896258;

// Vectors of a batch norm over `channels` channels, for inputs x that are multiples of kQuantum:
//   z = gamma (x - mean) inverse_deviation + beta
// The mean lies half a quantum off and beta is some quanta, scaled, so that no z lies where rounding could
// turn its sign: all masks of ReLU must be the same.
inline constexpr double kQuantum = 0x1p-5;
struct NormVectors {
  std::vector<float> mean, inverse_deviation, gamma, beta;
  NormVectors(int channels, std::uint32_t seed);
};

// Makes the tensors of a contest, which keeps their memory.
class ContestTensors {
 public:
  ContestTensors(Runtime& runtime, Contest& contest) : runtime_(runtime), contest_(contest) {}

  void* memory(std::size_t bytes);
  // Uniform in [-scale, scale]; with quantum > 0 multiples of it. `again` becomes what draws the same values
  // anew, where they have been overwritten.
  void* random(DType type, std::int64_t elements, double scale, double quantum = 0,
               std::function<void()>* again = nullptr);
  float* vector(const std::vector<float>& values);
  void* rounded_vector(const std::vector<float>& values, DType type);  // rounded to `type`
  void* output(const std::string& name, DType type, std::int64_t elements, const Bound& bound);
  // Elements of the last output must be what `element` computes of their indices, which is not called before
  // the first contender has run.
  void known(std::function<double(std::int64_t)> element);
  // The last two outputs, f32 [channels], must be sums over the rows of y [rows, channels] as it was stored:
  // of y itself and of y * factor(index of the element of y).
  void known_sums(const void* y, DType type, std::int64_t rows, int channels,
                  std::function<double(std::int64_t, double)> factor);
  HostValues on_host(const void* data, DType type, std::int64_t elements) {
    return {runtime_, data, type, elements};
  }

 private:
  Runtime& runtime_;
  Contest& contest_;
  std::uint64_t seed_ = 0;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
