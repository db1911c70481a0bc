// Compares the CPU backend with the reference backend on one op case.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/depth.h"
#include "support/op_tolerances.h"

namespace dpll::test {

// Runs the op on the reference backend once and on the CPU backend twice with 1, 2 and 3 threads. Canaries
// must be intact, all outputs within their tolerances, both runs bit-identical, and so are the results of all
// thread counts but for the outputs `by_threads`.
void check_cpu_parity(const std::string& what, std::uint64_t seed, const std::vector<std::string>& by_threads,
                      const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances);

// So many schedules find every race of tests/emulation/faults.h.
constexpr int kSchedules = 8, kUsualSchedules = test_depth(kSchedules, 2);

// Runs the op on the reference backend and on an emulated CUDA backend under schedules of its threads and
// blocks. Empty, or the first complaint: canaries must be intact, all outputs within their tolerances, all
// schedules' results the same to the bit.
std::string cuda_complaint(Backend& backend, const std::string& what, std::uint64_t seed,
                           const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances,
                           int schedules = kUsualSchedules);
// CHECKs that the emulated CUDA backend in float32 gives no complaint, and the one on this machine's GPU,
// where there is one, neither: all outputs within their tolerances, canaries intact, a second run the same to
// the bit.
void check_cuda_parity(const std::string& what, std::uint64_t seed,
                       const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances);

// A case on the emulated CUDA backend in f16 and in bf16. Inputs are made for the type, so that both sides
// see the same numbers; tolerances may ask how large the reference's outputs are.
struct CaseOf16Bits {
  std::string what;
  std::uint64_t seed;
  std::function<Tensors(DType)> inputs;
  std::function<OpResult(Backend&, const Tensors&)> run;
  std::function<Tolerances(DType, const Tensors& inputs, const Tensors& want)> tolerances;
};
void check_cuda_parity_in_16_bits(const CaseOf16Bits& c);

}  // namespace dpll::test
