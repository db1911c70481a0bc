// Values of the reference objective: against the equations computed directly with probabilities where that
// is safe, closed forms where it is not, and a hand-made batch for the metrics.
#include <algorithm>
#include <cmath>
#include <limits>

#include "support/doctest.h"
#include "support/op_runner.h"

using namespace dpll;
using namespace dpll::test;

namespace {

ObjectiveMetrics metrics_of(const HostTensor& fields) {
  ObjectiveMetrics metrics;
  std::copy(fields.values.begin(), fields.values.end(), reinterpret_cast<double*>(&metrics));
  return metrics;
}

OpResult run(const PllObjectiveCase& c, const Tensors& inputs) {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  return run_pll_objective(*backend, c, inputs);
}

// The sample of row r.
std::int64_t sample_of(const Tensors& inputs, std::int64_t r) {
  const std::int64_t position = std::int64_t{test_step().first} + r;
  return inputs.count("order") != 0 ? static_cast<std::int64_t>(inputs.at("order")[position]) : position;
}

std::vector<double> softmax(const HostTensor& logits, std::int64_t row) {
  const std::int64_t classes = logits.shape[1];
  std::vector<double> p;
  double sum = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    p.push_back(std::exp(logits[row * classes + j]));
    sum += p.back();
  }
  for (double& value : p) value /= sum;
  return p;
}

// One sample, one view, with the sets and logits given.
Tensors single(const std::vector<double>& logits, const std::vector<double>& candidates) {
  const auto classes = static_cast<std::int64_t>(logits.size());
  Tensors inputs;
  inputs["logits"] = HostTensor({1, classes});
  inputs["logits"].values = logits;
  inputs["candidates"] = HostTensor({6, classes}, 1);
  inputs["targets"] = HostTensor({6, classes}, 1.0 / static_cast<double>(classes));
  const auto size = static_cast<double>(std::count(candidates.begin(), candidates.end(), 1.0));
  for (std::int64_t j = 0; j < classes; ++j) {
    inputs["candidates"][2 * classes + j] = candidates[static_cast<std::size_t>(j)];
    inputs["targets"][2 * classes + j] = candidates[static_cast<std::size_t>(j)] / size;
  }
  inputs["total"] = HostTensor({kObjectiveMetricsFields});
  return inputs;
}

PllObjectiveCase single_case(int classes, ObjectiveVariant variant = ObjectiveVariant::article) {
  return {"single", {1, 1, classes, Plcr{.variant = variant}}};
}

}  // namespace

TEST_CASE("reference objective: every term equals the equations on moderate logits") {
  for (const PllObjectiveCase& c : small_pll_objective_cases()) {
    if (c.logits != Logits::moderate || !std::holds_alternative<Plcr>(c.spec.method)) continue;
    if (c.part != ObjectivePart::all) continue;
    const std::int64_t classes = c.spec.classes;
    const Tensors inputs = pll_objective_inputs(c, 7);
    const OpResult result = run(c, inputs);
    const double constant = std::get<Plcr>(c.spec.method).variant == ObjectiveVariant::article
                                ? 1 + 1e-6
                                : 1.00000011920928955078125;
    double supervised = 0, consistency = 0;
    HostTensor targets = inputs.at("targets");
    for (std::int64_t r = 0; r < c.spec.batch; ++r) {
      const std::int64_t begin = sample_of(inputs, r) * classes;
      const HostTensor& stored = inputs.at("targets");
      const HostTensor& candidates = inputs.at("candidates");
      std::vector<double> product(static_cast<std::size_t>(classes), 1.0);
      for (std::int64_t v = 0; v < c.spec.views; ++v) {
        const std::vector<double> p = softmax(inputs.at("logits"), v * c.spec.batch + r);
        for (std::int64_t j = 0; j < classes; ++j) {
          const double p_j = p[static_cast<std::size_t>(j)], t = stored[begin + j];
          if (v == 0 && candidates[begin + j] == 0) supervised -= std::log(constant - p_j);
          if (t > 0) consistency += t * std::log(t / p_j);
          product[static_cast<std::size_t>(j)] *= std::pow(p_j, 1.0 / c.spec.views);
        }
      }
      double sum = 0;
      for (std::int64_t j = 0; j < classes; ++j) {
        targets[begin + j] = candidates[begin + j] * product[static_cast<std::size_t>(j)];
        sum += targets[begin + j];
      }
      for (std::int64_t j = 0; j < classes; ++j) targets[begin + j] /= sum;
    }
    CAPTURE(c.name);
    const ObjectiveMetrics last = metrics_of(result.outputs.at("last"));
    CHECK(last.samples == c.spec.batch);
    CHECK(last.supervised == doctest::Approx(supervised).epsilon(1e-9));
    CHECK(last.consistency == doctest::Approx(consistency).epsilon(1e-9));
    CHECK(last.total ==
          doctest::Approx(supervised + static_cast<double>(c.lambda) * consistency).epsilon(1e-9));
    CHECK(last.nonfinite == 0);
    // Rows outside of the batch are compared too: they stay.
    CHECK(difference("targets", 7, result.outputs.at("targets"), targets, {0, 1e-12}) == "");
    HostTensor total = inputs.at("total");
    for (std::int64_t i = 0; i < total.elements(); ++i) total[i] += result.outputs.at("last")[i];
    CHECK(difference("total", 7, result.outputs.at("total"), total, {1e-14, 0}) == "");
  }
}

