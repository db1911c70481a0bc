// pll_objective in float64, sample by sample.
#include <vector>

#include "backend/reference/reference_ops.h"
#include "objectives/one_lane.h"

namespace dpll::reference {
namespace {

class ReferencePllObjective final : public PllObjective {
 public:
  explicit ReferencePllObjective(const PllObjectiveSpec& spec)
      : spec_(spec), needs_(objectives::scratch_needs(spec)) {}

  std::size_t workspace_bytes() const override { return 0; }

  void run(const PllObjectiveCall& call) override {
    std::vector<double> scratch(static_cast<std::size_t>(spec_.batch * needs_.of_sample));
    std::vector<double> sums(static_cast<std::size_t>(needs_.sums));
    std::vector<ObjectiveMetrics> per_sample(static_cast<std::size_t>(spec_.batch));
    std::visit(
        [&](const auto& method) {
          objectives::run_batch<double>(
              method, spec_, call, {scratch.data(), needs_.of_sample, 1}, sums.data(), per_sample.data(),
              spec_.batch,
              [](std::int64_t count, std::int64_t /*chunk*/, const auto& work) { work(0, count); });
        },
        spec_.method);
    ObjectiveMetrics sum;
    for (const ObjectiveMetrics& metrics : per_sample) objectives::add(sum, metrics);
    objectives::record(call, sum);
  }

 private:
  PllObjectiveSpec spec_;
  objectives::ScratchNeeds needs_;
};

}  // namespace

std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) {
  return std::make_unique<ReferencePllObjective>(spec);
}

}  // namespace dpll::reference
