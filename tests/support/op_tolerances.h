// How far a float32 backend may be off from the reference on one op case.
//
// Bounds. kEpsilon is float32's spacing at 1. A sum of L terms of size t whose signs are random is about
// sqrt(L) t large and is off by about kEpsilon * sqrt(L) times that: rounding_of_sum(). kSafety covers the
// maximum over thousands of elements and orders of summation. Values that batch norm produces inherit the
// rounding of x * scale + shift, which is kEpsilon * |gamma| |x| / sigma however small the result: see
// Conditioning.
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
Conditioning conditioning_of(const Tensors& inputs, Mode mode, int views);

// Of the outputs of run_<op>() on inputs that <op>_inputs() made; preact_conv has a file of its own.
Tolerances bn_relu_pool_tolerances(const BnReluPoolCase& c, const Tensors& inputs);
Tolerances linear_tolerances(const LinearCase& c);
// Of with_metric_fields(run_pll_objective()).
Tolerances pll_objective_tolerances(const PllObjectiveCase& c, const Tensors& inputs);
Tolerances cross_entropy_tolerances();
Tolerances sgd_tolerances();
Tolerances augment_tolerances();
Tolerances feature_views_tolerances();

// The counts among the metrics "last" and "total" are exact, so every field becomes an output of its own:
// "last.samples".
OpResult with_metric_fields(OpResult result);

// Empty, or what is wrong with the outputs of `what`, in one line: canaries, missing outputs, an output
// beyond its tolerance.
std::string complaint_about(const std::string& what, std::uint64_t seed, const OpResult& got,
                            const OpResult& want, const Tolerances& tolerances);

}  // namespace dpll::test
