#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "support/doctest.h"

using namespace dpll;

namespace {
RunConfig with_variant(ObjectiveVariant variant) {
  RunConfig config;
  std::get<Plcr>(config.methods).variant = variant;
  return config;
}
}  // namespace

TEST_CASE("step schedule: the article decays after a listed epoch, the published code before it") {
  const RunConfig article = with_variant(ObjectiveVariant::article);
  CHECK(learning_rate(article, 100, 0, 10) == doctest::Approx(0.1));
  CHECK(learning_rate(article, 101, 0, 10) == doctest::Approx(0.01));
  CHECK(learning_rate(article, 151, 0, 10) == doctest::Approx(0.001));
  const RunConfig published = with_variant(ObjectiveVariant::published);
  CHECK(learning_rate(published, 99, 0, 10) == doctest::Approx(0.1));
  CHECK(learning_rate(published, 100, 0, 10) == doctest::Approx(0.01));
  CHECK(learning_rate(published, 150, 0, 10) == doctest::Approx(0.001));
}

TEST_CASE("step schedule: lr_decay says when, whatever the variant; other methods decay before") {
  RunConfig config;
  config.optimiser.lr_decay = LrDecay::before;
  CHECK(learning_rate(config, 100, 0, 10) == doctest::Approx(0.01));
  config.optimiser.lr_decay = LrDecay::after;
  CHECK(learning_rate(config, 100, 0, 10) == doctest::Approx(0.1));
  config.optimiser.lr_decay = LrDecay::preset;
  config.objective.method = "proden";
  CHECK(learning_rate(config, 100, 0, 10) == doctest::Approx(0.01));
}

TEST_CASE("lambda: the article's ramp starts above zero, the published one at zero") {
  Plcr plcr;
  plcr.lambda_max = 2;
  plcr.ramp_epochs = 100;
  CHECK(plcr.scalars({0})[0] == doctest::Approx(0.02));
  CHECK(plcr.scalars({99})[0] == doctest::Approx(2));
  CHECK(plcr.scalars({150})[0] == doctest::Approx(2));
  plcr.variant = ObjectiveVariant::published;
  CHECK(plcr.scalars({0})[0] == 0);
  CHECK(plcr.scalars({50})[0] == doctest::Approx(1));
  CHECK(plcr.scalars({100})[0] == doctest::Approx(2));
  plcr.ramp_epochs = 0;
  CHECK(plcr.scalars({0})[0] == 2);
}

TEST_CASE("lambda: with ramp = step it grows by the share of an epoch that is done") {
  Plcr plcr;
  plcr.lambda_max = 2;
  plcr.ramp_epochs = 4;
  plcr.ramp = RampUnit::step;
  // 2 * min(1, (step + 1) / (4 * 8)), from 0 on
  CHECK(plcr.scalars({0, 0, 8})[0] == 2.0 / 32);
  CHECK(plcr.scalars({0, 7, 8})[0] == 0.5);  // as with ramp = epoch in the first epoch
  CHECK(plcr.scalars({2, 18, 8})[0] == 2 * 19.0 / 32);
  CHECK(plcr.scalars({3, 31, 8})[0] == 2);
  CHECK(plcr.scalars({50, 400, 8})[0] == 2);
  plcr.variant = ObjectiveVariant::published;
  CHECK(plcr.scalars({0, 0, 8})[0] == 0);
  CHECK(plcr.scalars({0, 1, 8})[0] == 2.0 / 32);
  CHECK(plcr.scalars({1, 8, 8})[0] == 0.5);  // as with ramp = epoch in the second epoch
  CHECK(plcr.scalars({4, 32, 8})[0] == 2);
  plcr.ramp_epochs = 0;
  CHECK(plcr.scalars({0, 0, 8})[0] == 2);

  RunConfig config;
  std::get<Plcr>(config.methods).ramp = RampUnit::step;
  const std::vector<StepPlan> plans = plans_of_epoch(config, 1, 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(plans[i].scalars[0] == static_cast<float>((6 + static_cast<double>(i)) / 500));
  }
  CHECK(method_scalar(config, "lambda", {1, 9, 5}) == doctest::Approx(10.0 / 500));
}

TEST_CASE("plans of an epoch: a rate and the method's scalars for each step") {
  RunConfig config;
  config.optimiser.schedule = ScheduleKind::cosine;
  const std::vector<StepPlan> plans = plans_of_epoch(config, 2, 5, 0.5);
  REQUIRE(plans.size() == 5);
  for (std::int64_t i = 0; i < 5; ++i) {
    const StepPlan& plan = plans[static_cast<std::size_t>(i)];
    CHECK(plan.learning_rate == static_cast<float>(0.5 * learning_rate(config, 2, 10 + i, 5)));
    CHECK(plan.scalars[0] == 0.03F);
    CHECK(plan.scalars[1] == 0);
  }
  CHECK(method_scalar(config, "lambda", {2, 10, 5}) == doctest::Approx(0.03));
  config.objective.method = "proden";
  CHECK(std::isnan(method_scalar(config, "lambda", {2, 10, 5})));
}

TEST_CASE("warm-up is linear and ends at the full rate; cosine falls from lr to lr_min") {
  RunConfig config;
  config.run.epochs = 12;
  config.optimiser.schedule = ScheduleKind::cosine;
  config.optimiser.lr = 0.4;
  config.optimiser.lr_min = 0.004;
  config.optimiser.warmup_epochs = 2;
  CHECK(learning_rate(config, 0, 0, 10) == doctest::Approx(0.4 / 20));
  CHECK(learning_rate(config, 1, 19, 10) == doctest::Approx(0.4));
  CHECK(learning_rate(config, 2, 20, 10) == doctest::Approx(0.4));
  CHECK(learning_rate(config, 7, 70, 10) == doctest::Approx(0.202));
  CHECK(learning_rate(config, 11, 119, 10) == doctest::Approx(0.004).epsilon(0.05));
}

TEST_CASE("the order of an epoch is a permutation that depends on seed and epoch only") {
  const auto a = sample_order(1000, true, 5, 3);
  CHECK(a == sample_order(1000, true, 5, 3));
  CHECK(a != sample_order(1000, true, 5, 4));
  CHECK(a != sample_order(1000, true, 6, 3));
  std::vector<std::int32_t> sorted = a, identity(1000);
  std::sort(sorted.begin(), sorted.end());
  std::iota(identity.begin(), identity.end(), 0);
  CHECK(sorted == identity);
  CHECK(sample_order(1000, false, 5, 3) == identity);
}

TEST_CASE("shuffling puts every sample in every place equally often") {
  constexpr int kCount = 8, kEpochs = 80000;
  int seen[kCount][kCount] = {};
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto order = sample_order(kCount, true, 1, epoch);
    for (int place = 0; place < kCount; ++place) ++seen[order[static_cast<std::size_t>(place)]][place];
  }
  double chi_square = 0;
  const double expected = double(kEpochs) / kCount;
  for (const auto& row : seen) {
    for (const int n : row) chi_square += (n - expected) * (n - expected) / expected;
  }
  // (8-1)^2 = 49 degrees of freedom: mean 49, standard deviation 9.9; the seed is fixed.
  CHECK(chi_square < 49 + 4 * 9.9);
}
