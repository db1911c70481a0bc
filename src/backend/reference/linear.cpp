#include "backend/reference/batch_norm.h"
#include "backend/reference/reference_ops.h"

namespace dpll::reference {
namespace {

class ReferenceLinear final : public Linear {
 public:
  explicit ReferenceLinear(const LinearSpec& spec)
      : spec_(spec), rows_(spec.rows()), in_(spec.in_features), out_(spec.out_features) {}

  std::size_t workspace_bytes() const override { return 0; }

  void forward(const LinearForward& call) override {
    const auto* x = call.x.as<double>();
    const auto* weight = call.weight.as<double>();
    auto* y = call.y.as<double>();
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (std::int64_t o = 0; o < out_; ++o) {
        double sum = call.bias.as<double>()[o];
        for (std::int64_t i = 0; i < in_; ++i) sum += x[r * in_ + i] * weight[o * in_ + i];
        y[r * out_ + o] = sum;
      }
    }
    if (spec_.stats)
      view_stats(call.y_stats.as<double>(), y,
                 bn_geometry(spec_.views, spec_.batch, 1, spec_.out_features, spec_.share));
  }

  void backward(const LinearBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "linear has no backward in evaluation");
    const auto* x = call.x.as<double>();
    const auto* weight = call.weight.as<double>();
    const auto* d_y = call.d_y.as<double>();
    for (std::int64_t o = 0; o < out_; ++o) {
      if (call.d_bias.defined()) {
        double d_bias = 0;
        for (std::int64_t r = 0; r < rows_; ++r) d_bias += d_y[r * out_ + o];
        call.d_bias.as<double>()[o] = d_bias;
      }
      for (std::int64_t i = 0; i < in_; ++i) {
        double sum = 0;
        for (std::int64_t r = 0; r < rows_; ++r) sum += d_y[r * out_ + o] * x[r * in_ + i];
        call.d_weight.as<double>()[o * in_ + i] = sum;
      }
    }
    if (!spec_.input_gradient) return;
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (std::int64_t i = 0; i < in_; ++i) {
        double sum = 0;
        for (std::int64_t o = 0; o < out_; ++o) sum += d_y[r * out_ + o] * weight[o * in_ + i];
        call.d_x.as<double>()[r * in_ + i] = sum;
      }
    }
  }

 private:
  LinearSpec spec_;
  std::int64_t rows_, in_, out_;
};

}  // namespace

std::unique_ptr<Linear> make_linear(const LinearSpec& spec) {
  return std::make_unique<ReferenceLinear>(spec);
}

}  // namespace dpll::reference
