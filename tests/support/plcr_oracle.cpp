// PLCR by the loops that computed it on the CPU while it was the only method: one sample after the other,
// each in double.
#include "support/plcr_oracle.h"

#include <cmath>

#include "backend/cpu/batch_rows.h"
#include "backend/cpu/parallel.h"
#include "dpll/core/check.h"

namespace dpll::test {
namespace {

using cpu::check_rows;
using cpu::parallel_chunks;
using cpu::sample_of;

constexpr std::int64_t kSamplesPerChunk = 4;

// What the samples of one chunk share, in workspace.
struct Scratch {
  double* probability;  // [V, classes]
  double* log_sum;      // [classes] sum over views of the log-probability
  double* slope;        // [classes] of the supervised term, see supervised_term()
  double* weight;       // [classes] unnormalised new target

  static std::int64_t elements(const PllObjectiveSpec& spec) {
    return (std::int64_t{spec.views} + 3) * spec.classes;
  }
  Scratch(double* memory, const PllObjectiveSpec& spec)
      : probability(memory),
        log_sum(memory + std::int64_t{spec.views} * spec.classes),
        slope(log_sum + spec.classes),
        weight(slope + spec.classes) {}
};

bool contains(const std::uint64_t* candidates, int label) {
  return ((candidates[label / 64] >> (label % 64)) & 1u) != 0;
}

template <typename T>
int argmax(const T* values, int count) {
  int best = 0;
  for (int k = 1; k < count; ++k) {
    if (values[k] > values[best]) best = k;
  }
  return best;
}

struct Softmax {
  int top = 0;      // the first class with the largest logit
  double rest = 0;  // 1 - p_top, as the sum of the others: no cancellation
};

// p = softmax(logits); log_sum += log p. A NaN or infinite logit makes all of p and log_sum NaN.
Softmax softmax(double* p, double* log_sum, const float* logits, int classes) {
  bool finite = true;
  for (int k = 0; k < classes; ++k) finite &= std::isfinite(logits[k]);
  Softmax result;
  result.top = argmax(logits, classes);
  const double largest = finite ? double{logits[result.top]} : std::nan("");
  double others = 0;
  for (int k = 0; k < classes; ++k) {
    p[k] = std::exp(double{logits[k]} - largest);
    if (k != result.top) others += p[k];
  }
  const double scale = 1 / (1 + others);
  const double log_scale = std::log1p(others);
  for (int k = 0; k < classes; ++k) {
    p[k] *= scale;
    log_sum[k] += double{logits[k]} - largest - log_scale;
  }
  result.rest = others * scale;
  return result;
}

// L = -sum_{j not in S} log(c - p_j), and slope = dL/dlogits. With g_j = dL/dp_j = 1 / (c - p_j) outside of S
// and 0 inside, and dp_j/dz_k = p_j (delta_jk - p_k):
//   dL/dz_k = p_k (g_k - sum_j g_j p_j)
// p and g are small and harmless except at the top class when it is no candidate: there p -> 1 and g -> 1 /
// (c
// - 1), a million, and g_top - sum_j g_j p_j would cancel. It is g_top (1 - p_top) minus the sum over the
// others; likewise c - p_top = (c - 1) + (1 - p_top).
double supervised_term(double* slope, const double* p, const Softmax& weak, const std::uint64_t* candidates,
                       double c_minus_1, int classes) {
  double loss = 0, others = 0;
  for (int k = 0; k < classes; ++k) {
    slope[k] = 0;
    if (contains(candidates, k)) continue;
    const double gap = c_minus_1 + (k == weak.top ? weak.rest : 1 - p[k]);
    loss -= std::log(gap);
    slope[k] = 1 / gap;
    if (k != weak.top) others += slope[k] * p[k];
  }
  const double g_top = slope[weak.top], p_top = p[weak.top];
  const double all = others + g_top * p_top;
  for (int k = 0; k < classes; ++k) slope[k] = p[k] * (slope[k] - all);
  slope[weak.top] = p_top * (g_top * weak.rest - others);
  return loss;
}

struct NewTarget {
  double total = 0;    // sum of the weights
  double entropy = 0;  // nats
};

// weight = exp(mean log-probability - its maximum over S) on S, 0 elsewhere.
NewTarget new_target(double* weight, const double* log_sum, const std::uint64_t* candidates, int views,
                     int classes) {
  double largest = -HUGE_VAL;
  for (int k = 0; k < classes; ++k) {
    if (contains(candidates, k)) largest = std::max(largest, log_sum[k]);
  }
  NewTarget result;
  double weighted = 0;
  for (int k = 0; k < classes; ++k) {
    weight[k] = 0;
    if (!contains(candidates, k)) continue;
    const double exponent = (log_sum[k] - largest) / views;
    weight[k] = std::exp(exponent);
    result.total += weight[k];
    weighted += weight[k] * exponent;
  }
  result.entropy = std::log(result.total) - weighted / result.total;
  return result;
}

class PlcrOracle final : public PllObjective {
 public:
  explicit PlcrOracle(const PllObjectiveSpec& spec) : spec_(spec) {
    DPLL_CHECK(spec.views >= 1 && spec.batch >= 1 && spec.classes >= 2,
               "objective of {} views, batch {}, {} classes", spec.views, spec.batch, spec.classes);
    const ObjectiveVariant variant = std::get<Plcr>(spec.method).variant;
    const float c = variant == ObjectiveVariant::article ? static_cast<float>(1 + 1e-6) : 1 + 0x1p-23F;
    c_minus_1_ = double{c} - 1;
  }

