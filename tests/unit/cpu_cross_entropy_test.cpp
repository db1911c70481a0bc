// cross_entropy on the CPU.
#include <cmath>
#include <limits>

#include "backend/cpu/cpu_ops.h"
#include "dpll/core/philox.h"
#include "support/doctest.h"
#include "support/host_tensor.h"
#include "support/threads.h"

using namespace dpll;
using dpll::test::tensor_of;
using dpll::test::ThreadCount;

namespace {

struct Evaluation {
  std::vector<std::int32_t> predictions, labels, order;
  std::vector<float> confidences, logits;
  StepState step;
  EvaluationSums sums;

  Evaluation(int samples, int rows, int classes)
      : predictions(static_cast<std::size_t>(samples), -9),
        confidences(static_cast<std::size_t>(samples), -9.0F) {
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(rows * classes); ++i) {
      logits.push_back(10 * uniform_float(philox4x32(1, i, 0, 0, 0).v[0]) - 5);
    }
    for (int n = 0; n < samples; ++n) labels.push_back((n * 7 + 1) % classes);
    for (int n = 0; n < samples; ++n) order.push_back(samples - 1 - n);
  }

  void run(int classes, bool with_order) {
    CrossEntropyCall call;
    call.sums = &sums;
    call.predictions = tensor_of(predictions);
    call.confidences = tensor_of(confidences);
    call.labels = tensor_of(labels);
    call.logits = tensor_of(logits, {static_cast<std::int64_t>(logits.size()) / classes, classes});
    call.rows.step = &step;
    if (with_order) call.rows.order = tensor_of(order);
    cpu::cross_entropy(call);
  }
};

}  // namespace

TEST_CASE("cross_entropy equals the formula and writes its samples' predictions") {
  for (const bool with_order : {false, true}) {
    const int samples = 120, rows = 101, classes = 7;
    Evaluation evaluation(samples, rows, classes);
    evaluation.step.first = 4;
    evaluation.labels[50] = evaluation.labels[60] = -1;
    evaluation.sums = {1, 2, 3};
    evaluation.run(classes, with_order);
    double loss = 2, correct = 3, counted = 1;
    std::vector<bool> seen(static_cast<std::size_t>(samples), false);
    for (std::size_t r = 0; r < 101; ++r) {
      const auto sample = with_order ? static_cast<std::size_t>(evaluation.order[4 + r]) : 4 + r;
      double total = 0;
      std::size_t best = 0;
      const float* z = evaluation.logits.data() + r * 7;
      for (std::size_t k = 0; k < 7; ++k) {
        total += std::exp(double{z[k]});
        if (z[k] > z[best]) best = k;
      }
      seen[sample] = true;
      CHECK(evaluation.predictions[sample] == static_cast<std::int32_t>(best));
      CHECK(evaluation.confidences[sample] ==
            doctest::Approx(std::exp(double{z[best]}) / total).epsilon(1e-6));
      const std::int32_t label = evaluation.labels[sample];
      if (label < 0) continue;
      counted += 1;
      loss -= std::log(std::exp(double{z[static_cast<std::size_t>(label)]}) / total);
      correct += static_cast<std::int32_t>(best) == label ? 1 : 0;
    }
    CHECK(evaluation.sums.samples == counted);
    CHECK(evaluation.sums.correct == correct);
    CHECK(evaluation.sums.loss == doctest::Approx(loss).epsilon(1e-12));
    for (std::size_t n = 0; n < seen.size(); ++n) {
      if (!seen[n]) CHECK((evaluation.predictions[n] == -9 && evaluation.confidences[n] == -9.0F));
    }
  }
}

TEST_CASE("cross_entropy takes the first of equal logits and stays exact at extreme ones") {
  Evaluation evaluation(4, 4, 3);
  const float big = std::numeric_limits<float>::max();
  evaluation.logits = {1, 1, 1, -big, big, -big, 0, 1e4F, 0, 1e4F, 1e4F, -1e4F};
  evaluation.labels = {2, 1, 0, 0};
  evaluation.run(3, false);
  CHECK(evaluation.predictions == std::vector<std::int32_t>{0, 1, 1, 0});
  CHECK(evaluation.confidences[1] == 1.0F);
  CHECK(evaluation.confidences[3] == 0.5F);
  CHECK(evaluation.sums.samples == 4);
  CHECK(evaluation.sums.correct == 2);
  CHECK(evaluation.sums.loss == doctest::Approx(std::log(3.0) + 0 + 1e4 + std::log(2.0)).epsilon(1e-12));

  evaluation.logits[4] = std::nanf("");
  evaluation.run(3, false);
  CHECK(std::isnan(evaluation.sums.loss));
}

TEST_CASE("cross_entropy is the same for every number of threads and needs no labels") {
  const auto sums = [](int threads) {
    const ThreadCount scope(threads);
    Evaluation evaluation(250, 250, 10);
    evaluation.run(10, true);
    return evaluation.sums;
  };
  const EvaluationSums one = sums(1);
  for (const int threads : {2, 3, 8}) {
    CHECK(sums(threads).loss == one.loss);
    CHECK(sums(threads).correct == one.correct);
  }
  Evaluation evaluation(5, 5, 10);
  CrossEntropyCall call;
  call.sums = &evaluation.sums;
  call.logits = tensor_of(evaluation.logits, {5, 10});
  call.rows.step = &evaluation.step;
  cpu::cross_entropy(call);
  CHECK(evaluation.sums.samples == 0);
  evaluation.labels.resize(4);
  call.labels = tensor_of(evaluation.labels);
  CHECK_THROWS_AS(cpu::cross_entropy(call), Error);
}
