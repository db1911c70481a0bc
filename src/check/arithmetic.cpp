#include "check/arithmetic.h"

#include <nlohmann/json.hpp>
#include <string>

namespace dpll::check {
namespace {

double unit_roundoff(DType type) {
  return type == DType::f16 ? 0x1p-11 : type == DType::bf16 ? 0x1p-8 : kFloatRoundoff;
}

// Does a choice of Backend::tuning_choices() begin with `name`?
bool chooses(const std::string& choices, const std::string& name) {
  const nlohmann::json json = nlohmann::json::parse(choices, nullptr, false);
  if (!json.is_object() || !json.contains("choices")) return false;
  for (const auto& choice : json["choices"]) {
    if (choice.is_object() && choice.value("name", "").starts_with(name)) return true;
  }
  return false;
}

}  // namespace

Arithmetic arithmetic_of(const Backend& backend, Precision precision) {
  const DType compute = backend.compute_dtype(), product = backend.product_dtype();
  Arithmetic arithmetic;
  arithmetic.type = compute;
  arithmetic.stored = unit_roundoff(compute);
  if (compute == DType::f16) arithmetic.smallest = 0x1p-25;
  if (arithmetic.sixteen_bits()) {
    arithmetic.at_once = 16;
    // The name of the variants of preact_conv that apply batch norm in the convolution.
    arithmetic.fuses = chooses(backend.tuning_choices(), "activated");
  } else if (product == DType::bf16) {
    arithmetic.factor = unit_roundoff(product);
    arithmetic.at_once = 16;
  } else if (precision == Precision::tf32) {
    arithmetic.factor = 0x1p-10;  // 11 significant bits, truncated
    arithmetic.cuts = true;
    arithmetic.at_once = 8;
  }
  return arithmetic;
}

}  // namespace dpll::check
