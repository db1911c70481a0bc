#include <cmath>

#include "backend/reference/reference_ops.h"

namespace dpll::reference {
namespace {

class ReferenceSgd final : public Sgd {
 public:
  explicit ReferenceSgd(const SgdSpec& spec) : spec_(spec) {}

  void run(const SgdCall& call) override {
    const auto* d_value = call.d_value.as<double>();
    call.health->nonfinite = 0;
    for (std::int64_t i = 0; i < spec_.elements; ++i) {
      if (!std::isfinite(d_value[i])) ++call.health->nonfinite;
    }
    if (call.health->nonfinite > 0) {
      ++call.health->skipped;
      return;
    }
    for (std::int64_t i = 0; i < spec_.elements; ++i) {
      double& value = call.value.as<double>()[i];
      double& velocity = call.velocity.as<double>()[i];
      const double g = d_value[i] / call.step->loss_scale + spec_.weight_decay * value;
      velocity = spec_.momentum * velocity + g;
      value -= call.step->learning_rate * (spec_.nesterov ? g + spec_.momentum * velocity : velocity);
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
