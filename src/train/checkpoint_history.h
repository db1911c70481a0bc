// The history of a run in its checkpoint: a tensor [epochs, columns] and the names of the columns.
#pragma once

#include <cstdint>

#include "dpll/run_charts.h"
#include "dpll/safetensors.h"

namespace dpll {

void add_history(SafetensorsWriter& writer, const History& history);
// Also reads the text that earlier versions wrote. Error(data) if it is not a table of numbers with at most
// one row for each of `finished_epochs` epochs, in their order.
History read_history(const SafetensorsFile& file, std::int64_t finished_epochs);

}  // namespace dpll
