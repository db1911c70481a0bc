// Holds the golden values of pll_objective against the methods that this file is compiled with:
// tools/mutate_methods compiles it with changed headers, and a change that makes no difference here would not
// be noticed.
//
// usage: method_mutant METHOD (or "shared": all of them)
#include <cstdio>
#include <exception>
#include <string>

#include "backend/observed_backend.h"
#include "objectives/one_lane.h"
#include "selftest/golden_checks.h"

using namespace dpll;

namespace {

class Mutant final : public PllObjective {
 public:
  explicit Mutant(const PllObjectiveSpec& spec) : spec_(spec), needs_(objectives::scratch_needs(spec)) {}
  std::size_t workspace_bytes() const override { return 0; }
  void run(const PllObjectiveCall& call) override {
    std::vector<double> scratch(static_cast<std::size_t>(spec_.batch * needs_.of_sample), NAN);
    std::vector<double> sums(static_cast<std::size_t>(needs_.sums), NAN);
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
    *call.last = sum;
    objectives::add(*call.total, sum);
  }

 private:
  PllObjectiveSpec spec_;
  objectives::ScratchNeeds needs_;
};

class MutantBackend final : public ObservedBackend {
 public:
  using ObservedBackend::ObservedBackend;
  std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) override {
    return std::make_unique<Mutant>(spec);
  }
};

}  // namespace

int main(int /*argc*/, char** argv) {
  try {
    const auto reference = make_reference_backend();
    MutantBackend backend(*reference);
    const std::string method = argv[1];
    const auto result =
        selftest::check_golden_cases(backend, "pll_objective", [&](Backend& b, selftest::GoldenCase& c) {
          if (method == "shared" || c.value<std::string>("method") == method) selftest::check_objective(b, c);
        });
    for (const std::string& complaint : result.complaints) std::puts(complaint.c_str());
    return result.complaints.empty() ? 0 : 1;
  } catch (const std::exception& error) {
    std::puts(error.what());
    return 1;
  }
}
