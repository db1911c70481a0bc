// Convolutions and products by their definitions, in place of cuDNN and cuBLAS: sums in float64, rounded once
// to the type that is stored. The whole workspace is written, so that it is not taken for something that
// lasts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/runtime.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// How the loops of a way behave. sums_in_order: statistics are summed in float32, one value after the other.
// accumulates: the last value is added to what its place held. ends_context: nothing works after it. kills:
// the process ends at once, as kill -9 ends it. asks_to_stop: somebody sends SIGTERM meanwhile. hangs: it
// never ends.
// tensor_cores: float32 factors lose their last 13 bits, sums are float32 and lose what is beyond it after
// every 8 (in 16 bits 16) products; these are right as well.
enum class Behaviour {
  right,
  wrong,
  different_each_run,
  cannot_be_built,
  throws,
  sums_in_order,
  accumulates,
  ends_context,
  kills,
  asks_to_stop,
  hangs,
  tensor_cores
};

struct LoopOffer {
  std::string name = "loops";
  double milliseconds = 1;  // that a run takes on the emulated clock
  Behaviour behaviour = Behaviour::right;
  // Of the fused passes, where it is not the same.
  std::optional<double> fused_milliseconds = {};
  std::optional<Behaviour> fused_behaviour = {};
};

// Offers `ways` for every pass and product, in this order; products know right, wrong, throws and
// cannot_be_built.
std::unique_ptr<MathLibrary> make_reference_library(const std::vector<LoopOffer>& ways);

int& fused_runs();  // of fused passes, so far

// The clock of the emulated runtime, to which ways add what they take.
double& emulated_milliseconds();

// The host's memory, a stream that runs everything at once, the emulated clock.
std::unique_ptr<Runtime> make_emulated_runtime(std::size_t memory = std::size_t{1} << 30);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
