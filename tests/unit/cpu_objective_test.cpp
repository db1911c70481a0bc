// pll_objective on the CPU against direct formulas in double, PyTorch's values and closed forms.
#include <array>
#include <cmath>
#include <utility>

#include "support/doctest.h"
#include "unit/cpu_objective_problem.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// c - 1 in float32.
double c_minus_1(ObjectiveVariant variant) {
  return variant == ObjectiveVariant::article ? 0x1p-20 : 0x1p-23;
}

// One sample's losses and new target, as the equations stand, from probabilities in double.
struct Naive {
  double supervised = 0, consistency = 0;
  std::vector<double> target;
};
Naive naive(const Problem& problem, int row, const std::vector<std::vector<double>>& logits) {
  const int n = problem.sample(row), classes = problem.spec.classes;
  const double c = 1 + c_minus_1(std::get<Plcr>(problem.spec.method).variant);
  Naive result;
  result.target.assign(static_cast<std::size_t>(classes), 1);
  for (std::size_t v = 0; v < logits.size(); ++v) {
    double total = 0;
    for (const double z : logits[v]) total += std::exp(z);
    for (int k = 0; k < classes; ++k) {
      const auto column = static_cast<std::size_t>(k);
      const double p = std::exp(logits[v][column]) / total;
      if (v == 0 && !problem.candidates.contains(n, k)) result.supervised -= std::log(c - p);
      const double t = problem.targets[problem.cell(n, k)];
      if (t > 0) result.consistency += t * std::log(t / p);
      result.target[column] *= std::pow(p, 1.0 / static_cast<double>(logits.size()));
    }
  }
  double total = 0;
  for (int k = 0; k < classes; ++k) {
    auto& t = result.target[static_cast<std::size_t>(k)];
    if (!problem.candidates.contains(n, k)) t = 0;
    total += t;
  }
  for (double& t : result.target) t /= total;
  return result;
}

std::vector<std::vector<double>> logits_of(Problem& problem, int row) {
  std::vector<std::vector<double>> logits(static_cast<std::size_t>(problem.spec.views));
  for (int v = 0; v < problem.spec.views; ++v) {
    for (int k = 0; k < problem.spec.classes; ++k) {
      logits[static_cast<std::size_t>(v)].push_back(problem.logits[problem.logit_cell(v, row, k)]);
    }
  }
  return logits;
}

void check_against_naive(Problem& problem) {
  const ObjectiveResult result = run(problem);
  const PllObjectiveSpec& spec = problem.spec;
  ObjectiveMetrics want;
  std::vector<float> targets = problem.targets;
  for (int row = 0; row < spec.batch; ++row) {
    std::vector<std::vector<double>> logits = logits_of(problem, row);
    const Naive base = naive(problem, row, logits);
    want.supervised += base.supervised;
    want.consistency += base.consistency;
    for (int k = 0; k < spec.classes; ++k) {
      CHECK(result.targets[problem.cell(problem.sample(row), k)] ==
            doctest::Approx(base.target[static_cast<std::size_t>(k)]).epsilon(1e-6).scale(1e-2));
      const std::size_t cell = problem.cell(problem.sample(row), k);
      targets[cell] = result.targets[cell];
    }
    for (int v = 0; v < spec.views; ++v) {
      for (int k = 0; k < std::min(spec.classes, 12); ++k) {  // columns enough; each costs two evaluations
        double& z = logits[static_cast<std::size_t>(v)][static_cast<std::size_t>(k)];
        const double at = z, h = 1e-5;
        const auto loss = [&] {
          const Naive there = naive(problem, row, logits);
          return (problem.step.scalars[0] * there.consistency + there.supervised) / spec.batch;
        };
        z = at + h;
        const double above = loss();
        z = at - h;
        const double below = loss();
        z = at;
        const double slope = (above - below) / (2 * h) * problem.step.loss_scale;
        CHECK(std::abs(result.d_logits[problem.logit_cell(v, row, k)] - slope) <=
              2e-7 * std::abs(slope) + 3e-9 * problem.step.loss_scale);
      }
    }
  }
  CHECK(result.last.samples == spec.batch);
  CHECK(result.last.nonfinite == 0);
  CHECK(result.last.supervised == doctest::Approx(want.supervised).epsilon(1e-9));
  CHECK(result.last.consistency == doctest::Approx(want.consistency).epsilon(1e-9));
  CHECK(result.last.total ==
        doctest::Approx(problem.step.scalars[0] * want.consistency + want.supervised).epsilon(1e-9));
  CHECK(result.targets == targets);  // rows of other samples stay
}

