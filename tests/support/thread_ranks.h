// Ranks that are threads of one process, for tests of what several ranks compute together: no MPI is needed.
#pragma once

#include <functional>

#include "dpll/ranks.h"

namespace dpll::test {

// Calls work(ranks) in `size` threads at once, one for each rank, and waits for all. Where one throws, the
// collective functions of the others throw an Error, and the first exception is thrown here. So is an Error
// where the ranks call different collective functions, or with arguments that do not fit, or one does not
// come within a minute. The values of a sum are NaN until its wait() has returned, so that a wait() that was
// forgotten shows.
void run_ranks(int size, const std::function<void(Ranks& ranks)>& work);

}  // namespace dpll::test
