#include <cmath>

#include "backend/reference/reference_ops.h"

namespace dpll::reference {
namespace {

class ReferenceSgd final : public Sgd {
 public:
  explicit ReferenceSgd(const SgdSpec& spec) : spec_(spec) {}

  void run(const SgdCall& call) override {
    const double* const d_weight = spec_.weights > 0 ? call.d_weight.as<double>() : nullptr;
    const double* const d_others = spec_.weights < spec_.elements ? call.d_value.as<double>() : nullptr;
    const auto gradient = [&](std::int64_t i) {
      return i < spec_.weights ? d_weight[i] : d_others[i - spec_.weights];
    };
    std::uint64_t nonfinite = 0;
    for (std::int64_t i = 0; i < spec_.elements; ++i) {
      if (!std::isfinite(gradient(i))) ++nonfinite;
    }
    const double loss_scale = call.step->loss_scale;
    if (!judge_gradients(*call.health, call.step->loss_scale, spec_.dynamic_loss_scale, nonfinite)) return;
    const AdamCorrection correction = adam_correction(spec_, call.health->updates);
    for (std::int64_t i = 0; i < spec_.elements; ++i) {
      double& value = call.value.as<double>()[i];
      double& velocity = call.velocity.as<double>()[i];
      const double rate = static_cast<double>(call.step->learning_rate);
      if (spec_.kind == OptimiserKind::sgd) {
        const double g = gradient(i) / loss_scale + spec_.weight_decay * value;
        velocity = spec_.momentum * velocity + g;
        value -= rate * (spec_.nesterov ? g + spec_.momentum * velocity : velocity);
      } else {
        double& square = call.square.as<double>()[i];
        const bool decoupled = spec_.kind == OptimiserKind::adamw;
        const double g = gradient(i) / loss_scale + (decoupled ? 0 : spec_.weight_decay * value);
        if (decoupled) value -= rate * spec_.weight_decay * value;
        velocity = spec_.beta1 * velocity + (1 - spec_.beta1) * g;
        square = spec_.beta2 * square + (1 - spec_.beta2) * g * g;
        value -=
            rate / correction.first * velocity / (std::sqrt(square) / correction.second_root + spec_.epsilon);
      }
      if (spec_.ema > 0) {
        double& average = call.average.as<double>()[i];
        average = spec_.ema * average + (1 - spec_.ema) * value;
      }
    }
  }

 private:
  SgdSpec spec_;
};

}  // namespace

std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec) {
  return std::make_unique<ReferenceSgd>(spec);
}

}  // namespace dpll::reference
