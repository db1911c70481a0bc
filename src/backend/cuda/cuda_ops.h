// The operations of the CUDA backend and what they share.
#pragma once

#include <memory>

#include "backend/cuda/collectives.h"
#include "backend/cuda/convolution.h"
#include "backend/cuda/runtime.h"
#include "backend/cuda/tuner.h"
#include "dpll/backend.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// The runtime's side stream, and how far the main stream has waited for it.
class SideStream {
 public:
  explicit SideStream(Runtime& runtime) : runtime_(runtime) {}

  // The side stream, behind all that is on the main stream so far.
  Stream begin() {
    runtime_.order(runtime_.side_stream(), runtime_.stream());
    marked_ = false;
    return runtime_.side_stream();
  }
  // More comes behind a mark, without waiting for more of the main stream.
  Stream go_on() {
    marked_ = false;
    return runtime_.side_stream();
  }
  int mark() {
    if (!marked_) last_ = runtime_.mark(runtime_.side_stream());
    marked_ = true;
    return last_;
  }
  void wait(int mark) {
    if (mark <= waited_) return;
    runtime_.wait(runtime_.stream(), mark);
    waited_ = mark;
  }
  // Another stream comes behind all that the main stream has not waited for yet.
  void order(Stream later) {
    if (mark() > waited_) runtime_.wait(later, last_);
  }
  // At the beginning of a recorded sequence, which knows nothing of what was before it.
  void forget() {
    waited_ = last_;
    marked_ = true;
  }

 private:
  Runtime& runtime_;
  bool marked_ = true;  // nothing has been enqueued behind the last mark
  int last_ = -1, waited_ = -1;
};

// Where an operation is made: outlives it.
struct Context {
  Runtime& runtime;
  MathLibrary& math;
  Tuner& tuner;
  SideStream& side;
  DType compute;  // f32, f16 or bf16; parameters, their gradients and statistics are f32
  // Of the backend; holds null until the ranks have met (Backend::meet()).
  const std::unique_ptr<Collectives>* collectives = nullptr;

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
