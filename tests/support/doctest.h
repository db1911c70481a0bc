// doctest plus what it lacks: a test that cannot run on this machine says why and is counted as skipped.
#pragma once

#include <doctest/doctest.h>

#include <string>

namespace dpll::test {
// Counts the running test case as skipped. With `needs_cuda`, DPLL_REQUIRE_CUDA=1 in the environment makes it
// a failure instead, so that a GPU machine cannot pass by skipping.
void note_skip(const std::string& why, bool needs_cuda);
}  // namespace dpll::test

// Both leave the test body: use them only directly in a TEST_CASE.
#define DPLL_SKIP(why)                   \
  do {                                   \
    ::dpll::test::note_skip(why, false); \
    return;                              \
  } while (false)
#define DPLL_SKIP_NEEDS_CUDA(why)       \
  do {                                  \
    ::dpll::test::note_skip(why, true); \
    return;                             \
  } while (false)
