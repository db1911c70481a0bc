// sgd on the CPU: a pass that looks for NaN and infinite gradients, then the update. Both are bound by
// memory.
//
// Rounding is PyTorch's: there a sum x + alpha * y is one fused multiply-add, and momentum * velocity is
// rounded before g is added. std::fma keeps that on every processor, whether or not it has the instruction.
#include <cmath>
#include <cstring>

#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/parallel.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kChunk = 1 << 15;

struct Coefficients {
  float loss_scale, weight_decay, momentum, learning_rate;
  float rest1, beta2, rest2, epsilon, step_size, second_root;  // of adam
};

DPLL_VECTOR_CLONES
std::int64_t count_nonfinite(const float* values, std::int64_t count) {
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) found += std::isfinite(values[i]) ? 0 : 1;
  return found;
}

DPLL_VECTOR_CLONES
void update(float* __restrict value, float* __restrict velocity, const float* __restrict d_value,
            std::int64_t count, const Coefficients& k) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = std::fma(k.weight_decay, value[i], d_value[i] / k.loss_scale);
    velocity[i] = k.momentum * velocity[i] + g;
    value[i] = std::fma(-k.learning_rate, velocity[i], value[i]);
  }
}

DPLL_VECTOR_CLONES
void update_nesterov(float* __restrict value, float* __restrict velocity, const float* __restrict d_value,
                     std::int64_t count, const Coefficients& k) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = std::fma(k.weight_decay, value[i], d_value[i] / k.loss_scale);
    velocity[i] = k.momentum * velocity[i] + g;
    value[i] = std::fma(-k.learning_rate, std::fma(k.momentum, velocity[i], g), value[i]);
  }
}

// `decay`: what adamw leaves of a value, 1 for adam.
DPLL_VECTOR_CLONES
void update_adam(float* __restrict value, float* __restrict velocity, float* __restrict square,
                 const float* __restrict d_value, std::int64_t count, const Coefficients& k, float decay) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = std::fma(k.weight_decay, value[i], d_value[i] / k.loss_scale);
    velocity[i] = std::fma(k.rest1, g - velocity[i], velocity[i]);
    square[i] = k.beta2 * square[i] + k.rest2 * g * g;
    const float root = std::sqrt(square[i]) / k.second_root + k.epsilon;
    value[i] = value[i] * decay - k.step_size * velocity[i] / root;
  }
}

DPLL_VECTOR_CLONES
void update_average(float* __restrict average, const float* __restrict value, std::int64_t count, float ema,
                    float rest) {
  for (std::int64_t i = 0; i < count; ++i) average[i] = std::fma(rest, value[i], ema * average[i]);
}

class CpuSgd final : public Sgd {
 public:
  explicit CpuSgd(const SgdSpec& spec) : spec_(spec) {}

  void run(const SgdCall& call) override {
    const std::int64_t weights = spec_.weights, others = spec_.elements - spec_.weights;
    DPLL_CHECK(call.value.elements() == spec_.elements && call.velocity.elements() == spec_.elements &&
                   (weights == 0 || call.d_weight.elements() == weights) &&
                   (others == 0 || call.d_value.elements() == others),
               "update of {} elements, {} of weights: value {}, velocity {}, d_weight {}, d_value {}",
               spec_.elements, weights, call.value.elements(), call.velocity.elements(),
               call.d_weight.elements(), call.d_value.elements());
    const bool averaging = spec_.ema > 0;
    DPLL_CHECK(!averaging || call.average.elements() == spec_.elements, "average of {} elements",
               call.average.elements());
    const bool adam = spec_.kind != OptimiserKind::sgd;
    DPLL_CHECK(!adam || call.square.elements() == spec_.elements, "squares of {} elements",
               call.square.elements());
    DPLL_CHECK(call.health != nullptr && call.step != nullptr, "update without health or step state");
    auto* value = call.value.as<float>();
    auto* velocity = call.velocity.as<float>();
    auto* square = adam ? call.square.as<float>() : nullptr;
    auto* average = averaging ? call.average.as<float>() : nullptr;
    const float* const d_weight = weights > 0 ? call.d_weight.as<float>() : nullptr;
    const float* const d_value = others > 0 ? call.d_value.as<float>() : nullptr;

    Coefficients k{};
    k.loss_scale = call.step->loss_scale;
    const std::int64_t nonfinite =
        count_all_nonfinite(d_weight, weights) + count_all_nonfinite(d_value, others);
    if (!judge_gradients(*call.health, call.step->loss_scale, spec_.dynamic_loss_scale,
                         static_cast<std::uint64_t>(nonfinite))) {
      return;
    }
    k.weight_decay = static_cast<float>(spec_.weight_decay);
    k.momentum = static_cast<float>(spec_.momentum);
    k.learning_rate = call.step->learning_rate;
    float decay = 1;
    if (adam) {
      const AdamCorrection correction = adam_correction(spec_, call.health->updates);
      k.rest1 = static_cast<float>(1 - spec_.beta1);
      k.beta2 = static_cast<float>(spec_.beta2);
      k.rest2 = static_cast<float>(1 - spec_.beta2);
      k.epsilon = static_cast<float>(spec_.epsilon);
      k.step_size = k.learning_rate / static_cast<float>(correction.first);
      k.second_root = static_cast<float>(correction.second_root);
      if (spec_.kind == OptimiserKind::adamw) {
        decay = 1 - k.learning_rate * k.weight_decay;
        k.weight_decay = 0;
      }
    }
    const auto ema = static_cast<float>(spec_.ema);
    const auto rest = static_cast<float>(1 - spec_.ema);
    const auto step = spec_.nesterov ? update_nesterov : update;
    const auto update_range = [&](std::int64_t first, std::int64_t count, const float* gradient) {
      parallel_chunks(count, kChunk, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t at = first + begin;
        if (adam) {
          update_adam(value + at, velocity + at, square + at, gradient + begin, end - begin, k, decay);
        } else {
          step(value + at, velocity + at, gradient + begin, end - begin, k);
        }
        if (averaging) update_average(average + at, value + at, end - begin, ema, rest);
      });
    };
    update_range(0, weights, d_weight);
    update_range(weights, others, d_value);
  }

 private:
  static std::int64_t count_all_nonfinite(const float* values, std::int64_t elements) {
    std::int64_t found = 0;
    const std::int64_t chunks = (elements + kChunk - 1) / kChunk;
#pragma omp parallel for schedule(static) reduction(+ : found) if (chunks > 1)
    for (std::int64_t i = 0; i < chunks; ++i) {
      const std::int64_t begin = i * kChunk;
      found += count_nonfinite(values + begin, std::min(kChunk, elements - begin));
    }
    return found;
  }

  SgdSpec spec_;
};

}  // namespace

std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec) {
  return std::make_unique<CpuSgd>(spec);
}

}  // namespace dpll::cpu
