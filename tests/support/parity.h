// Compares the CPU backend with the reference backend on one op case.
//
// Bounds. kEpsilon is float32's spacing at 1. A sum of L terms of size t whose signs are random is about
// sqrt(L) t large and is off by about kEpsilon * sqrt(L) times that: rounding_of_sum(). kSafety covers the
// maximum over thousands of elements and orders of summation. Values that batch norm produces inherit the
// rounding of x * scale + shift, which is kEpsilon * |gamma| |x| / sigma however small the result: see
// Conditioning.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "support/op_runner.h"

namespace dpll::test {

inline constexpr double kEpsilon = 0x1p-23;
inline constexpr double kSafety = 4;

// Each output of the op and how far it may be off.
using Tolerances = std::map<std::string, Tolerance>;

enum class Threads { one_result, a_result_each };

// Runs the op on the reference backend once and on the CPU backend twice with 1, 2 and 3 threads. Canaries
// must be intact, all outputs within their tolerances, both runs bit-identical, and with
// Threads::one_result so are the results of all thread counts.
void check_cpu_parity(const std::string& what, std::uint64_t seed, Threads threads,
                      const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances);

// Runs the op on the reference backend and on an emulated CUDA backend (float32) under several schedules of
// its threads and blocks. Empty, or the first complaint: canaries must be intact, all outputs within their
// tolerances, all schedules' results the same to the bit.
std::string cuda_complaint(Backend& backend, const std::string& what, std::uint64_t seed,
                           const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances);
// CHECKs that the emulated CUDA backend gives no complaint, and the one on this machine's GPU, where there is
// one, neither: all outputs within their tolerances, canaries intact, a second run the same to the bit.
void check_cuda_parity(const std::string& what, std::uint64_t seed,
                       const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances);

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

}  // namespace dpll::test
