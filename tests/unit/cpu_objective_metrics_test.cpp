// pll_objective on the CPU: its metrics, samples that are not finite, numbers of threads.
#include <array>
#include <bit>
#include <cmath>

#include "support/doctest.h"
#include "support/threads.h"
#include "unit/cpu_objective_problem.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("metrics count what they say") {
  Problem problem(2, 4, 3, 4, 1);
  problem.order = {0, 1, 2, 3};
  problem.set_candidates(0, {0, 1});
  problem.set_candidates(1, {1, 2});
  problem.set_candidates(2, {0, 2});
  problem.set_candidates(3, {0, 1, 2});
  problem.targets = {0.9F, 0.1F, 0, 0, 0.25F, 0.75F, 0.5F, 0, 0.5F, 0.2F, 0.3F, 0.5F};
  problem.labels = {1, 2, 1, -1};
  problem.logits = {0, 5, 0,  // weak: 1, correct, covered
                    5, 0, 1,  // weak: 0, wrong, not covered
                    4, 0, 4,  // weak: 0 (the first of equals), wrong, covered
                    0, 0, 2,  // unknown label, covered
                    0, 5, 0,  // target argmax 1: changed from 0, correct
                    0, 0, 1,  // target argmax 2: as before, correct
                    0, 0, 3,  // target argmax 2: changed from 0, wrong
                    0, 0, 2};
  ObjectiveMetrics before;
  before.samples = 10;
  before.covered = 3;
  before.total = 0.5;
  const ObjectiveResult result = run(problem, true, before);
  CHECK(result.last.samples == 4);
  CHECK(result.last.labelled == 3);
  CHECK(result.last.train_correct == 1);
  CHECK(result.last.pseudo_correct == 2);
  CHECK(result.last.covered == 3);
  CHECK(result.last.target_changed == 2);
  CHECK(result.last.nonfinite == 0);
  CHECK(result.total.samples == 14);
  CHECK(result.total.covered == 6);
  CHECK(result.total.total == 0.5 + result.last.total);
  double largest = 0, entropy = 0;
  for (int n = 0; n < 4; ++n) {
    double row = 0;
    for (int k = 0; k < 3; ++k) {
      const double t = result.targets[problem.cell(n, k)];
      row = std::max(row, t);
      if (t > 0) entropy -= t * std::log(t);
    }
    largest += row;
  }
  CHECK(result.last.target_max == doctest::Approx(largest).epsilon(1e-12));
  CHECK(result.last.target_entropy == doctest::Approx(entropy).epsilon(1e-6));

  const ObjectiveResult unlabelled = run(problem, false);
  CHECK(unlabelled.last.labelled == 0);
  CHECK(unlabelled.last.train_correct == 0);
  CHECK(unlabelled.last.pseudo_correct == 0);
  CHECK(unlabelled.last.covered == 3);
  CHECK(unlabelled.d_logits == result.d_logits);
}

TEST_CASE("a sample with a NaN or infinite logit is counted and spoils nothing but its own gradient") {
  for (const float bad : {kInf, -kInf, static_cast<float>(kNan)}) {
    for (const int view : {0, 2}) {
      for (const int column : {0, 5, 9}) {
        Problem problem(3, 6, 10, 6, 2);
        const ObjectiveResult clean = run(problem);
        problem.logits[problem.logit_cell(view, 4, column)] = bad;
        const ObjectiveResult result = run(problem);
        CHECK(result.last.samples == 6);
        CHECK(result.last.nonfinite == 1);
        CHECK(std::isfinite(result.last.total));
        CHECK(std::isfinite(result.last.target_entropy));
        CHECK(result.last.labelled == 5);
        const int spoilt = problem.sample(4);
        for (int n = 0; n < 6; ++n) {
          for (int k = 0; k < 10; ++k) {
            const double want =
                n == spoilt ? problem.targets[problem.cell(n, k)] : clean.targets[problem.cell(n, k)];
            CHECK(result.targets[problem.cell(n, k)] == want);
          }
        }
        for (int v = 0; v < 3; ++v) {
          for (int row = 0; row < 6; ++row) {
            for (int k = 0; k < 10; ++k) {
              if (v == view && row == 4) {
                CHECK(std::isnan(result.d_logits[problem.logit_cell(v, row, k)]));
              } else {
                CHECK(result.d_logits[problem.logit_cell(v, row, k)] ==
                      clean.d_logits[problem.logit_cell(v, row, k)]);
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("the objective is the same for every number of threads") {
  using Fields = std::array<double, kObjectiveMetricsFields>;
  Problem problem(3, 61, 17, 70, 6);
  problem.step.first = 9;
  const ObjectiveResult one = [&] {
    const ThreadCount scope(1);
    return run(problem);
  }();
  for (const int threads : {2, 3, 8}) {
    const ThreadCount scope(threads);
    const ObjectiveResult many = run(problem);
    CHECK(many.d_logits == one.d_logits);
    CHECK(many.targets == one.targets);
    CHECK(std::bit_cast<Fields>(many.last) == std::bit_cast<Fields>(one.last));
  }
}
