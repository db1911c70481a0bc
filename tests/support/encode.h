// Between doubles and the bytes of tensors, which the self-test shares (src/selftest).
#pragma once

#include "selftest/encode.h"
#include "support/compare.h"
