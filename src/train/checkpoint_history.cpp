#include "train/checkpoint_history.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "dpll/core/check.h"

namespace dpll {
namespace {

constexpr const char* kHistory = "history";
constexpr const char* kHistoryColumns = "history_columns";

[[noreturn]] void refuse(const SafetensorsFile& file, const std::string& what) {
  fail(ExitCode::data, "{}: 'history' {}", file.path(), what);
}

// {"columns": [names], "rows": [[numbers or null]]}.
History from_json(const SafetensorsFile& file) {
  const auto text = file.metadata().find(kHistory);
  if (text == file.metadata().end()) {
    fail(ExitCode::data, "{}: not a checkpoint: it has no '{}'", file.path(), kHistory);
  }
  const nlohmann::json json = nlohmann::json::parse(text->second, nullptr, false);
  if (!json.is_object() || !json.contains("columns") || !json.contains("rows") ||
      !json["columns"].is_array() || !json["rows"].is_array()) {
    refuse(file, "is not a JSON object of columns and rows");
  }
  History history;
  for (const nlohmann::json& column : json["columns"]) {
    if (!column.is_string())
      refuse(file, fmt::format("has a column {} without a name", history.columns.size()));
    history.columns.push_back(column.get<std::string>());
  }
  for (const nlohmann::json& row : json["rows"]) {
    const std::size_t i = history.rows.size();
    std::vector<double>& cells = history.rows.emplace_back();
    if (!row.is_array() || row.size() != history.columns.size()) {
      refuse(file, fmt::format("has {} cells in row {}, expected {}", row.is_array() ? row.size() : 0, i,
                               history.columns.size()));
    }
    for (const nlohmann::json& cell : row) {
      if (!cell.is_number() && !cell.is_null()) {
        refuse(file, fmt::format("holds {} in row {}, column {}, expected a number or null", cell.type_name(),
                                 i, cells.size()));
      }
      cells.push_back(cell.is_null() ? std::numeric_limits<double>::quiet_NaN() : cell.get<double>());
    }
  }
  return history;
}

History from_tensor(const SafetensorsFile& file) {
  History history;
  const auto names = file.metadata().find(kHistoryColumns);
  std::istringstream text(names == file.metadata().end() ? "" : names->second);
  for (std::string name; std::getline(text, name, ',');) history.columns.push_back(name);
  const auto columns = static_cast<std::int64_t>(history.columns.size());
  const std::vector<std::int64_t>& shape = file.entry(kHistory).shape;
  if (columns == 0 || shape.size() != 2 || shape[1] != columns) {
    refuse(file,
           fmt::format("is {}, expected the {} columns that are named", fmt::join(shape, " x "), columns));
  }
  const std::vector<double> cells = file.get<double>(kHistory);
  for (auto cell = cells.begin(); cell != cells.end(); cell += columns) {
    history.rows.emplace_back(cell, cell + columns);
  }
  return history;
}

}  // namespace

void add_history(SafetensorsWriter& writer, const History& history) {
  std::vector<double> cells;
  for (const std::vector<double>& row : history.rows) cells.insert(cells.end(), row.begin(), row.end());
  writer.add(
      kHistory, DType::f64,
      {static_cast<std::int64_t>(history.rows.size()), static_cast<std::int64_t>(history.columns.size())},
      cells.data());
  writer.set_metadata(kHistoryColumns, fmt::format("{}", fmt::join(history.columns, ",")));
}

History read_history(const SafetensorsFile& file, std::int64_t finished_epochs) {
  History history = file.contains(kHistory) ? from_tensor(file) : from_json(file);
  const auto epoch_column = static_cast<std::size_t>(
      std::find(history.columns.begin(), history.columns.end(), "epoch") - history.columns.begin());
  if (epoch_column == history.columns.size()) refuse(file, "has no column 'epoch'");
  double before = 0;
  for (std::size_t i = 0; i < history.rows.size(); ++i) {
    const double epoch = history.rows[i][epoch_column];
    if (!(epoch > before && epoch <= static_cast<double>(finished_epochs)) || epoch != std::floor(epoch)) {
      refuse(file, fmt::format("holds epoch {} in row {}, expected one from {} to {}", epoch, i, before + 1,
                               finished_epochs));
    }
    before = epoch;
  }
  return history;
}

}  // namespace dpll
