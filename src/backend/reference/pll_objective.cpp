#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/reference/reference_ops.h"
#include "backend/reference/softmax.h"

namespace dpll::reference {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using Row = std::vector<double>;  // one value a class

bool all_finite(const double* values, int count) {
  return std::all_of(values, values + count, [](double value) { return std::isfinite(value); });
}

class ReferencePllObjective final : public PllObjective {
 public:
  explicit ReferencePllObjective(const PllObjectiveSpec& spec)
      : spec_(spec), margin_(spec.variant == ObjectiveVariant::article ? 1e-6 : 0x1p-23) {}

  std::size_t workspace_bytes() const override { return 0; }

  void run(const PllObjectiveCall& call) override {
    ObjectiveMetrics metrics;
    for (int r = 0; r < spec_.batch; ++r) run_sample(call, r, metrics);
    *call.last = metrics;
    add(*call.total, metrics);
  }

 private:
  void run_sample(const PllObjectiveCall& call, int r, ObjectiveMetrics& metrics) const {
    const int classes = spec_.classes;
    const std::int64_t sample = row_in(call.targets, call.rows, r);
    const auto is_candidate = [&](int j) {
      const std::uint64_t word = call.candidates.as<std::uint64_t>()[sample * ((classes + 63) / 64) + j / 64];
      return ((word >> (j % 64)) & 1u) != 0;
    };
    double* stored = call.targets.as<double>() + sample * classes;
    const Row target(stored, stored + classes);

    std::vector<Row> log_p;  // a row per view; one with a broken logit is all NaN, and so is what follows
    for (int v = 0; v < spec_.views; ++v) {
      const double* logits = logits_of(call, v, r);
      log_p.push_back(all_finite(logits, classes) ? log_softmax(logits, classes) : Row(at(classes), kNan));
    }

    double consistency = 0;
    for (int v = 0; v < spec_.views; ++v) consistency += divergence(target, log_p[at(v)]);
    Row d_supervised(at(classes), 0.0);
    const double supervised = supervised_term(log_p[0], is_candidate, d_supervised);
    const double lambda = call.rows.step->lambda;
    const double total = lambda * consistency + supervised;

    const double mass = std::accumulate(target.begin(), target.end(), 0.0);  // 1 but for rounding
    for (int v = 0; v < spec_.views; ++v) {
      double* d_logits = call.d_logits.as<double>() + (std::int64_t{v} * spec_.batch + r) * classes;
      for (int j = 0; j < classes; ++j) {
        double gradient = lambda * (mass * std::exp(log_p[at(v)][at(j)]) - target[at(j)]);
        if (v == 0) gradient += d_supervised[at(j)];
        d_logits[j] = gradient / spec_.batch * call.rows.step->loss_scale;
      }
    }

    const Row updated = updated_target(log_p, is_candidate);
    metrics.samples += 1;
    if (!std::isfinite(total) || !all_finite(updated.data(), classes)) {
      metrics.nonfinite += 1;
      return;
    }
    std::copy(updated.begin(), updated.end(), stored);
    metrics.total += total;
    metrics.supervised += supervised;
    metrics.consistency += consistency;
    const int weak_argmax = first_argmax(logits_of(call, 0, r), classes);
    const int target_argmax = first_argmax(updated.data(), classes);
    const std::int32_t label = call.labels.defined() ? call.labels.as<std::int32_t>()[sample] : -1;
    if (label >= 0) {
      metrics.labelled += 1;
      metrics.train_correct += weak_argmax == label ? 1 : 0;
      metrics.pseudo_correct += target_argmax == label ? 1 : 0;
    }
    metrics.covered += is_candidate(weak_argmax) ? 1 : 0;
    for (const double t : updated) metrics.target_entropy -= t > 0 ? t * std::log(t) : 0.0;
    metrics.target_max += updated[at(target_argmax)];
    metrics.target_changed += target_argmax != first_argmax(target.data(), classes) ? 1 : 0;
  }

  // KL(target || p) with 0 log 0 = 0.
  static double divergence(const Row& target, const Row& log_p) {
    double sum = 0;
    for (std::size_t j = 0; j < target.size(); ++j) {
      if (target[j] > 0) sum += target[j] * (std::log(target[j]) - log_p[j]);
    }
    return sum;
  }

  // -sum over the other labels of log(c - p_j), and its gradient with respect to the weak view's logits. With
  // w_j = 1 / (c - p_j) for the other labels, 0 for candidates:
  //   d_k = p_k (w_k (1 - p_k) - sum_{j != k} w_j p_j)
  template <typename IsCandidate>
  double supervised_term(const Row& log_p, const IsCandidate& is_candidate, Row& d_logits) const {
    const int classes = spec_.classes;
    Row p(at(classes));
    Row rest(at(classes));    // 1 - p
    Row weight(at(classes));  // w
    for (int j = 0; j < classes; ++j) p[at(j)] = std::exp(log_p[at(j)]);
    double loss = 0;
    for (int j = 0; j < classes; ++j) {
      rest[at(j)] = p[at(j)] > 0.5 ? sum_of_others(p, j) : 1 - p[at(j)];
      if (is_candidate(j)) continue;
      const double c_minus_p = margin_ + rest[at(j)];
      loss -= std::log(c_minus_p);
      weight[at(j)] = 1 / c_minus_p;
    }
    Row weighted(at(classes));
    for (int j = 0; j < classes; ++j) weighted[at(j)] = weight[at(j)] * p[at(j)];
    for (int k = 0; k < classes; ++k) {
      d_logits[at(k)] = p[at(k)] * (weight[at(k)] * rest[at(k)] - sum_of_others(weighted, k));
    }
    return loss;
  }

  // Softmax over the candidates of the mean log-probability.
  template <typename IsCandidate>
  Row updated_target(const std::vector<Row>& log_p, const IsCandidate& is_candidate) const {
    Row mean(at(spec_.classes), -std::numeric_limits<double>::infinity());
    for (int j = 0; j < spec_.classes; ++j) {
      if (!is_candidate(j)) continue;
      double sum = 0;
      for (const Row& view : log_p) sum += view[at(j)];
      mean[at(j)] = sum / spec_.views;
    }
    Row target = log_softmax(mean.data(), spec_.classes);
    for (double& t : target) t = std::exp(t);
    return target;
  }

  static double sum_of_others(const Row& values, int left_out) {
    double sum = 0;
    for (std::size_t j = 0; j < values.size(); ++j) sum += j == at(left_out) ? 0.0 : values[j];
    return sum;
  }

  static void add(ObjectiveMetrics& sum, const ObjectiveMetrics& term) {
    sum.samples += term.samples;
    sum.total += term.total;
    sum.supervised += term.supervised;
    sum.consistency += term.consistency;
    sum.labelled += term.labelled;
    sum.train_correct += term.train_correct;
    sum.pseudo_correct += term.pseudo_correct;
    sum.covered += term.covered;
    sum.target_entropy += term.target_entropy;
    sum.target_max += term.target_max;
    sum.target_changed += term.target_changed;
    sum.nonfinite += term.nonfinite;
  }

  const double* logits_of(const PllObjectiveCall& call, int view, int r) const {
    return call.logits.as<double>() + (std::int64_t{view} * spec_.batch + r) * spec_.classes;
  }
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  PllObjectiveSpec spec_;
  double margin_;  // c - 1
};

}  // namespace

std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) {
  return std::make_unique<ReferencePllObjective>(spec);
}

}  // namespace dpll::reference
