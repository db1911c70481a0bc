// bn_relu_pool on the GPU: one kernel each way, after the backward's reductions. Nothing is saved: backward
// computes the pre-activations again from x, which it must read anyway.
#include "backend/cuda/batch_norm_call.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

class CudaBnReluPool final : public BnReluPool {
 public:
  CudaBnReluPool(const Context& context, const BnReluPoolSpec& spec)
      : context_(context),
        spec_(spec),
        rows_{spec.views, std::int64_t{spec.batch} * spec.height * spec.width, spec.channels} {
    DPLL_CHECK(spec.out_height() > 0 && spec.out_width() > 0, "nothing is left of {} x {} pixels",
               spec.height, spec.width);
  }

  std::size_t saved_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override {
    return spec_.mode == Mode::train ? batch_norm_backward_workspace(rows_) : 0;
  }

  void forward(const BnReluPoolForward& call) override {
    check_type(context_, call.x, "x");
    check_type(context_, call.y, "y");
    batch_norm_forward({.type = context_.compute,
                        .shape = rows_,
                        .image = {spec_.height, spec_.width},
                        .pool = spec_.pool,
                        .y = call.y.data,
                        .x = call.x.data,
                        .bn = parameters_of(call.bn, spec_.mode == Mode::train ? call.x_stats : Tensor{}),
                        .dropout = {}},
                       context_.stream());
  }

  void backward(const BnReluPoolBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "bn_relu_pool has no backward in evaluation");
    batch_norm_backward({.type = context_.compute,
                         .shape = rows_,
                         .image = {spec_.height, spec_.width},
                         .pool = spec_.pool,
                         .d_x = call.d_x.data,
                         .d_gamma = floats(call.bn.d_gamma),
                         .d_beta = floats(call.bn.d_beta),
                         .d_y = call.d_y.data,
                         .x = call.x.data,
                         .bn = parameters_of(call.bn, call.x_stats),
                         .workspace = call.workspace},
                        context_.stream());
  }

 private:
  Context context_;
  BnReluPoolSpec spec_;
  ViewRows rows_;  // of x
};

}  // namespace

std::unique_ptr<BnReluPool> make_bn_relu_pool(const Context& context, const BnReluPoolSpec& spec) {
  return std::make_unique<CudaBnReluPool>(context, spec);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
