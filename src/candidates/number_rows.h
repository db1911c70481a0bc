// Small CSV files of numbers: label matrices and superclasses.
#pragma once

#include <string>
#include <vector>

namespace dpll {

struct NumberRow {
  int line = 0;  // in the file, from 1
  std::vector<double> values;
};

// Numbers separated by commas, quoted or not, with or without spaces around them; empty lines and lines that
// start with # are skipped. TextLines reads the file. Error(data) names file, line and item.
std::vector<NumberRow> read_number_rows(const std::string& path);

}  // namespace dpll
