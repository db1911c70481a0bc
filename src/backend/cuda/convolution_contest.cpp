#include "backend/cuda/convolution_contest.h"

#include <cmath>

#include "comparison.h"
#include "core/half.h"
#include "dpll/core/philox.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// How far two right results may be apart, of a sum of `length` products of size `term`.
struct Bound {
  double relative = 0, absolute = 0;
};

// Half the spacing of `type` at 1.
double unit_roundoff(DType type) {
  return type == DType::f16 ? 0x1p-11 : type == DType::bf16 ? 0x1p-8 : 0x1p-24;
}

// Stored values may be two roundings apart. Sums are float32, in any order, hence linear in the length.
// `of_factors`: how far the factors of the products may be off, relatively.
Bound bound_of_sum(DType type, double length, double term, double of_factors) {
  return {4 * unit_roundoff(type), 4 * term * (2 * of_factors * std::sqrt(length) + 0x1p-23 * length)};
}

// Builds the tensors of a contest.
class Tensors {
 public:
  Tensors(Runtime& runtime, Contest& contest) : runtime_(runtime), contest_(contest) {}

  void* memory(std::size_t bytes) {
    return contest_.memory.emplace_back(std::make_shared<ScratchMemory>(runtime_, bytes))->data();
  }
  // Uniform in [-scale, scale]: a root mean square of scale / sqrt(3).
  void* random(DType type, std::int64_t elements, double scale, double quantum = 0) {
    void* const data = memory(static_cast<std::size_t>(elements) * size_of(type));
    fill_uniform(data, type, elements, ++seed_, static_cast<float>(scale), static_cast<float>(quantum),
                 runtime_.stream());
    return data;
  }
  float* vector(const std::vector<float>& values) {
    void* const data = memory(values.size() * sizeof(float));
    runtime_.copy_in(data, values.data(), values.size() * sizeof(float));
    return static_cast<float*>(data);
  }
  void* output(const char* name, DType type, std::int64_t elements, const Bound& bound) {
    void* const data = memory(static_cast<std::size_t>(elements) * size_of(type));
    contest_.outputs.push_back({name, data, type, elements, bound.relative, bound.absolute});
    return data;
  }

 private:
  Runtime& runtime_;
  Contest& contest_;
  std::uint64_t seed_ = 0;
};

// z = gamma (x - mean) + beta with every x a multiple of the quantum, the mean half a quantum off and beta
// gamma times some quanta: no z lies where rounding could turn its sign, so all masks must be the same.
constexpr double kQuantum = 0x1p-5;

struct NormVectors {
  std::vector<float> mean, inverse_deviation, gamma, beta;

  explicit NormVectors(int channels) {
    PhiloxStream draw(7, Purpose::split, 0, 0, 0);
    for (int c = 0; c < channels; ++c) {
      const auto quanta = [&](std::uint32_t most) {
        return kQuantum * (static_cast<double>(draw.next_below(2 * most)) - most);
      };
      const double scale =
          (0.5 + static_cast<double>(draw.next_float())) * (draw.next_below(4) == 0 ? -1 : 1);
      mean.push_back(static_cast<float>(quanta(8) + kQuantum / 2));
      inverse_deviation.push_back(static_cast<float>(0.5 + static_cast<double>(draw.next_float())));
      gamma.push_back(static_cast<float>(scale));
      beta.push_back(gamma.back() * inverse_deviation.back() * static_cast<float>(quanta(8)));
    }
  }
};

}  // namespace

double operations_of(const ConvolutionShape& s) {
  return 2.0 * static_cast<double>(s.y_elements()) * s.kernel * s.kernel * s.in_channels;
}

