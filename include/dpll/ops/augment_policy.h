// Which policy the strong views go through.
#pragma once

namespace dpll {

// What changes the whole image of a strong view; tables in src/augment/policy_tables.cpp.
enum class AugmentPolicy { none, plcr_cifar, svhn, autoaugment_cifar, randaugment };

}  // namespace dpll
