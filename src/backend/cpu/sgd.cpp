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

DPLL_VECTOR_CLONES
void update_average(float* __restrict average, const float* __restrict value, std::int64_t count, float ema,
                    float rest) {
  for (std::int64_t i = 0; i < count; ++i) average[i] = std::fma(rest, value[i], ema * average[i]);
}

class CpuSgd final : public Sgd {
 public:
  explicit CpuSgd(const SgdSpec& spec) : spec_(spec) {}

  void run(const SgdCall& call) override {
    DPLL_CHECK(call.value.elements() == spec_.elements && call.velocity.elements() == spec_.elements &&
                   call.d_value.elements() == spec_.elements,
               "update of {} elements: value {}, velocity {}, d_value {}", spec_.elements,
               call.value.elements(), call.velocity.elements(), call.d_value.elements());
    const bool averaging = spec_.ema > 0;
    DPLL_CHECK(!averaging || call.average.elements() == spec_.elements, "average of {} elements",
               call.average.elements());
    DPLL_CHECK(call.health != nullptr && call.step != nullptr, "update without health or step state");
    auto* value = call.value.as<float>();
    auto* velocity = call.velocity.as<float>();
    auto* average = averaging ? call.average.as<float>() : nullptr;
    const auto* d_value = call.d_value.as<float>();

    const std::int64_t nonfinite = count_all_nonfinite(d_value);
    call.health->nonfinite = static_cast<std::uint64_t>(nonfinite);
    if (nonfinite > 0) {
      ++call.health->skipped;
      return;
    }
    Coefficients k{};
    k.loss_scale = call.step->loss_scale;
    k.weight_decay = static_cast<float>(spec_.weight_decay);
    k.momentum = static_cast<float>(spec_.momentum);
    k.learning_rate = call.step->learning_rate;
    const auto ema = static_cast<float>(spec_.ema);
    const auto rest = static_cast<float>(1 - spec_.ema);
    const auto step = spec_.nesterov ? update_nesterov : update;
    parallel_chunks(spec_.elements, kChunk, [&](std::int64_t begin, std::int64_t end) {
      step(value + begin, velocity + begin, d_value + begin, end - begin, k);
      if (averaging) update_average(average + begin, value + begin, end - begin, ema, rest);
    });
  }

 private:
  std::int64_t count_all_nonfinite(const float* values) const {
    std::int64_t found = 0;
    const std::int64_t chunks = (spec_.elements + kChunk - 1) / kChunk;
#pragma omp parallel for schedule(static) reduction(+ : found) if (chunks > 1)
    for (std::int64_t i = 0; i < chunks; ++i) {
      const std::int64_t begin = i * kChunk;
      found += count_nonfinite(values + begin, std::min(kChunk, spec_.elements - begin));
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
