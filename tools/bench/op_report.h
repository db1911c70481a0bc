// The output of bench_ops: a table for people, CSV and JSON for programs, and the changes since an older JSON
// file.
#pragma once

#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "bench/work.h"

namespace dpll::bench {

struct OpFigures {
  std::string name;  // "preact_conv/WRN-28-2 group 1/forward"
  Measurement measured;
  Work work;
  std::size_t rotated_bytes = 0;  // of the inputs and outputs through which the calls rotate
};

struct OpReport {
  std::string backend, commit;
  Ceilings ceilings;
  std::vector<OpFigures> figures;
};

// "name  median us  p90 us  ..." and a row of this table. A spread beyond kBusySpread is marked.
std::string table_header();
std::string table_row(const OpFigures& figures, const Ceilings& ceilings);
// "copy 21.4 GB/s (512 MiB), product 350.2 GFLOP/s (2048 x 2048): ..."
std::string ceilings_line(const Ceilings& ceilings);

// Times in microseconds, bytes, operations, GB/s (1e9 bytes), GFLOP/s, and shares of the ceilings in percent.
std::string to_csv(const OpReport& report);
std::string to_json(const OpReport& report);

// One line for each common benchmark whose median changed by more than the noise of both runs (three times
// the larger spread, at least 3 %), then a line with their number. Error(data) if the file is not from
// bench_ops.
std::vector<std::string> changes_since(const std::string& old_path, const OpReport& now);

}  // namespace dpll::bench