// Everything finite, gradients sum to zero over a row, targets are distributions on the candidates.
void check_sound(Problem& problem, const ObjectiveResult& result) {
  const PllObjectiveSpec& spec = problem.spec;
  CHECK(result.last.nonfinite == 0);
  CHECK(std::isfinite(result.last.total));
  CHECK(std::isfinite(result.last.supervised));
  CHECK(std::isfinite(result.last.consistency));
  CHECK(std::isfinite(result.last.target_entropy));
  int bad = 0;
  for (int row = 0; row < spec.batch; ++row) {
    for (int v = 0; v < spec.views; ++v) {
      double sum = 0, size = 0;
      for (int k = 0; k < spec.classes; ++k) {
        const double d = result.d_logits[problem.logit_cell(v, row, k)];
        if (!std::isfinite(d)) ++bad;
        sum += d;
        size += std::abs(d);
      }
      CHECK(std::abs(sum) <= 1e-7 * size + 1e-7);
    }
    double total = 0;
    for (int k = 0; k < spec.classes; ++k) {
      const double t = result.targets[problem.cell(problem.sample(row), k)];
      if (!std::isfinite(t) || t < 0 || t > 1) ++bad;
      if (!problem.candidates.contains(problem.sample(row), k) && t != 0) ++bad;
      total += t;
    }
    CHECK(std::abs(total - 1) <= 1e-5);
  }
  CHECK(bad == 0);
}

}  // namespace

TEST_CASE("the objective equals the equations, its gradient their central differences") {
  for (const ObjectiveVariant variant : {ObjectiveVariant::article, ObjectiveVariant::published}) {
    for (const auto& geometry : std::vector<std::array<int, 3>>{
             {3, 7, 10}, {1, 1, 2}, {2, 5, 3}, {4, 9, 64}, {3, 4, 65}, {3, 3, 130}}) {
      CAPTURE(geometry[0]);
      CAPTURE(geometry[1]);
      CAPTURE(geometry[2]);
      Problem problem(geometry[0], geometry[1], geometry[2], 13, 3);
      problem.spec.method = Plcr{.variant = variant};
      problem.step.first = 4;
      check_against_naive(problem);
      problem.step.loss_scale = 1024;
      problem.step.scalars[0] = 2.5F;
      check_against_naive(problem);
      problem.step.scalars[0] = 0;
      check_against_naive(problem);
    }
  }
}

