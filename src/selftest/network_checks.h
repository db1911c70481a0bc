// Checks of the network of a run on a backend with its own shapes, for the test of a GPU before a run and for
// `dpll_engine selftest CONFIG`.
#pragma once

#include <string>

#include "dpll/backend.h"
#include "dpll/config.h"
#include "dpll/data.h"

namespace dpll::selftest {

// A failed check: the device computes wrong results.
struct WrongNumbers {
  std::string check, why;
};

inline constexpr const char* kNetworkCheck = "the network's convolutions and products";

// Creates every operation of the network for all batch sizes of the run. An operation chooses its engines
// when it is created, and checks each of them: WrongResult if one is wrong. Backend::proven_ways() counts
// them.
void prove_network(Backend& backend, const RunConfig& config, const DataSet& data);

// Runs two training steps, then the same two again from the start: WrongNumbers if a parameter has other
// bits.
void check_equal_bits(Backend& backend, const RunConfig& config, const DataSet& data);

}  // namespace dpll::selftest