Contest convolution_contest(Runtime& runtime, const ConvolutionShape& s, ConvolutionPass pass,
                            const std::vector<ConvolutionOffer>& offers, bool tf32) {
  Contest contest;
  contest.operations = operations_of(s);
  Tensors make(runtime, contest);
  const double taps = s.kernel * s.kernel, rows = static_cast<double>(s.y_elements()) / s.out_channels;
  const double rms = 1 / std::sqrt(3.0);  // of values uniform in [-1, 1]
  const double weight_scale = 1 / std::sqrt(taps * s.in_channels);
  const bool activated = pass == ConvolutionPass::activated_forward_statistics ||
                         pass == ConvolutionPass::activated_weight_gradient;
  // 16-bit factors are exact, but for an activation, which is a rounding of its own.
  const double of_factors = activated                      ? 2 * unit_roundoff(s.type)
                            : s.type == DType::f32 && tf32 ? 0x1p-11
                                                           : 0;
  ConvolutionTensors t;
  const NormVectors norm(s.in_channels);
  if (activated) {
    const auto half_vector = [&](const std::vector<float>& values) {
      std::vector<std::uint16_t> bits;
      for (const float value : values) bits.push_back(float_to_f16(value));
      void* const data = make.memory(bits.size() * sizeof(std::uint16_t));
      runtime.copy_in(data, bits.data(), bits.size() * sizeof(std::uint16_t));
      return data;
    };
    t.scale = half_vector(norm.gamma);
    t.bias = half_vector(norm.beta);
  }
  switch (pass) {
    case ConvolutionPass::forward:
    case ConvolutionPass::forward_statistics:
    case ConvolutionPass::activated_forward_statistics: {
      t.x = make.random(s.type, s.x_elements(), 1);
      t.weight = make.random(s.type, s.weight_elements(), weight_scale);
      const Bound of_y =
          bound_of_sum(s.type, taps * s.in_channels, (activated ? 1 : rms) * rms * weight_scale, of_factors);
      t.y = make.output("y", s.type, s.y_elements(), of_y);
      if (pass == ConvolutionPass::forward) break;
      // Of y of size about 1; every summand is off by its own rounding at most.
      const double of_rounding = 2 * unit_roundoff(s.type) * std::sqrt(rows) + 0x1p-23 * rows;
      const Bound of_sums = {0, 4 * of_rounding + of_y.absolute * std::sqrt(rows)};
      t.sum = static_cast<float*>(make.output("sum", DType::f32, s.out_channels, of_sums));
      t.squares = static_cast<float*>(
          make.output("squares", DType::f32, s.out_channels, {8 * unit_roundoff(s.type), of_sums.absolute}));
      break;
    }
    case ConvolutionPass::data_gradient:
      t.y = make.random(s.type, s.y_elements(), 1);
      t.weight = make.random(s.type, s.weight_elements(), weight_scale);
      t.x = make.output("d_x", s.type, s.x_elements(),
                        bound_of_sum(s.type, taps * s.out_channels, rms * rms * weight_scale, of_factors));
      break;
    case ConvolutionPass::weight_gradient:
    case ConvolutionPass::activated_weight_gradient:
      t.x = make.random(s.type, s.x_elements(), 1);
      t.y = make.random(s.type, s.y_elements(), 1);
      t.weight = make.output("d_weight", s.type, s.weight_elements(),
                             bound_of_sum(s.type, rows, (activated ? 1 : rms) * rms, of_factors));
      break;
    case ConvolutionPass::data_gradient_reductions: {
      t.x = make.random(s.type, s.x_elements(), 2, kQuantum);
      t.y = make.random(s.type, s.y_elements(), 1);
      t.weight = make.random(s.type, s.weight_elements(), weight_scale);
      t.mean = make.vector(norm.mean);
      t.inverse_deviation = make.vector(norm.inverse_deviation);
      t.gamma = make.vector(norm.gamma);
      t.beta = make.vector(norm.beta);
      const Bound of_d_z = bound_of_sum(s.type, taps * s.out_channels, rms * rms * weight_scale, of_factors);
      t.d_z = make.output("d_z", s.type, s.x_elements(), of_d_z);
      const double values = static_cast<double>(s.x_elements()) / s.in_channels;
      const Bound of_sums = {0, 16 * (2 * unit_roundoff(s.type) * std::sqrt(values) + 0x1p-23 * values) +
                                    4 * of_d_z.absolute * std::sqrt(values)};
      t.d_gamma = static_cast<float*>(make.output("d_gamma", DType::f32, s.in_channels, of_sums));
      t.d_beta = static_cast<float*>(make.output("d_beta", DType::f32, s.in_channels, of_sums));
      t.unused =
          static_cast<float*>(make.memory(3 * static_cast<std::size_t>(s.in_channels) * sizeof(float)));
      break;
    }
  }
  for (const ConvolutionOffer& offer : offers) {
    contest.contenders.push_back({offer.name, [&runtime, offer, t]() -> std::function<void()> {
                                    const std::shared_ptr<const ConvolutionWay> way = offer.make();
                                    if (way == nullptr) return {};
                                    const auto workspace =
                                        std::make_shared<ScratchMemory>(runtime, way->workspace_bytes());
                                    return [=] { way->run(t, workspace->data()); };
                                  }});
  }
  return contest;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
