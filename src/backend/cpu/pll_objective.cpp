// pll_objective on the CPU: a sample is a group of one lane, samples are spread over the threads.
#include "backend/cpu/batch_rows.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/parallel.h"
#include "objectives/one_lane.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kSamplesPerChunk = 4;

class CpuPllObjective final : public PllObjective {
 public:
  explicit CpuPllObjective(const PllObjectiveSpec& spec)
      : spec_(spec), needs_(objectives::scratch_needs(spec)) {
    DPLL_CHECK(spec.views >= 1 && spec.batch >= 1 && spec.classes >= 2,
               "objective of {} views, batch {}, {} classes", spec.views, spec.batch, spec.classes);
  }

  std::size_t workspace_bytes() const override {
    const std::int64_t places = (spec_.batch + samples_in_place() - 1) / samples_in_place();
    return static_cast<std::size_t>(spec_.batch) * sizeof(ObjectiveMetrics) +
           static_cast<std::size_t>(needs_.sums + places * needs_.of_sample) * sizeof(double);
  }

  void run(const PllObjectiveCall& call) override {
    check(call);
    auto* per_sample = static_cast<ObjectiveMetrics*>(call.workspace);
    auto* sums = reinterpret_cast<double*>(per_sample + spec_.batch);
    const objectives::BatchScratch scratch{sums + needs_.sums, needs_.of_sample, samples_in_place()};
    std::visit(
        [&](const auto& method) {
          objectives::run_batch<float>(method, spec_, call, scratch, sums, per_sample, kSamplesPerChunk,
                                       [](std::int64_t count, std::int64_t chunk, const auto& work) {
                                         parallel_chunks(count, chunk, work);
                                       });
        },
        spec_.method);
    ObjectiveMetrics sum;
    for (std::int64_t row = 0; row < spec_.batch; ++row) objectives::add(sum, per_sample[row]);
    objectives::record(call, sum);
  }

 private:
  std::int64_t samples_in_place() const { return needs_.side_by_side ? 1 : kSamplesPerChunk; }

  void check(const PllObjectiveCall& call) const {
    const std::int64_t values = std::int64_t{spec_.views} * spec_.batch * spec_.classes;
    DPLL_CHECK(call.logits.elements() == values && call.d_logits.elements() == values,
               "logits {}, d_logits {}", call.logits.shape.to_string(), call.d_logits.shape.to_string());
    DPLL_CHECK(!facts_of(spec_.method).has_teacher || call.teacher_logits.elements() == values,
               "teacher's logits {}", call.teacher_logits.shape.to_string());
    const std::int64_t samples = call.targets.shape[0];
    DPLL_CHECK(call.targets.shape == (Shape{samples, spec_.classes}), "targets {}",
               call.targets.shape.to_string());
    DPLL_CHECK(call.candidates.shape == (Shape{samples, (spec_.classes + 63) / 64}), "candidates {}",
               call.candidates.shape.to_string());
    DPLL_CHECK(!call.labels.defined() || call.labels.elements() == samples, "labels {}",
               call.labels.shape.to_string());
    DPLL_CHECK(call.last != nullptr && call.total != nullptr && call.workspace != nullptr,
               "objective without metrics or workspace");
    const MethodFacts facts = facts_of(spec_.method);
    DPLL_CHECK(facts.kept_rows == 0 || call.kept.shape == (Shape{samples, facts.kept_rows, spec_.classes}),
               "kept rows {}", call.kept.shape.to_string());
    DPLL_CHECK(!facts.has_class_values || call.class_values.shape == Shape{spec_.classes}, "class values {}",
               call.class_values.shape.to_string());
    check_rows(call.rows, spec_.batch, samples);
  }

  PllObjectiveSpec spec_;
  objectives::ScratchNeeds needs_;
};

}  // namespace

std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) {
  return std::make_unique<CpuPllObjective>(spec);
}

}  // namespace dpll::cpu
