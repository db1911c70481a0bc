// pll_objective on the CPU: a sample is a group of one lane, samples are spread over the threads.
#include "backend/cpu/batch_rows.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/parallel.h"
#include "objectives/one_lane.h"
#include "objectives/run_sample.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kSamplesPerChunk = 4;

class CpuPllObjective final : public PllObjective {
 public:
  explicit CpuPllObjective(const PllObjectiveSpec& spec)
      : spec_(spec), scratch_elements_(objectives::scratch_elements(spec)) {
    DPLL_CHECK(spec.views >= 1 && spec.batch >= 1 && spec.classes >= 2,
               "objective of {} views, batch {}, {} classes", spec.views, spec.batch, spec.classes);
  }

  std::size_t workspace_bytes() const override {
    const std::int64_t chunks = (spec_.batch + kSamplesPerChunk - 1) / kSamplesPerChunk;
    return static_cast<std::size_t>(spec_.batch) * sizeof(ObjectiveMetrics) +
           static_cast<std::size_t>(chunks * scratch_elements_) * sizeof(double);
  }

  void run(const PllObjectiveCall& call) override {
    check(call);
    auto* per_sample = static_cast<ObjectiveMetrics*>(call.workspace);
    std::visit([&](const auto& method) { run_samples(method, call, per_sample); }, spec_.method);
    ObjectiveMetrics sum;
    for (std::int64_t row = 0; row < spec_.batch; ++row) objectives::add(sum, per_sample[row]);
    *call.last = sum;
    objectives::add(*call.total, sum);
  }

 private:
  template <typename M>
  void run_samples(const M& method, const PllObjectiveCall& call, ObjectiveMetrics* per_sample) const {
    auto* scratch = reinterpret_cast<double*>(per_sample + spec_.batch);
    parallel_chunks(spec_.batch, kSamplesPerChunk, [&](std::int64_t begin, std::int64_t end) {
      double* const own = scratch + begin / kSamplesPerChunk * scratch_elements_;
      for (std::int64_t row = begin; row < end; ++row) {
        per_sample[row] = objectives::run_sample(method, objectives::OneLane<float>(spec_, call, row, own));
      }
    });
  }

  void check(const PllObjectiveCall& call) const {
    const std::int64_t values = std::int64_t{spec_.views} * spec_.batch * spec_.classes;
    DPLL_CHECK(call.logits.elements() == values && call.d_logits.elements() == values,
               "logits {}, d_logits {}", call.logits.shape.to_string(), call.d_logits.shape.to_string());
    const std::int64_t samples = call.targets.shape[0];
    DPLL_CHECK(call.targets.shape == (Shape{samples, spec_.classes}), "targets {}",
               call.targets.shape.to_string());
    DPLL_CHECK(call.candidates.shape == (Shape{samples, (spec_.classes + 63) / 64}), "candidates {}",
               call.candidates.shape.to_string());
    DPLL_CHECK(!call.labels.defined() || call.labels.elements() == samples, "labels {}",
               call.labels.shape.to_string());
    DPLL_CHECK(call.last != nullptr && call.total != nullptr && call.workspace != nullptr,
               "objective without metrics or workspace");
    check_rows(call.rows, spec_.batch, samples);
  }

  PllObjectiveSpec spec_;
  std::int64_t scratch_elements_;
};

}  // namespace

std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) {
  return std::make_unique<CpuPllObjective>(spec);
}

}  // namespace dpll::cpu