TEST_CASE("the objective equals PyTorch's float64 value and gradient") {
  // Made with torch.softmax, log(c - p), kl_div(log_softmax, t, reduction="batchmean") and autograd.
  Problem problem(3, 2, 4, 2, 1);
  problem.logits = {1.0F,  -0.5F,  2.0F, 0.25F, 0.5F,  3.0F, -1.0F, 0.0F, 0.0F, 0.75F, 1.5F,   -2.0F,
                    1.25F, -0.25F, 0.5F, 2.0F,  -1.0F, 0.5F, 0.5F,  1.0F, 2.5F, 0.0F,  -0.75F, -1.5F};
  problem.set_candidates(0, {0, 2, 3});
  problem.set_candidates(1, {0, 3});
  problem.targets = {0.5F, 0.0F, 0.25F, 0.25F, 0.875F, 0.0F, 0.0F, 0.125F};
  problem.order = {0, 1};
  problem.step.scalars[0] = 0.5F;
  const std::vector<double> weak_article = {-0.07439083744904675, 0.03791479488195706, 0.07506996691578627,
                                            -0.03859392434869655, -0.439075416869377,  0.6450299298118819,
                                            -0.04107039249726075, -0.16488412044524423};
  const std::vector<double> weak_published = {-0.07439084275023815,  0.03791481709738624, 0.07506995250565399,
                                              -0.03859392685280206,  -0.4390769357010025, 0.6450327018978145,
                                              -0.041070724533620054, -0.16488504166319198};
  const std::vector<double> strong = {
      -0.09267530227035684,  0.06843138563065425,  0.08236924451692343,   -0.05812532787722085,
      -0.15317617325663963,  0.01463149846279139,  0.030974882488797695,  0.10756979230505057,
      -0.1105927994569559,   0.06456859320792942,  0.0020685932079294173, 0.04395561304109705,
      0.0007070930193151248, 0.018014135178495313, 0.008509274934876476,  -0.02723050313268688};
  const std::vector<double> target = {
      0.17945367804255627, 0, 0.6807876569728571, 0.13975866498458658, 0.7772998611746912, 0, 0,
      0.2227001388253089};
  for (const bool article : {true, false}) {
    problem.spec.method = Plcr{.variant = article ? ObjectiveVariant::article : ObjectiveVariant::published};
    const ObjectiveResult result = run(problem);
    CHECK(result.last.supervised ==
          doctest::Approx(article ? 2.1037131301500085 : 2.1037212475992346).epsilon(1e-12));
    CHECK(result.last.consistency == doctest::Approx(5.899384097292023).epsilon(1e-12));
    CHECK(result.last.total ==
          doctest::Approx(article ? 5.0534051787960195 : 5.053413296245246).epsilon(1e-12));
    for (std::size_t i = 0; i < 24; ++i) {
      const double want = i >= 8 ? strong[i - 8] : (article ? weak_article : weak_published)[i];
      CHECK(std::abs(result.d_logits[i] - want) <= 0x1p-24 * std::abs(want));
    }
    for (std::size_t i = 0; i < 8; ++i) CHECK(std::abs(result.targets[i] - target[i]) <= 0x1p-24);
  }
}

TEST_CASE("the supervised term is capped at -log(c - 1)") {
  for (const auto& [variant, cap] : std::vector<std::pair<ObjectiveVariant, double>>{
           {ObjectiveVariant::published, 15.942385}, {ObjectiveVariant::article, 13.862944}}) {
    Problem problem(1, 1, 3, 1, 1);
    problem.spec.method = Plcr{.variant = variant};
    problem.order = {0};
    problem.set_candidates(0, {0});
    problem.logits = {0, 1e4F, 0};
    const ObjectiveResult result = run(problem);
    // The other non-candidate adds -log(c - 0).
    CHECK(result.last.supervised + std::log1p(c_minus_1(variant)) == doctest::Approx(cap).epsilon(1e-7));
  }
}

TEST_CASE("no cancellation where a non-candidate has nearly all the probability") {
  // Two classes, candidate 0, logits (0, z): q = 1 - p_1 = 1 / (1 + e^z) in closed form, L = -log(c - 1 + q),
  // dL/dz = p_1 q / (c - 1 + q). A float32 c - p would be off by 6e-8 / (c - 1), 6 to 50%.
  for (const ObjectiveVariant variant : {ObjectiveVariant::article, ObjectiveVariant::published}) {
    for (const double z : {0.5, 5.0, 10.0, 13.0, 14.0, 16.0, 20.0, 40.0, 80.0}) {
      Problem problem(1, 1, 2, 1, 1);
      problem.spec.method = Plcr{.variant = variant};
      problem.step.scalars[0] = 0;
      problem.order = {0};
      problem.set_candidates(0, {0});
      problem.logits = {0, static_cast<float>(z)};
      const ObjectiveResult result = run(problem);
      const double q = std::exp(-z) / (1 + std::exp(-z));
      const double gap = c_minus_1(variant) + q;
      CHECK(result.last.supervised == doctest::Approx(-std::log(gap)).epsilon(1e-12));
      const double slope = (1 - q) * q / gap;
      CHECK(std::abs(result.d_logits[1] - slope) <= 1e-7 * slope);
      CHECK(result.d_logits[0] == -result.d_logits[1]);
    }
  }
}

