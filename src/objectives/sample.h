// The functions with which methods of partial-label learning are written. A method is one function of one
// sample (plcr.h is an example). The CPU, the GPU, the emulator and the float64 reference use the same
// source.
//
// The function works with a *group* of lanes that share the sample: one lane on the CPU, the threads of a
// block on a GPU. A lane only handles its own classes k = first(), + stride(), ... Only sums and maxima
// combine lanes; every lane gets their result and takes the same branches. Arithmetic is in double; the group
// converts when it loads and stores. A Group has
//   classes(), views()           numbers
//   first(), stride()            this lane's classes
//   sum(x), largest(top)         over the lanes, in a fixed order; NaN is never the largest
//   part()                       which part of a call is asked for; only run_sample() looks at it
//   logit(v, k)                  of view v
//   teacher_logit(v, k)          of the teacher, if the method has one
//   in_set(k)                    is class k a candidate?
//   label()                      the true one, -1: unknown
//   row(k), set_row(k, x)        the sample's row of the table; set_row returns the stored, rounded value
//   kept(r, k), keep(r, k, x)    row r of those that the method keeps besides; only run_sample() writes them
//   class_value(k)               number k of the method's class_values(), the same for all samples
//   set_gradient(v, k, x)        sets dL/dlogit; call it once for each logit. Does nothing where a call makes
//                                rows alone
//   batch()                      number of samples in the batch, on all ranks
//   gradient_scale()             loss scale / batch: the factor of the gradients of the sample's loss
//   batch_sum(i)                 sum i over the batch, if the method has rounds
//   scalar(i)                    scalar i of the step, see the method
//   scratch(i)                   double [classes], array i of the method's scratch_arrays()
//   kSingle                      are rows float32? (the reference's are float64)
//
// Besides its function a method has about, keys(), scalar_names, scalars(), strong_views, has_terms,
// needs_labels and scratch_arrays(); plcr.h is an example. The following members are optional:
//   kept_rows, first_kept(r, in_set, candidates, classes)
//       Rows over all classes that are kept for each sample, and their first values. The function returns the
//       new values in Outcome::kept.
//   metric_names
//       Up to kMethodMetrics values that the method measures for a sample and returns in Outcome::measured.
//       The mean over the samples of an epoch is reported.
//   rounds, round_sums(round, classes), prepare(round, group), term(round, group, i)
//       Sums over the batch. For each round in order, prepare() is called for every sample and fills scratch
//       arrays that stay until the function runs. Then sum i becomes the sum over the samples of term(), in a
//       fixed order; in term() the group has one lane. batch_sum() numbers the sums of all rounds
//       consecutively.
//   keeps_prepared
//       false: only term() reads the arrays that prepare() fills, not the function.
//   has_class_values, class_values(sets)
//       One number for each class, computed from the candidate sets of the whole training set.
//   loss_uses_row
//       true: the loss reads the sample's row, or rows that are kept besides, so that it matters when rows
//       are made (objective.update).
//   has_teacher, teacher_momentum()
//       A second network of the same kind, whose parameters are the moving average of the trained ones, sees
//       the same views: teacher = momentum * teacher + (1 - momentum) * trained, after each update.
//   make_hook(samples, classes)
//       What happens to the whole table at the end of an epoch, see epoch_hook.h.
#pragma once

#include <cmath>
#include <cstdint>

#include "dpll/core/host_device.h"

namespace dpll {

// The maximum number of scalars of a method, for example a weight that grows. Float32 in backend memory.
inline constexpr int kMethodScalars = 4;
inline constexpr int kMostKeptRows = 2;
inline constexpr int kMethodMetrics = 2;

// The position of a step in the run. Scalars may depend on it.
struct Moment {
  int epoch = 0;          // 0-based
  std::int64_t step = 0;  // of the run, 0-based
  std::int64_t steps_per_epoch = 1;
};

// The constants of a method's article, or of the code that its authors published. For PLCR, `article` means
// the description from which this engine was written (plcr.h).
enum class ObjectiveVariant { article, published };

// When a scalar that grows over the epochs changes: at the beginning of an epoch, or at every step.
enum class RampUnit { epoch, step };

namespace objectives {

// The description of a method in `dpll_engine methods`.
struct About {
  const char* name;  // of objective.method, and of its section of keys
  const char* paper;
  const char* formula;  // one line
};

inline constexpr double kLargest = 1.7976931348623157e308;

DPLL_HD bool is_finite(double x) {
  return fabs(x) <= kLargest;
}

// A value and its class; the first class wins among equals.
struct Top {
  double value = -kLargest;
  int index = 0;
};

DPLL_HD Top larger(const Top& a, const Top& b) {
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

struct Softmax {
  int top = 0;       // the first class with the largest logit
  double p_top = 0;  // its probability
  double rest = 0;   // 1 - p_top, as the sum of the others: no cancellation
};

// p = softmax(logits of a view); log_sum += log p. A NaN or infinite logit makes all of p and log_sum NaN.
template <typename Group>
DPLL_HD Softmax softmax(const Group& g, int view, double* p, double* log_sum) {
  double broken = 0;
  Top top;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    const double z = g.logit(view, k);
    broken += is_finite(z) ? 0 : 1;
    top = larger(top, {z, k});
  }
  broken = g.sum(broken);
  top = g.largest(top);
  const double largest = broken > 0 ? static_cast<double>(NAN) : top.value;
  double others = 0;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    p[k] = exp(g.logit(view, k) - largest);
    if (k != top.index) others += p[k];
  }
  others = g.sum(others);
  const double scale = 1 / (1 + others), log_scale = log1p(others);
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    p[k] *= scale;
    log_sum[k] += g.logit(view, k) - largest - log_scale;
  }
  return {top.index, scale, others * scale};
}

