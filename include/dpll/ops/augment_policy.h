// The policies of the strong views.
#pragma once

namespace dpll {

// A policy changes the whole image of a strong view; the tables are in src/augment/policy_tables.cpp.
enum class AugmentPolicy { none, plcr_cifar, svhn, autoaugment_cifar, randaugment };

}  // namespace dpll
