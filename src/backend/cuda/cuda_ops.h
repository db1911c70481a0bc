// The operations of the CUDA backend and what they share.
#pragma once

#include <memory>

#include "backend/cuda/convolution.h"
#include "backend/cuda/runtime.h"
#include "backend/cuda/tuner.h"
#include "dpll/backend.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Where an operation is made: outlives it.
struct Context {
  Runtime& runtime;
  MathLibrary& math;
  Tuner& tuner;
  DType compute;  // f32, f16 or bf16; parameters, their gradients and statistics are f32

  Stream stream() const { return runtime.stream(); }
};

// Counters for kernels whose last block merges (kernels/last_block.cuh): zero between launches. Kernels that
// may run at the same time need counters of their own.
class Counters {
 public:
  Counters(const Context& context, std::size_t count);
  ~Counters() { runtime_.release(data_); }
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  unsigned* data() const { return static_cast<unsigned*>(data_); }

 private:
  Runtime& runtime_;
  void* data_;
};

std::unique_ptr<PreactConv> make_preact_conv(const Context& context, const PreactConvSpec& spec);
std::unique_ptr<BnReluPool> make_bn_relu_pool(const Context& context, const BnReluPoolSpec& spec);
std::unique_ptr<Linear> make_linear(const Context& context, const LinearSpec& spec);
std::unique_ptr<PllObjective> make_pll_objective(const Context& context, const PllObjectiveSpec& spec);
std::unique_ptr<Sgd> make_sgd(const Context& context, const SgdSpec& spec);
std::unique_ptr<Augment> make_augment(const Context& context, const AugmentSpec& spec);
std::unique_ptr<FeatureViews> make_feature_views(const Context& context, const FeatureViewsSpec& spec);
void cross_entropy(const Context& context, const CrossEntropyCall& call);

// f32 [elements], or null where the tensor is undefined.
inline float* floats(const Tensor& tensor) {
  return tensor.defined() ? tensor.as<float>() : nullptr;
}
inline const std::int32_t* order_of(const BatchRows& rows) {
  return rows.order.defined() ? rows.order.as<std::int32_t>() : nullptr;
}
void check_type(const Context& context, const Tensor& tensor, const char* name);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
