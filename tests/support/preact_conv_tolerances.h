// How far a right preact_conv may be from the reference.
#pragma once

#include "support/op_tolerances.h"

namespace dpll::test {

// Activations and their gradients have the spacing `epsilon` at 1: kEpsilon for float32, 2^-10 for f16. Sums
// are float32 in both.
Tolerances preact_conv_tolerances(const PreactConvCase& c, const Tensors& inputs, double epsilon);
// Of with_own_statistics(), on a backend of f16 or bf16; see op_tolerances.h. `want`: the reference's
// outputs.
Tolerances preact_conv_tolerances_in_16_bits(const PreactConvCase& c, DType type, const Tensors& inputs,
                                             const Tensors& want);

}  // namespace dpll::test
