#include "train/forecast.h"

#include "report/log.h"
#include "support/doctest.h"

using namespace dpll;

namespace {

StepTimer::Clock::time_point at(double seconds) {
  return StepTimer::Clock::time_point{} +
         std::chrono::duration_cast<StepTimer::Clock::duration>(std::chrono::duration<double>(seconds));
}

// WRN-34-10 on CIFAR-10 as in the paper.
RunLength paper_run() {
  return {.network = "WRN-34-10",
          .steps_per_epoch = 782,
          .epochs = 200,
          .evaluation_every = 1,
          .evaluation_steps = evaluation_in_steps(10000, 64, 3)};
}

}  // namespace

TEST_CASE("forecast: a run of days names its length and the key that takes a GPU") {
  CHECK(forecast_line({.step = 31}, paper_run()) ==
        "31 s a step: about 6.9 hours an epoch and 57 days for the whole run, evaluation included; WRN-34-10 "
        "for this long is meant for a GPU: [run] device = cuda");
}

TEST_CASE("forecast: units, what is left of a resumed run, no evaluation, a GPU") {
  RunLength run = paper_run();
  run.evaluation_steps = 0;
  CHECK(forecast_line({.step = 0.1}, run) ==
        "0.1 s a step: about 78 s an epoch and 4.3 hours for the whole run");
  run.resumed = true;
  run.steps_done = 199 * 782 + 82;
  CHECK(forecast_line({.step = 0.1}, run) ==
        "0.1 s a step: about 78 s an epoch and 70 s for what is left of the run");
  run = paper_run();
  run.gpu = true;
  CHECK(forecast_line({.step = 2}, run) ==
        "2.0 s a step: about 27 minutes an epoch and 3.7 days for the whole run, evaluation included");
}

TEST_CASE("forecast: run.max_steps ends the run, with an evaluation") {
  RunLength run = paper_run();
  run.evaluation_steps = 100;
  run.max_steps = 782 + 18;
  CHECK(run.steps() == 800);
  CHECK(forecast_line({.step = 0.1}, run) ==
        "0.1 s a step: about 88 s an epoch and 100 s for the whole run, evaluation included");
  run.max_steps = 1'000'000;
  CHECK(run.steps() == 200 * 782);
}

TEST_CASE("forecast: nothing to say when less than a minute is left") {
  RunLength run = paper_run();
  run.evaluation_steps = 0;
  run.epochs = 1;
  CHECK(forecast_line({.step = 59.9 / 782}, run).empty());
  CHECK_FALSE(forecast_line({.step = 60.1 / 782}, run).empty());
}

TEST_CASE("forecast: evaluations are those that are left, and what was measured counts when it is more") {
  RunLength run{.network = "LeNet",
                .steps_per_epoch = 10,
                .epochs = 25,
                .steps_done = 205,
                .evaluation_every = 10,
                .evaluation_steps = 20};
  // 45 steps and, after epoch 25, one evaluation; an epoch has a tenth of one on average.
  CHECK(forecast_line({.step = 1}, run) ==
        "1.0 s a step: about 12 s an epoch and 65 s for the whole run, evaluation included");
  // Five epochs have not ended yet.
  CHECK(forecast_line({.step = 1, .between_epochs = 50}, run) ==
        "1.0 s a step: about 60 s an epoch and 4.9 minutes for the whole run, evaluation included");
}

TEST_CASE("forecast: a step that takes nearly as long as schedulers wait after SIGTERM is told") {
  CHECK(slow_stop_line({.step = 5}) == "");
  CHECK(slow_stop_line({.step = 41}).starts_with("a step takes 41 s, and a signal is met when it is done"));
}

TEST_CASE("durations: minutes, hours, and days from two on") {
  CHECK(format_duration(75.4) == "1:15");
  CHECK(format_duration(2 * 24 * 3600 - 1) == "47:59:59");
  CHECK(format_duration(1179 * 3600 + 61) == "49 days 3:01:01");
  CHECK(format_duration(-1) == "?");
}

TEST_CASE("step timer: leaves out the first step and what is between epochs, and answers once") {
  StepTimer timer;
  timer.begin_epoch(at(0));
  CHECK_FALSE(timer.add(1, at(5)));  // sets up what later steps use
  CHECK_FALSE(timer.add(1, at(5.25)));
  CHECK_FALSE(timer.add(0, at(5.25)));
  CHECK_FALSE(timer.add(1, at(5.5)));
  timer.begin_epoch(at(7.5));
  CHECK_FALSE(timer.add(1, at(7.75)));
  const std::optional<Timing> timing = timer.add(1, at(8));
  REQUIRE(timing);
  CHECK(timing->step == doctest::Approx(0.25));
  CHECK(timing->between_epochs == doctest::Approx(2));
  CHECK_FALSE(timer.add(100, at(100)));
}

TEST_CASE("step timer: waits for a second and four steps, or for ten seconds") {
  StepTimer quick, slow;
  for (StepTimer* timer : {&quick, &slow}) {
    timer->begin_epoch(at(0));
    CHECK_FALSE(timer->add(1, at(1)));
  }
  CHECK_FALSE(quick.add(90, at(1.9)));
  CHECK(quick.add(20, at(2.1))->step == doctest::Approx(0.01));
  CHECK_FALSE(slow.add(1, at(10)));
  const std::optional<Timing> timing = slow.add(1, at(19));
  REQUIRE(timing);
  CHECK(timing->step == doctest::Approx(9));
  CHECK(timing->between_epochs == 0);
}
