#include "check/arithmetic.h"

namespace dpll::check {
namespace {

double unit_roundoff(DType type) {
  return type == DType::f16 ? 0x1p-11 : type == DType::bf16 ? 0x1p-8 : kFloatRoundoff;
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
  } else if (product == DType::bf16) {
    arithmetic.factor = unit_roundoff(product);
    arithmetic.at_once = 16;
  } else if (precision == Precision::tf32) {
    arithmetic.factor = 0x1p-10;  // 11 significant bits, and no rounding to nearest
    arithmetic.cuts = true;
    arithmetic.at_once = 8;
  }
  return arithmetic;
}

}  // namespace dpll::check
