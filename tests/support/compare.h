// Comparisons of tensors, which the self-test shares (src/selftest).
#pragma once

#include "selftest/compare.h"

namespace dpll::test {

using namespace selftest;

}  // namespace dpll::test