TEST_CASE("reference objective: a certain wrong label costs -log(c - 1)") {
  const Tensors inputs = single({500, 0, 0}, {0, 1, 1});
  CHECK(metrics_of(run(single_case(3), inputs).outputs.at("last")).supervised ==
        doctest::Approx(-std::log(1e-6)).epsilon(1e-9));
  CHECK(metrics_of(run(single_case(3, ObjectiveVariant::published), inputs).outputs.at("last")).supervised ==
        doctest::Approx(15.942385).epsilon(1e-7));
}

TEST_CASE("reference objective: targets are right where every candidate's probability underflows") {
  // p of the candidates is exp(-2e4) and less, 0 in double; their ratio is exp(3).
  const OpResult result = run(single_case(4), single({1e4, -1e4, -1e4 - 3, 1e4}, {0, 1, 1, 0}));
  const HostTensor& targets = result.outputs.at("targets");
  CHECK(targets[8] == 0);
  CHECK(targets[9] == doctest::Approx(1 / (1 + std::exp(-3.0))).epsilon(1e-9));
  CHECK(targets[10] == doctest::Approx(1 / (1 + std::exp(3.0))).epsilon(1e-9));
  CHECK(targets[11] == 0);
  const ObjectiveMetrics last = metrics_of(result.outputs.at("last"));
  CHECK(last.nonfinite == 0);
  // log p is -2e4 - log 2 and 3 less for the second candidate, each with target 1/2.
  CHECK(last.consistency == doctest::Approx(2e4 + std::log(2.0) + 1.5 + std::log(0.5)).epsilon(1e-12));
}

TEST_CASE("reference objective: metrics of a hand-made batch") {
  // Three samples, one view, no order: rows are samples 2, 3 and 4.
  PllObjectiveCase c{"metrics", {1, 3, 3, Plcr{}}};
  const double ln2 = std::log(2.0);
  Tensors inputs;
  inputs["logits"] = HostTensor({3, 3});
  inputs["logits"].values = {5, 5, 0, 0, 9, ln2, 0, 0, 4};
  inputs["candidates"] = HostTensor({8, 3}, 1);
  inputs["targets"] = HostTensor({8, 3}, 1.0 / 3);
  const std::vector<double> sets = {1, 1, 0, 1, 0, 1, 0, 1, 1};
  const std::vector<double> targets = {0.5, 0.5, 0, 0.9, 0, 0.1, 0, 0.25, 0.75};
  std::copy(sets.begin(), sets.end(), inputs["candidates"].values.begin() + 6);
  std::copy(targets.begin(), targets.end(), inputs["targets"].values.begin() + 6);
  inputs["labels"] = HostTensor({8});
  inputs["labels"].values = {0, 0, 0, 2, -1, 0, 0, 0};
  inputs["total"] = HostTensor({kObjectiveMetricsFields});
  const ObjectiveMetrics last = metrics_of(run(c, inputs).outputs.at("last"));
  CHECK(last.samples == 3);
  CHECK(last.labelled == 2);
  CHECK(last.train_correct == 1);   // sample 2: equal logits, the first one counts; sample 3 says 1, not 2
  CHECK(last.pseudo_correct == 2);  // sample 3: 1 is no candidate, and 2 beats 0
  CHECK(last.covered == 2);
  CHECK(last.target_changed == 1);            // sample 3: from 0 to 2
  const double p = 1 / (1 + std::exp(-4.0));  // sample 4: classes 1 and 2 with logits 0 and 4
  CHECK(last.target_max == doctest::Approx(0.5 + 2.0 / 3 + p).epsilon(1e-12));
  const auto entropy = [](double t) { return -t * std::log(t) - (1 - t) * std::log(1 - t); };
  CHECK(last.target_entropy == doctest::Approx(ln2 + entropy(1.0 / 3) + entropy(p)).epsilon(1e-12));
}

