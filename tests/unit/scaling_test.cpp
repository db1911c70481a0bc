// What scaling curves make of measurements: charts with limits, CSV, JSON; and memory that is only planned.
#include "bench/scaling.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/step_bench.h"
#include "support/doctest.h"
#include "support/error_of.h"

using namespace dpll;
using namespace dpll::bench;
using dpll::test::contains;
using dpll::test::error_of;

namespace {

ScalingCurve curve_of(std::vector<double> measured, std::vector<double> limit) {
  ScalingCurve curve;
  curve.name = curve.x_key = "batch";
  curve.title = "a curve";
  curve.subtitle = "cpu";
  curve.x_label = "samples a step";
  curve.y_label = "images/s";
  curve.logarithmic_x = true;
  curve.x = {8, 16, 32};
  curve.measured = {{"images_per_s", "measured", std::move(measured)}};
  curve.limits = {{"limit", "the limit", std::move(limit)}};
  return curve;
}

}  // namespace

TEST_CASE("scaling: a limit that is the same everywhere is a line, another one a dashed series") {
  const Chart same = chart_of(curve_of({100, 150, 180}, {200, 200, 200.1}));
  REQUIRE(same.lines.size() == 1);
  CHECK(same.lines.front().label == "the limit");
  CHECK(same.lines.front().y == 200.1);
  CHECK(same.series.size() == 1);
  CHECK(same.y.min == 0);
  CHECK_FALSE(same.y.logarithmic);
  CHECK(same.x.ticks == std::vector<double>{8, 16, 32});
  CHECK(same.x.logarithmic);
  const Chart changing = chart_of(curve_of({100, 150, 180}, {200, 180, 190}));
  CHECK(changing.lines.empty());
  REQUIRE(changing.series.size() == 2);
  CHECK(changing.series.back().dashed);
  CHECK_FALSE(changing.series.front().dashed);
  // Far above: both are readable on a logarithmic axis only.
  const Chart far = chart_of(curve_of({1, 2, 3}, {1000, 1000, 1000}));
  CHECK(far.y.logarithmic);
  CHECK(std::isnan(far.y.min));
}

TEST_CASE("scaling: rows of numbers, percent of the limit, and where the machine was busy") {
  ScalingCurve curve = curve_of({100, 150, 180}, {200, 200, 200});
  curve.spread = {0.01, 0.2, 0.02};
  curve.not_drawn = {{"slowest_round", "", {90, 100, 170}}};
  CHECK(csv_of(curve) ==
        "batch,images_per_s,slowest_round,limit,spread,percent_of_limit\n"
        "8,100,90,200,0.01,50\n16,150,100,200,0.2,75\n32,180,170,200,0.02,90\n");
  CHECK(curve.busy_at() == std::vector<double>{16});
  CHECK(chart_of(curve).subtitle == "machine busy at 16; cpu");
  CHECK(chart_of(curve).series.size() == 1);
  const nlohmann::json json = nlohmann::json::parse(json_of({curve, curve}));
  REQUIRE(json.size() == 2);
  CHECK(json[1].at("columns").at("percent_of_limit")[2] == 90);
  CHECK(json[0].at("busy_at") == nlohmann::json::array({16}));
  curve.less_is_better = true;  // 100 s where 200 s are the least
  CHECK(csv_of(curve).find("\n8,100,90,200,0.01,200\n") != std::string::npos);
  curve.limits.front().y.pop_back();
  CHECK_THROWS_AS(csv_of(curve), const Error&);
}

TEST_CASE("scaling: memory that is planned is what a step that runs takes") {
  RunConfig config = config_of_model("wrn-10-1");
  config.optimiser.batch = 4;
  config.run.threads = 1;
  config.run.device = DeviceChoice::cpu;
  const DataSet data = noise_data(config, 8, 10, 0);
  const CandidateSets candidates = uniform_candidates(data.train.labels, data.classes, 0.3, 1, 2);
  const StepBench plan(config, data, candidates, false);
  StepBench runs(config, data, candidates);
  CHECK(runs.time_steps(3).size() == 3);
  CHECK(plan.planned_bytes() == runs.planned_bytes());
  CHECK(plan.planned_bytes() == runs.backend().peak_bytes());
  CHECK(plan.arena_bytes() > 0);
  config.optimiser.batch = 8;
  const StepBench twice(config, data, candidates, false);
  CHECK(2 * twice.arena_bytes() > 3 * plan.arena_bytes());
}

TEST_CASE("scaling: names of networks") {
  CHECK(config_of_model("lenet").model.architecture == Architecture::lenet);
  CHECK(config_of_model("wrn-28-2").model.width == 2);
  for (const char* wrong : {"vgg", "wrn-12-1", "wrn-16-2x", "wrn-16", "wrn-16-0"}) {
    CHECK(contains(error_of([&] { config_of_model(wrong); }), wrong));
  }
}
