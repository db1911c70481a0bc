// pll_objective in float64, sample by sample.
#include <vector>

#include "backend/reference/reference_ops.h"
#include "objectives/one_lane.h"
#include "objectives/run_sample.h"

namespace dpll::reference {
namespace {

class ReferencePllObjective final : public PllObjective {
 public:
  explicit ReferencePllObjective(const PllObjectiveSpec& spec)
      : spec_(spec), scratch_(static_cast<std::size_t>(objectives::scratch_elements(spec))) {}

  std::size_t workspace_bytes() const override { return 0; }

  void run(const PllObjectiveCall& call) override {
    ObjectiveMetrics sum;
    std::visit(
        [&](const auto& method) {
          for (std::int64_t row = 0; row < spec_.batch; ++row) {
            const objectives::OneLane<double> sample(spec_, call, row, scratch_.data());
            objectives::add(sum, objectives::run_sample(method, sample));
          }
        },
        spec_.method);
    *call.last = sum;
    objectives::add(*call.total, sum);
  }

 private:
  PllObjectiveSpec spec_;
  std::vector<double> scratch_;
};

}  // namespace

std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) {
  return std::make_unique<ReferencePllObjective>(spec);
}

}  // namespace dpll::reference
