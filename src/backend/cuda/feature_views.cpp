// feature_views on the GPU.
#include "feature_views.h"

#include "backend/cuda/cuda_ops.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

class CudaFeatureViews final : public FeatureViews {
 public:
  CudaFeatureViews(const Context& context, const FeatureViewsSpec& spec) : context_(context), spec_(spec) {
    check_spec(spec);
  }

  void run(const FeatureViewsCall& call) override {
    check_type(context_, call.views, "views");
    feature_views({.views = spec_.views,
                   .batch = spec_.batch,
                   .features = spec_.features,
                   .weak = spec_.weak,
                   .strong = spec_.strong,
                   .out = call.views.data,
                   .features_table = call.features.as<float>(),
                   .step = call.rows.step,
                   .order = order_of(call.rows),
                   .ahead = call.rows.ahead},
                  context_.compute, call.beside ? context_.side.begin() : context_.stream());
  }

 private:
  Context context_;
  FeatureViewsSpec spec_;
};

}  // namespace

std::unique_ptr<FeatureViews> make_feature_views(const Context& context, const FeatureViewsSpec& spec) {
  return std::make_unique<CudaFeatureViews>(context, spec);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