// The new row of a sample: weight / total.
struct NewRow {
  double total = 0;
  double entropy = 0;  // nats
  double log_sum = 0;  // log of the sum of exp(score / divisor)
};

// weight_k = exp((score(k) - the largest score) / divisor) on the classes of `member`, 0 elsewhere: a softmax
// over these classes that cannot underflow.
template <typename Group, typename Member, typename Score>
DPLL_HD NewRow softmax_over(const Group& g, double* weight, const Member& member, const Score& score,
                            double divisor) {
  Top largest;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    if (member(k)) largest = larger(largest, {score(k), k});
  }
  largest = g.largest(largest);
  NewRow row;
  double weighted = 0;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    weight[k] = 0;
    if (!member(k)) continue;
    const double exponent = (score(k) - largest.value) / divisor;
    weight[k] = exp(exponent);
    row.total += weight[k];
    weighted += weight[k] * exponent;
  }
  row.total = g.sum(row.total);
  weighted = g.sum(weighted);
  row.entropy = log(row.total) - weighted / row.total;
  row.log_sum = largest.value / divisor + log(row.total);
  return row;
}

// Softmax of every view into scratch(0) to scratch(V - 1), and log_sum = sum_v log p_v; what the weak view
// says.
template <typename Group>
DPLL_HD Softmax softmax_of_views(const Group& g, double* log_sum) {
  for (int k = g.first(); k < g.classes(); k += g.stride()) log_sum[k] = 0;
  Softmax weak;
  for (int v = 0; v < g.views(); ++v) {
    const Softmax view = softmax(g, v, g.scratch(v), log_sum);
    if (v == 0) weak = view;
  }
  return weak;
}

// -(1/V) sum_v sum_j t_j log p_vj after softmax_of_views(), and its gradient; t = target(j).
template <typename Group, typename Target>
DPLL_HD double cross_entropy(const Group& g, const double* log_sum, const Target& target) {
  double mass = 0, loss = 0;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    const double t = target(k);
    mass += t;
    if (t != 0) loss -= t * log_sum[k];
  }
  mass = g.sum(mass);
  loss = g.sum(loss) / g.views();
  const double scale = g.gradient_scale() / g.views();
  for (int v = 0; v < g.views(); ++v) {
    const double* const p = g.scratch(v);
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      g.set_gradient(v, k, scale * (p[k] * mass - target(k)));
    }
  }
  return loss;
}

// The row norm_S(p_0): what the weak view makes of the candidates.
template <typename Group>
DPLL_HD NewRow weak_view_on_candidates(const Group& g, double* weight) {
  return softmax_over(
      g, weight, [&](int k) { return g.in_set(k); }, [&](int k) { return g.logit(0, k); }, 1);
}

// 1 / (1 + exp(-x)) without overflow.
DPLL_HD double sigmoid(double x) {
  const double small = exp(-fabs(x));
  return x >= 0 ? 1 / (1 + small) : small / (1 + small);
}

// What a method's function gives back.
struct Outcome {
  double total = 0;                        // the sample's loss
  double supervised = 0, consistency = 0;  // its terms, if the method has them
  int predicted = 0;                       // the weak view's first class with the largest logit
  const double* weight = nullptr;          // [classes] of the new row
  NewRow row = {};
  const double* kept[kMostKeptRows] = {};  // [classes] each: the new kept rows
  double measured[kMethodMetrics] = {};
};

template <typename M>
constexpr int kept_rows_of() {
  if constexpr (requires { M::kept_rows; }) {
    static_assert(M::kept_rows <= kMostKeptRows);
    return M::kept_rows;
  } else {
    return 0;
  }
}

template <typename M>
constexpr int rounds_of() {
  if constexpr (requires { M::rounds; }) {
    return M::rounds;
  } else {
    return 0;
  }
}

// Does the function read what prepare() left in scratch?
template <typename M>
constexpr bool keeps_prepared_of() {
  if constexpr (requires { M::keeps_prepared; }) {
    return M::keeps_prepared;
  } else {
    return rounds_of<M>() > 0;
  }
}

// Of all rounds.
template <typename M>
int batch_sums_of(const M& method, int classes) {
  int count = 0;
  if constexpr (rounds_of<M>() > 0) {
    for (int round = 0; round < M::rounds; ++round) count += method.round_sums(round, classes);
  }
  return count;
}

}  // namespace objectives
}  // namespace dpll
