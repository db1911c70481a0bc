// Ranks that are threads of one process, for tests that need no MPI.
#pragma once

#include <functional>

#include "dpll/ranks.h"

namespace dpll::test {

// Runs `body` once for each of `count` ranks, at the same time. An exception of one ends the others at their
// next collective call, and is thrown again here.
void run_ranks(int count, const std::function<void(Ranks&)>& body);

}  // namespace dpll::test
