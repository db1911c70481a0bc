// linear on the CPU: oneDNN's matrix product on the plain row-major tensors. It packs panels itself, so other
// layouts of the weight would gain little and cost a reorder.
#include <algorithm>
#include <optional>

#include "backend/cpu/batch_norm.h"
#include "backend/cpu/column_sums.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/onednn.h"
#include "backend/memory_plan.h"

namespace dpll::cpu {
namespace {

class CpuLinear final : public Linear {
 public:
  explicit CpuLinear(const LinearSpec& spec)
      : spec_(spec),
        y_geometry_(bn_geometry(spec.views, spec.batch, 1, spec.out_features, spec.share)),
        forward_(spec.rows(), spec.in_features, spec.out_features, Transpose::no, Transpose::yes, true) {
    std::size_t scratch = forward_.scratch_bytes();
    std::size_t sums = spec.stats ? bn_workspace_bytes(y_geometry_) : 0;
    if (spec.mode == Mode::train) {
      to_weight_.emplace(spec.out_features, spec.rows(), spec.in_features, Transpose::yes, Transpose::no,
                         false);
      scratch = std::max(scratch, to_weight_->scratch_bytes());
      sums = std::max(sums, column_sums_workspace_bytes(spec.rows(), spec.out_features));
      if (spec.input_gradient) {
        to_input_.emplace(spec.rows(), spec.out_features, spec.in_features, Transpose::no, Transpose::no,
                          false);
        scratch = std::max(scratch, to_input_->scratch_bytes());
      }
    }
    scratch_ = plan_.add_bytes(scratch);
    sums_ = plan_.add_bytes(sums);
  }

  std::size_t workspace_bytes() const override { return plan_.bytes(); }

  void forward(const LinearForward& call) override {
    auto* y = call.y.as<float>();
    forward_.run(y, call.x.as<float>(), call.weight.as<float>(), call.bias.as<float>(),
                 scratch_.in(call.workspace));
    if (spec_.stats) {
      view_stats(call.y_stats.as<float>(), y, nullptr, y_geometry_, sums_.in(call.workspace));
    }
  }

  void backward(const LinearBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "linear has no backward in evaluation");
    void* scratch = scratch_.in(call.workspace);
    const auto* d_y = call.d_y.as<float>();
    to_weight_->run(call.d_weight.as<float>(), d_y, call.x.as<float>(), nullptr, scratch);
    if (call.d_bias.defined()) {
      column_sums(call.d_bias.as<float>(), d_y, spec_.rows(), spec_.out_features, sums_.in(call.workspace));
    }
    if (to_input_) to_input_->run(call.d_x.as<float>(), d_y, call.weight.as<float>(), nullptr, scratch);
  }

 private:
  LinearSpec spec_;
  BnGeometry y_geometry_;
  MatrixProduct forward_;
  std::optional<MatrixProduct> to_weight_, to_input_;  // d_y^T x, d_y weight
  MemoryPlan plan_;                                    // of the workspace
  Piece<std::byte> scratch_, sums_;
};

}  // namespace

std::unique_ptr<Linear> make_linear(const LinearSpec& spec) {
  return std::make_unique<CpuLinear>(spec);
}

}  // namespace dpll::cpu
