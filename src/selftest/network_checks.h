// What a run's own network shows on a backend, at its own shapes: for the qualification of a GPU and for
// `dpll_engine selftest CONFIG`.
#pragma once

#include <string>

#include "dpll/backend.h"
#include "dpll/config.h"
#include "dpll/data.h"

namespace dpll::selftest {

// A check that did not pass: what the device computes is wrong.
struct WrongNumbers {
  std::string check, why;
};

inline constexpr const char* kNetworkCheck = "the network's convolutions and products";

// Makes every operation of the network for all batches that the run has. An operation decides which ways it
// uses when it is made, and has each shown to be right: WrongResult where one is not. Backend::proven_ways()
// counts them.
void prove_network(Backend& backend, const RunConfig& config, const DataSet& data);

// Two training steps, and the same two again from the start: WrongNumbers where a parameter has other bits.
void check_equal_bits(Backend& backend, const RunConfig& config, const DataSet& data);

}  // namespace dpll::selftest
