// pll_objective, cross_entropy and sgd on the GPU.
#include "backend/cuda/shared_batch.h"
#include "backend/memory_plan.h"
#include "pll_objective.h"
#include "sgd.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// Zeroed device memory that an operation keeps from call to call.
template <typename Scratch>
class OwnScratch {
 public:
  OwnScratch(Runtime& runtime, const char* what)
      : runtime_(runtime), data_(runtime.allocate(sizeof(Scratch))) {
    if (data_ == nullptr) fail(ExitCode::device, "not enough GPU memory for {}", what);
    runtime.fill_zero(data_, sizeof(Scratch));
  }
  ~OwnScratch() { runtime_.release(data_); }
  OwnScratch(const OwnScratch&) = delete;
  OwnScratch& operator=(const OwnScratch&) = delete;

  Scratch* get() const { return static_cast<Scratch*>(data_); }

 private:
  Runtime& runtime_;
  void* data_;
};

class CudaPllObjective final : public PllObjective {
 public:
  CudaPllObjective(const Context& context, const PllObjectiveSpec& spec)
      : context_(context),
        spec_(spec),
        shared_(context, spec.share),
        scratch_(context.runtime, "the objective's counter") {
    workspace_ = plan_.add_bytes(pll_objective_workspace(spec));
    gathered_ = plan_.add_bytes(shared_.workspace_bytes(pll_objective_sums(spec), sizeof(double)));
  }

  std::size_t workspace_bytes() const override { return plan_.bytes(); }

  void run(const PllObjectiveCall& call) override {
    check_type(context_, call.logits, "logits");
    check_type(context_, call.d_logits, "d_logits");
    if (call.teacher_logits.defined()) check_type(context_, call.teacher_logits, "teacher's logits");
    pll_objective({.views = spec_.views,
                   .batch = spec_.batch,
                   .classes = spec_.classes,
                   .part = call.part,
                   .adds = call.adds,
                   .type = context_.compute,
                   .d_logits = call.d_logits.data,
                   .targets = floats(call.targets),
                   .kept = floats(call.kept),
                   .kept_rows = call.kept.defined() ? static_cast<int>(call.kept.shape[1]) : 0,
                   .last = call.last,
                   .total = call.total,
                   .logits = call.logits.data,
                   .teacher_logits = call.teacher_logits.data,
                   .candidates = call.candidates.as<std::uint64_t>(),
                   .labels = call.labels.defined() ? call.labels.as<std::int32_t>() : nullptr,
                   .class_values = floats(call.class_values),
                   .step = call.rows.step,
                   .order = order_of(call.rows),
                   .ahead = call.rows.ahead,
                   .total_batch = spec_.share.total_of(spec_.batch),
                   .workspace = workspace_.in(call.workspace),
                   .scratch = scratch_.get()},
                  spec_.method, shared_.double_sums(gathered_.in(call.workspace)), context_.stream());
  }

 private:
  Context context_;
  PllObjectiveSpec spec_;
  SharedBatch shared_;
  MemoryPlan plan_;
  Piece<std::byte> workspace_, gathered_;
  OwnScratch<ObjectiveScratch> scratch_;
};

class CudaSgd final : public Sgd {
 public:
  CudaSgd(const Context& context, const SgdSpec& spec)
      : context_(context), spec_(spec), scratch_(context.runtime, "the update's counters") {}

  void run(const SgdCall& call) override {
    if (spec_.weights > 0) check_type(context_, call.d_weight, "d_weight");
    sgd({.spec = spec_,
         .value = floats(call.value),
         .velocity = floats(call.velocity),
         .square = floats(call.square),
         .average = floats(call.average),
         .weight = call.weight.data,
         .average_weight = call.average_weight.data,
         .d_weight = call.d_weight.data,
         .d_value = floats(call.d_value),
         .health = call.health,
         .step = call.step,
         .scratch = scratch_.get()},
        context_.compute, context_.stream());
  }

 private:
  Context context_;
  SgdSpec spec_;
  OwnScratch<SgdScratch> scratch_;
};

}  // namespace

std::unique_ptr<PllObjective> make_pll_objective(const Context& context, const PllObjectiveSpec& spec) {
  return std::make_unique<CudaPllObjective>(context, spec);
}

std::unique_ptr<Sgd> make_sgd(const Context& context, const SgdSpec& spec) {
  return std::make_unique<CudaSgd>(context, spec);
}

void cross_entropy(const Context& context, const CrossEntropyCall& call) {
  check_type(context, call.logits, "logits");
  cross_entropy({.sums = call.sums,
                 .predictions = call.predictions.defined() ? call.predictions.as<std::int32_t>() : nullptr,
                 .confidences = floats(call.confidences),
                 .logits = call.logits.data,
                 .labels = call.labels.defined() ? call.labels.as<std::int32_t>() : nullptr,
                 .step = call.rows.step,
                 .order = order_of(call.rows),
                 .rows = call.logits.shape[0],
                 .classes = static_cast<int>(call.logits.shape[1])},
                context.compute, context.stream());
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
