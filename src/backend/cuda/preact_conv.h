// The ways to compute preact_conv on the GPU: which passes of convolution.h it is made of.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/cuda_ops.h"
#include "backend/cuda/tuner.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct PreactVariant {
  enum class Forward {
    plain,       // batch norm and ReLU write a; the convolution reads it; one more pass adds and measures
    statistics,  // the convolution measures y, view by view
    activated,   // it also applies batch norm and ReLU to what it reads: a exists nowhere, nothing is saved
  };
  Forward forward = Forward::plain;
  // The data gradient's convolution masks by ReLU and sums for batch norm's backward, view by view.
  bool reductions = false;

  bool operator==(const PreactVariant&) const = default;
};
std::string name_of(const PreactVariant& variant);

// Those that compute what `spec` asks for, plain first. A library may lack the passes that they need.
std::vector<PreactVariant> variants_of(const PreactConvSpec& spec);

// Null where the library has no engine for one of the variant's passes.
std::unique_ptr<PreactConv> make_preact_conv(const Context& context, const PreactConvSpec& spec,
                                             const PreactVariant& variant);

// What a choice between variants depends on, as text.
std::string key_of(const Context& context, const PreactConvSpec& spec);
// Forward and backward of the whole operation on random numbers.
Contest preact_conv_contest(const Context& context, const PreactConvSpec& spec,
                            const std::vector<PreactVariant>& variants);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