  std::size_t workspace_bytes() const override {
    const std::int64_t chunks = (spec_.batch + kSamplesPerChunk - 1) / kSamplesPerChunk;
    return static_cast<std::size_t>(spec_.batch) * sizeof(ObjectiveMetrics) +
           static_cast<std::size_t>(chunks * Scratch::elements(spec_)) * sizeof(double);
  }

  void run(const PllObjectiveCall& call) override {
    check(call);
    auto* per_sample = static_cast<ObjectiveMetrics*>(call.workspace);
    auto* scratch = reinterpret_cast<double*>(per_sample + spec_.batch);
    parallel_chunks(spec_.batch, kSamplesPerChunk, [&](std::int64_t begin, std::int64_t end) {
      const Scratch chunk(scratch + begin / kSamplesPerChunk * Scratch::elements(spec_), spec_);
      for (std::int64_t row = begin; row < end; ++row) per_sample[row] = run_sample(call, chunk, row);
    });
    ObjectiveMetrics sum;
    for (std::int64_t row = 0; row < spec_.batch; ++row) add(sum, per_sample[row]);
    *call.last = sum;
    add(*call.total, sum);
  }

 private:
  void check(const PllObjectiveCall& call) const {
    const std::int64_t values = std::int64_t{spec_.views} * spec_.batch * spec_.classes;
    DPLL_CHECK(call.logits.elements() == values && call.d_logits.elements() == values,
               "logits {}, d_logits {}", call.logits.shape.to_string(), call.d_logits.shape.to_string());
    const std::int64_t samples = call.targets.shape[0];
    DPLL_CHECK(call.targets.shape == (Shape{samples, spec_.classes}), "targets {}",
               call.targets.shape.to_string());
    DPLL_CHECK(call.candidates.shape == (Shape{samples, (spec_.classes + 63) / 64}), "candidates {}",
               call.candidates.shape.to_string());
    DPLL_CHECK(!call.labels.defined() || call.labels.elements() == samples, "labels {}",
               call.labels.shape.to_string());
    DPLL_CHECK(call.last != nullptr && call.total != nullptr && call.workspace != nullptr,
               "objective without metrics or workspace");
    check_rows(call.rows, spec_.batch, samples);
  }

  ObjectiveMetrics run_sample(const PllObjectiveCall& call, const Scratch& scratch, std::int64_t row) const {
    const int classes = spec_.classes;
    const std::int64_t sample = sample_of(call.rows, row);
    const auto* logits = call.logits.as<float>();
    auto* d_logits = call.d_logits.as<float>();
    auto* target = call.targets.as<float>() + sample * classes;
    const auto* candidates = call.candidates.as<std::uint64_t>() + sample * ((classes + 63) / 64);

    for (int k = 0; k < classes; ++k) scratch.log_sum[k] = 0;
    Softmax weak;
    for (int v = 0; v < spec_.views; ++v) {
      const std::int64_t image = std::int64_t{v} * spec_.batch + row;
      const Softmax view = softmax(scratch.probability + std::int64_t{v} * classes, scratch.log_sum,
                                   logits + image * classes, classes);
      if (v == 0) weak = view;
    }

    const double supervised =
        supervised_term(scratch.slope, scratch.probability, weak, candidates, c_minus_1_, classes);
    double mass = 0, negative_entropy = 0, cross_entropy = 0;
    for (int k = 0; k < classes; ++k) {
      const double t = target[k];
      mass += t;
      if (t == 0) continue;
      negative_entropy += t * std::log(t);
      cross_entropy -= t * scratch.log_sum[k];
    }
    const double consistency = spec_.views * negative_entropy + cross_entropy;

    // d KL(t || p) / d logits = p * sum(t) - t
    const StepState& step = *call.rows.step;
    const double supervised_scale = double{step.loss_scale} / spec_.batch;
    const double consistency_scale = step.scalars[0] * supervised_scale;
    for (int v = 0; v < spec_.views; ++v) {
      const double* p = scratch.probability + std::int64_t{v} * classes;
      float* d = d_logits + (std::int64_t{v} * spec_.batch + row) * classes;
      for (int k = 0; k < classes; ++k) {
        const double slope = v == 0 ? supervised_scale * scratch.slope[k] : 0;
        d[k] = static_cast<float>(consistency_scale * (p[k] * mass - target[k]) + slope);
      }
    }

    const NewTarget updated = new_target(scratch.weight, scratch.log_sum, candidates, spec_.views, classes);
    ObjectiveMetrics metrics;
    metrics.samples = 1;
    metrics.total = step.scalars[0] * consistency + supervised;
    if (!std::isfinite(metrics.total) || !std::isfinite(updated.entropy)) {
      metrics.total = 0;
      metrics.nonfinite = 1;
      return metrics;  // and the old target stays
    }
    const int old_top = argmax(target, classes);
    for (int k = 0; k < classes; ++k) target[k] = static_cast<float>(scratch.weight[k] / updated.total);
    const int new_top = argmax(target, classes);

    metrics.supervised = supervised;
    metrics.consistency = consistency;
    metrics.covered = contains(candidates, weak.top) ? 1 : 0;
    metrics.target_entropy = updated.entropy;
    metrics.target_max = target[new_top];
    metrics.target_changed = new_top != old_top ? 1 : 0;
    const std::int32_t label = call.labels.defined() ? call.labels.as<std::int32_t>()[sample] : -1;
    if (label >= 0) {
      metrics.labelled = 1;
      metrics.train_correct = weak.top == label ? 1 : 0;
      metrics.pseudo_correct = new_top == label ? 1 : 0;
    }
    return metrics;
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

  PllObjectiveSpec spec_;
  double c_minus_1_;
};

}  // namespace

std::unique_ptr<PllObjective> make_plcr_oracle(const PllObjectiveSpec& spec) {
  return std::make_unique<PlcrOracle>(spec);
}

}  // namespace dpll::test
