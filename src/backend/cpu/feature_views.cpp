// feature_views on the CPU: rows of the output spread over the threads.
#include "augment/feature_draw.h"
#include "backend/cpu/batch_rows.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/parallel.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kRowsPerChunk = 8;

class CpuFeatureViews final : public FeatureViews {
 public:
  explicit CpuFeatureViews(const FeatureViewsSpec& spec) : spec_(spec) { check_spec(spec); }

  void run(const FeatureViewsCall& call) override {
    const std::int64_t rows = std::int64_t{spec_.views} * spec_.batch, width = spec_.features;
    DPLL_CHECK(call.views.elements() == rows * width, "views {}", call.views.shape.to_string());
    DPLL_CHECK(call.features.shape.rank() == 2 && call.features.shape[1] == width, "features {}",
               call.features.shape.to_string());
    check_rows(call.rows, spec_.batch, call.features.shape[0]);
    auto* out = call.views.as<float>();
    const auto* features = call.features.as<float>();
    parallel_chunks(rows, kRowsPerChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const std::int64_t sample = sample_of(call.rows, r % spec_.batch);
        make_view(out + r * width, features + sample * width, *call.rows.step, sample, r / spec_.batch);
      }
    });
  }

 private:
  void make_view(float* out, const float* x, const StepState& step, std::int64_t sample,
                 std::int64_t view) const {
    const FeatureRecipe& recipe = view == 0 ? spec_.weak : spec_.strong;
    if (recipe == FeatureRecipe{}) {
      std::copy_n(x, spec_.features, out);
      return;
    }
    for (int d = 0; d < spec_.features; d += 2) {
      const bool both = d + 1 < spec_.features;
      float pair[2] = {x[d], both ? x[d + 1] : 0.0F};
      draw_feature_pair(pair, static_cast<std::uint32_t>(d / 2), recipe, step,
                        static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(view));
      out[d] = pair[0];
      if (both) out[d + 1] = pair[1];
    }
  }

  FeatureViewsSpec spec_;
};

}  // namespace

std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec) {
  return std::make_unique<CpuFeatureViews>(spec);
}

}  // namespace dpll::cpu
