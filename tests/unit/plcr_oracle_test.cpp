// PLCR of src/objectives on the CPU has the bits of the loops that computed it before it was one of several
// methods.
#include "support/plcr_oracle.h"

#include <cstring>

#include "unit/cpu_objective_problem.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// Where two results are not the same bits; "" where they are. NaN equals NaN.
std::string difference(const std::vector<float>& a, const std::vector<float>& b, const std::string& name) {
  if (a.size() != b.size()) return name + ": sizes";
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0)
      return fmt::format("{}[{}]: {} and {}", name, i, a[i], b[i]);
  }
  return "";
}

std::string difference(const ObjectiveMetrics& a, const ObjectiveMetrics& b, const std::string& name) {
  const auto fields = [](const ObjectiveMetrics& m) {
    std::vector<double> values(kObjectiveMetricsFields);
    std::memcpy(values.data(), &m, sizeof m);
    return values;
  };
  const std::vector<double> x = fields(a), y = fields(b);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::memcmp(&x[i], &y[i], sizeof(double)) != 0)
      return fmt::format("{} {}: {} and {}", name, i, x[i], y[i]);
  }
  return "";
}

void check_same_bits(Problem& problem) {
  const ObjectiveResult now = run(problem);
  const ObjectiveResult before = run_with(*make_plcr_oracle(problem.spec), problem);
  CHECK(difference(now.d_logits, before.d_logits, "d_logits") == "");
  CHECK(difference(now.targets, before.targets, "targets") == "");
  CHECK(difference(now.last, before.last, "last") == "");
  CHECK(difference(now.total, before.total, "total") == "");
}

}  // namespace

TEST_CASE("plcr: the bits of the loops that computed it before") {
  for (const ObjectiveVariant variant : {ObjectiveVariant::article, ObjectiveVariant::published}) {
    for (const int views : {1, 2, 3, 5}) {
      for (const int classes : {2, 3, 10, 64, 65, 200}) {
        for (const double scale : {1.0, 30.0, 1e4}) {
          CAPTURE(views);
          CAPTURE(classes);
          CAPTURE(scale);
          Problem problem(views, 9, classes, 20, scale);
          problem.spec.method = Plcr{.variant = variant};
          problem.step.scalars[0] = classes == 3 ? 0.0F : 0.7F;
          problem.step.loss_scale = views == 2 ? 1024 : 1;
          check_same_bits(problem);
        }
      }
    }
  }
}

TEST_CASE("plcr: the bits of the loops that computed it before, with logits that are not finite") {
  for (const float bad : {kInf, -kInf, static_cast<float>(kNan)}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{57}, std::size_t{200}}) {
      CAPTURE(bad);
      CAPTURE(at);
      Problem problem(3, 9, 10, 20, 2);
      problem.logits[at] = bad;
      check_same_bits(problem);
    }
  }
}
