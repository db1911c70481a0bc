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
//   logit(v, k)                  of view v
//   in_set(k)                    is class k a candidate?
//   label()                      the true one, -1: unknown
//   row(k), set_row(k, x)        the sample's row of the table; set_row returns the stored, rounded value
//   set_gradient(v, k, x)        sets dL/dlogit; call it once for each logit
//   gradient_scale()             loss scale / batch: the factor of the gradients of the sample's loss
//   scalar(i)                    scalar i of the step, see the method
//   scratch(i)                   double [classes], array i of the method's scratch_arrays()
//   kSingle                      are rows float32? (the reference's are float64)
#pragma once

#include <cmath>
#include <cstdint>

#include "dpll/core/host_device.h"

namespace dpll {

// The maximum number of scalars of a method, for example a weight that grows. Float32 in backend memory.
inline constexpr int kMethodScalars = 4;

// The position of a step in the run. Scalars may depend on it.
struct Moment {
  int epoch = 0;          // 0-based
  std::int64_t step = 0;  // of the run, 0-based
  std::int64_t steps_per_epoch = 1;
};

// The constants of a method's article, or of the code that its authors published. For PLCR, `article` means
// the description from which this engine was written (plcr.h).
enum class ObjectiveVariant { article, published };

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
  return row;
}

// The result of a method's function.
struct Outcome {
  double total = 0;                        // the sample's loss
  double supervised = 0, consistency = 0;  // its terms, if the method has them
  int predicted = 0;                       // the weak view's first class with the largest logit
  const double* weight = nullptr;          // [classes] of the new row
  NewRow row = {};
};

}  // namespace objectives
}  // namespace dpll