TEST_CASE("everything is finite for any finite logits") {
  const float big = std::numeric_limits<float>::max();
  const std::vector<std::vector<float>> palettes = {
      {0},    {1e4F, -1e4F}, {1e4F, -1e4F, 0, 1},  {3e38F, -3e38F},         {big, -big, 0},
      {-big}, {big},         {1e-45F, -1e-45F, 0}, {88.8F, -104, 1e30F, 0}, {17, 0, -17}};
  for (const int classes : {2, 3, 10, 63, 64, 65, 100, 1000}) {
    for (const auto& palette : palettes) {
      for (const ObjectiveVariant variant : {ObjectiveVariant::article, ObjectiveVariant::published}) {
        Problem problem(3, 5, classes, 6, 1);
        problem.spec.method = Plcr{.variant = variant};
        for (std::size_t i = 0; i < problem.logits.size(); ++i) {
          const auto pick = static_cast<std::size_t>((noise(i, 9) + 1) / 2 * 0.999999 *
                                                     static_cast<double>(palette.size()));
          problem.logits[i] = palette[pick];
        }
        problem.set_candidates(problem.sample(0), {classes - 1});
        problem.set_candidates(problem.sample(1), all_labels(classes));
        check_sound(problem, run(problem));
        problem.step.scalars[0] = 0;
        check_sound(problem, run(problem));
      }
    }
  }
}

TEST_CASE("one candidate keeps a one-hot target, all candidates have no supervised term") {
  for (const int classes : {2, 10, 100, 1000}) {
    Problem problem(3, 2, classes, 2, 8);
    problem.order = {0, 1};
    problem.set_candidates(0, {1});
    problem.set_candidates(1, {1});
    const ObjectiveResult one = run(problem);
    CHECK(one.targets == problem.targets);
    CHECK(one.last.target_entropy == 0);
    CHECK(one.last.target_max == 2);
    CHECK(one.last.target_changed == 0);

    problem.set_candidates(0, all_labels(classes));
    problem.set_candidates(1, all_labels(classes));
    problem.step.scalars[0] = 0;
    const ObjectiveResult free = run(problem);
    CHECK(free.last.supervised == 0);
    CHECK(free.last.total == 0);
    CHECK(free.d_logits == std::vector<float>(free.d_logits.size(), 0.0F));
  }
}

TEST_CASE("the loss uses the old target, the next step the new one") {
  Problem problem(3, 6, 10, 6, 4);
  const ObjectiveResult first = run(problem);
  problem.targets = first.targets;
  const ObjectiveResult second = run(problem);
  CHECK(second.last.consistency != doctest::Approx(first.last.consistency).epsilon(1e-3));
  // The new target depends on the logits alone; its KL terms are the smallest a common target can have.
  CHECK(second.targets == first.targets);
  CHECK(second.last.consistency < first.last.consistency);
  CHECK(second.last.target_changed == 0);
  check_against_naive(problem);

  // Views that agree on candidates: the new target is their distribution, and the gradient vanishes.
  Problem agreeing(3, 1, 4, 1, 1);
  agreeing.order = {0};
  agreeing.set_candidates(0, {0, 1, 2, 3});
  for (int v = 0; v < 3; ++v) {
    for (int k = 0; k < 4; ++k) agreeing.logits[agreeing.logit_cell(v, 0, k)] = static_cast<float>(k);
  }
  agreeing.targets = run(agreeing).targets;
  const ObjectiveResult settled = run(agreeing);
  CHECK(std::abs(settled.last.consistency) < 1e-6);
  for (const float d : settled.d_logits) CHECK(std::abs(d) < 1e-7);
}
