#include <cmath>
#include <complex>
#include <numbers>

#include "backend/reference/reference_ops.h"
#include "dpll/core/check.h"
#include "dpll/core/philox.h"

namespace dpll::reference {
namespace {

class ReferenceFeatureViews final : public FeatureViews {
 public:
  explicit ReferenceFeatureViews(const FeatureViewsSpec& spec) : spec_(spec) { check_spec(spec); }

  void run(const FeatureViewsCall& call) override {
    for (std::int64_t v = 0; v < spec_.views; ++v) {
      const FeatureRecipe& recipe = v == 0 ? spec_.weak : spec_.strong;
      for (std::int64_t r = 0; r < spec_.batch; ++r) {
        const std::int64_t sample = row_in(call.features, call.rows, r);
        const float* x = call.features.as<float>() + sample * spec_.features;
        double* view = call.views.as<double>() + (v * spec_.batch + r) * spec_.features;
        PhiloxStream words(call.rows.step->seed, Purpose::augment, call.rows.step->epoch,
                           static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(v));
        for (int d = 0; d < spec_.features; d += 2) {
          const double u = (std::floor(words.next() / 512.0) + 0.5) / 0x1p23;
          const double turns = std::floor(words.next() / 256.0) / 0x1p24;
          const std::complex<double> z =
              std::polar(std::sqrt(-2 * std::log(u)), 2 * std::numbers::pi * turns);
          const double normal[2] = {z.real(), z.imag()};
          for (int i = 0; i < 2; ++i) {
            const bool dropped = std::floor(words.next() / 256.0) / 0x1p24 < recipe.dropout;
            if (d + i >= spec_.features) continue;
            view[d + i] = dropped ? 0 : x[d + i] + recipe.noise * normal[i];
          }
        }
      }
    }
  }

 private:
  FeatureViewsSpec spec_;
};

}  // namespace

std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec) {
  return std::make_unique<ReferenceFeatureViews>(spec);
}

}  // namespace dpll::reference
