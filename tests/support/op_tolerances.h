// How far a backend may be off from the reference on one op case.
//
// Bounds. kEpsilon is float32's spacing at 1. A sum of L terms of size t whose signs are random is about
// sqrt(L) t large and is off by about kEpsilon * sqrt(L) times that: rounding_of_sum(). kSafety covers the
// maximum over thousands of elements and orders of summation. Values that batch norm produces inherit the
// rounding of x * scale + shift, which is kEpsilon * |gamma| |x| / sigma however small the result: see
// Conditioning.
//
// 16 bits. A backend of `type` f16 or bf16 holds activations, their gradients and weights in it, computes in
// float32 in between, and rounds what it stores. Inputs were made for the type, so that both sides see the
// same numbers; what is left beside float32's bounds are the roundings of what is stored on the way.
#pragma once

#include <map>
#include <string>

#include "support/op_runner.h"

namespace dpll::test {

inline constexpr double kEpsilon = 0x1p-23;
inline constexpr double kSafety = 4;

// Each output of the op and how far it may be off.
using Tolerances = std::map<std::string, Tolerance>;

// For sums of `length` products of size `term`.
Tolerance rounding_of_sum(double length, double term);
// Both errors.
Tolerance operator+(const Tolerance& a, const Tolerance& b);

// How a batch norm over inputs "x", with "bn.gamma", amplifies.
struct Conditioning {
  double gain = 0;    // largest |gamma| / sigma
  double offset = 0;  // largest |x| / sigma
  double value = 0;   // largest |gamma| |x| / sigma
};
Conditioning conditioning_of(const Tensors& inputs, Mode mode, int views, const std::string& of = "x",
                             const std::string& bn = "bn");

// Of values that are rounded once, when they are stored in `type`; nothing for float32, whose rounding is in
// the bounds already.
Tolerance stored_in(DType type);
// Largest finite |value|.
double largest(const HostTensor& tensor);

// Of the outputs of run_<op>() on inputs that <op>_inputs() made for `type`; preact_conv has a file of its
// own.
Tolerances bn_relu_pool_tolerances(const BnReluPoolCase& c, const Tensors& inputs, DType type = DType::f32);
Tolerances linear_tolerances(const LinearCase& c);  // float32
// Of with_own_statistics(), where the case has statistics. `want`: the reference's outputs.
Tolerances linear_tolerances_in_16_bits(const LinearCase& c, DType type, const Tensors& inputs,
                                        const Tensors& want);
// Of with_metric_fields(run_pll_objective()).
Tolerances pll_objective_tolerances(const PllObjectiveCase& c, const Tensors& inputs,
                                    DType type = DType::f32);
Tolerances cross_entropy_tolerances();
Tolerances sgd_tolerances();  // also of with_own_weight()
Tolerances augment_tolerances(DType type = DType::f32);
Tolerances feature_views_tolerances(DType type = DType::f32);

// The counts among the metrics "last" and "total" are exact, so every field becomes an output of its own:
// "last.samples".
OpResult with_metric_fields(OpResult result);

// Of statistics [V, 2, C] of values of which each may be off by `error`: of the mean by as much, of the
// variance by twice the mean of |value - mean| error.
Tolerance of_statistics(const HostTensor& stats, double error);
// With one more output, "y_stats, own": the statistics beside those of y as it was stored, of which they must
// be whatever y's own error is. Nothing is added where the case has no statistics.
OpResult with_own_statistics(OpResult result, int views);
Tolerance of_own_statistics(const Tensors& want);

// With "weight, own" in place of "weight", which only backends of 16 bits have: how far the weights of `type`
// are from the leading new values, rounded; likewise "average_weight" and averages. `weights`: their number,
// maybe 0.
OpResult with_own_weight(OpResult result, std::int64_t weights, DType type);

// Empty, or what is wrong with the outputs of `what`, in one line: canaries, missing outputs, an output
// beyond its tolerance.
std::string complaint_about(const std::string& what, std::uint64_t seed, const OpResult& got,
                            const OpResult& want, const Tolerances& tolerances);

}  // namespace dpll::test
