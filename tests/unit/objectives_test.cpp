// What each method of src/objectives computes for a sample, in closed form: the limits that golden values do
// not reach.
#include <array>
#include <cmath>
#include <string>

#include "dpll/config.h"
#include "objectives/methods.h"
#include "objectives/run_sample.h"
#include "support/doctest.h"

using namespace dpll;

namespace {

// A sample of up to four classes, float64.
struct ToySample {
  ObjectivePart part() const { return ObjectivePart::all; }
  static constexpr bool kSingle = false;
  int view_count = 1, class_count = 3, true_label = -1;
  std::array<double, 8> logits{};   // [views, classes]
  std::array<bool, 4> candidate{};  // [classes]
  mutable std::array<double, 4> stored{};
  mutable std::array<double, 8> gradients{};
  mutable std::array<double, 32> memory{};

  int classes() const { return class_count; }
  int views() const { return view_count; }
  int first() const { return 0; }
  int stride() const { return 1; }
  double sum(double x) const { return x; }
  objectives::Top largest(const objectives::Top& top) const { return top; }
  double logit(int v, int k) const { return logits[static_cast<std::size_t>(v * class_count + k)]; }
  bool in_set(int k) const { return candidate[static_cast<std::size_t>(k)]; }
  int label() const { return true_label; }
  double row(int k) const { return stored[static_cast<std::size_t>(k)]; }
  double set_row(int k, double x) const { return stored[static_cast<std::size_t>(k)] = x; }
  void set_gradient(int v, int k, double x) const {
    gradients[static_cast<std::size_t>(v * class_count + k)] = x;
  }
  double gradient_scale() const { return 1; }
  double scalar(int) const { return 1; }
  double* scratch(int i) const { return memory.data() + i * class_count; }
};

}  // namespace

TEST_CASE("proden: cross entropy with the row, then the output on the candidates") {
  ToySample sample;
  sample.logits = {std::log(1.0), std::log(2.0), std::log(5.0)};
  sample.candidate = {true, true, false};
  sample.stored = {0.25, 0.75, 0};
  const ObjectiveMetrics metrics = objectives::run_sample(Proden{}, sample);
  CHECK(metrics.total == doctest::Approx(-0.25 * std::log(1 / 8.0) - 0.75 * std::log(2 / 8.0)));
  CHECK(metrics.supervised == 0);
  CHECK(sample.gradients[0] == doctest::Approx(1 / 8.0 - 0.25));
  CHECK(sample.gradients[1] == doctest::Approx(2 / 8.0 - 0.75));
  CHECK(sample.gradients[2] == doctest::Approx(5 / 8.0));
  CHECK(sample.stored[0] == doctest::Approx(1 / 3.0));
  CHECK(sample.stored[1] == doctest::Approx(2 / 3.0));
  CHECK(sample.stored[2] == 0);
  CHECK(metrics.target_max == doctest::Approx(2 / 3.0));
  CHECK(metrics.covered == 0);  // the largest logit is no candidate's
}

TEST_CASE("proden: a row stays a distribution where the candidates' probabilities vanish") {
  ToySample sample;
  sample.logits = {-1e4, -1e4, 1e4};
  sample.candidate = {true, true, false};
  sample.stored = {0.5, 0.5, 0};
  const ObjectiveMetrics metrics = objectives::run_sample(Proden{}, sample);
  CHECK(metrics.nonfinite == 0);
  CHECK(metrics.total == doctest::Approx(2e4));
  CHECK(sample.stored[0] == 0.5);
  CHECK(sample.stored[1] == 0.5);
}

TEST_CASE("proden: a class whose share is 0 returns in the article's variant and not in the published one") {
  for (const bool published : {false, true}) {
    ToySample sample;
    sample.candidate = {true, true, false};
    sample.stored = {1, 0, 0};
    objectives::run_sample(
        Proden{.variant = published ? ObjectiveVariant::published : ObjectiveVariant::article}, sample);
    CHECK(sample.stored[0] == (published ? 1 : 0.5));
    CHECK(sample.stored[1] == (published ? 0 : 0.5));
  }
}

TEST_CASE("cross_entropy: the mean over the views; nothing is learned of an unknown label") {
  ToySample sample;
  sample.view_count = 2;
  sample.class_count = 2;
  sample.logits = {0, std::log(3.0), 0, 0};
  sample.candidate = {true, true};
  sample.stored = {0.5, 0.5};
  sample.true_label = 1;
  ObjectiveMetrics metrics = objectives::run_sample(CrossEntropyOnTruth{}, sample);
  CHECK(metrics.total == doctest::Approx((-std::log(0.75) - std::log(0.5)) / 2));
  CHECK(sample.gradients[0] == doctest::Approx(0.125));
  CHECK(sample.gradients[1] == doctest::Approx(-0.125));
  CHECK(sample.gradients[3] == doctest::Approx(-0.25));
  CHECK(sample.stored[1] == doctest::Approx(0.75));
  CHECK(metrics.train_correct == 1);

  sample.true_label = -1;
  metrics = objectives::run_sample(CrossEntropyOnTruth{}, sample);
  CHECK(metrics.total == 0);
  CHECK(metrics.labelled == 0);
  for (const double gradient : sample.gradients) CHECK(gradient == 0);
}

TEST_CASE("methods: names are one each, facts are those of the chosen one") {
  CHECK(facts_of(Plcr{}).strong_views == 2);
  CHECK(facts_of(Proden{}).strong_views == 0);
  CHECK(facts_of(CrossEntropyOnTruth{}).needs_labels);
  CHECK(std::string(facts_of(Plcr{}).scalar_names[0]) == "lambda");
  CHECK(facts_of(Proden{}).scalar_names[0] == nullptr);
  RunConfig config;
  std::get<Proden>(config.methods).variant = ObjectiveVariant::published;
  CHECK(std::get<Plcr>(method_of(config)) == Plcr{});
  CHECK(views_of(config) == 3);
  config.objective.method = "proden";
  CHECK(std::get<Proden>(method_of(config)).variant == ObjectiveVariant::published);
  CHECK(views_of(config) == 1);
  config.views.strong = 4;
  CHECK(views_of(config) == 5);
}
