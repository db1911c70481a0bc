// Which sample a row of the batch is, see BatchRows.
#pragma once

#include <cstdint>

#include "dpll/core/check.h"
#include "dpll/ops/common.h"

namespace dpll::cpu {

inline std::int64_t sample_of(const BatchRows& rows, std::int64_t row) {
  const std::int64_t position = std::int64_t{rows.step->first} + rows.ahead + row;
  return rows.order.defined() ? static_cast<const std::int32_t*>(rows.order.data)[position] : position;
}

// Stops before a parallel region where a row would lie outside of a table of `samples` rows.
inline void check_rows(const BatchRows& rows, std::int64_t batch, std::int64_t samples) {
  DPLL_CHECK(rows.step != nullptr, "batch without step state");
  if (rows.order.defined()) {
    const std::int64_t first = std::int64_t{rows.step->first} + rows.ahead;
    DPLL_CHECK(rows.order.dtype == DType::i32 && first + batch <= rows.order.elements(),
               "rows {} to {} of an order of {} {}", first, first + batch, rows.order.elements(),
               name_of(rows.order.dtype));
  }
  for (std::int64_t r = 0; r < batch; ++r) {
    const std::int64_t sample = sample_of(rows, r);
    DPLL_CHECK(sample >= 0 && sample < samples, "row {} is sample {} of {}", r, sample, samples);
  }
}

}  // namespace dpll::cpu