TEST_CASE("reference objective: a broken logit is counted, its target stays and its gradient is NaN") {
  const PllObjectiveCase c{"broken", {2, 4, 5, Plcr{}}};
  const Tensors clean = pll_objective_inputs(c, 9);
  const OpResult whole = run(c, clean);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const double value : {std::nan(""), kInf, -kInf}) {
    Tensors inputs = clean;
    inputs["logits"][(4 + 2) * 5 + 3] = value;  // view 1, row 2
    const OpResult result = run(c, inputs);
    const ObjectiveMetrics last = metrics_of(result.outputs.at("last"));
    CHECK(last.nonfinite == 1);
    CHECK(last.samples == 4);
    CHECK(std::isfinite(last.total));
    for (std::int64_t i = 0; i < 8 * 5; ++i) {
      const double got = result.outputs.at("d_logits")[i];
      if (i / 5 == 6) {
        CHECK(std::isnan(got));
      } else {
        CHECK(got == whole.outputs.at("d_logits")[i]);
      }
    }
    HostTensor targets = whole.outputs.at("targets");
    const std::int64_t begin = sample_of(inputs, 2) * 5;
    for (std::int64_t j = begin; j < begin + 5; ++j) targets[j] = inputs.at("targets")[j];
    CHECK(difference("targets", 9, result.outputs.at("targets"), targets, {}) == "");
  }
}

TEST_CASE("reference objective: loss and rows in two calls are those of one call") {
  for (const PllObjectiveCase& whole : small_pll_objective_cases()) {
    if (whole.part != ObjectivePart::all || whole.spec.classes > 65) continue;
    CAPTURE(whole.name);
    PllObjectiveCase loss = whole, rows = whole;
    loss.part = ObjectivePart::loss;
    rows.part = ObjectivePart::rows;
    rows.adds = true;
    const Tensors inputs = pll_objective_inputs(whole, 11);
    const OpResult want = run(whole, inputs), of_loss = run(loss, inputs), of_rows = run(rows, inputs);
    CHECK(of_loss.outputs.at("d_logits").values == want.outputs.at("d_logits").values);
    CHECK(of_loss.outputs.at("targets").values == inputs.at("targets").values);
    CHECK(of_rows.outputs.at("targets").values == want.outputs.at("targets").values);
    for (const double x : of_rows.outputs.at("d_logits").values) CHECK(x == 0);  // as it was
    if (inputs.contains("kept")) {
      CHECK(of_loss.outputs.at("kept").values == inputs.at("kept").values);
      CHECK(of_rows.outputs.at("kept").values == want.outputs.at("kept").values);
    }
    // Each metric is one part's, and `last` holds what it held besides.
    HostTensor sum = want.outputs.at("last");
    for (std::int64_t i = 0; i < sum.elements(); ++i) sum[i] += inputs.at("total")[i];
    HostTensor parts = of_rows.outputs.at("last");
    for (std::int64_t i = 0; i < parts.elements(); ++i) parts[i] += of_loss.outputs.at("last")[i];
    CHECK(difference("last", 11, parts, sum, {1e-14, 0}) == "");
  }
}
