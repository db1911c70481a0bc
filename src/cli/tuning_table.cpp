#include "cli/tuning_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "dpll/core/check.h"

namespace dpll {
namespace {

using Json = nlohmann::ordered_json;

std::string speed(double operations, double milliseconds) {
  if (operations <= 0 || milliseconds <= 0) return "-";
  return fmt::format("{:.1f}", operations / milliseconds * 1e-9);
}

std::vector<std::string> row_of(const std::string& key, const Json& choice) {
  const auto milliseconds = choice.at("milliseconds").get<double>();
  const Json &others = choice.at("others"), &rejected = choice.at("rejected");
  std::string next = "-";
  if (!others.empty()) {
    next = fmt::format("{} ({:.3f} ms)", others[0].at("name").get<std::string>(),
                       others[0].at("milliseconds").get<double>());
  }
  return {key,
          choice.at("name").get<std::string>(),
          fmt::format("{:.3f}", milliseconds),
          speed(choice.at("operations").get<double>(), milliseconds),
          next,
          fmt::format("{}", 1 + others.size()),
          fmt::format("{}", rejected.size())};
}

}  // namespace

std::string tuning_table(const std::string& choices, bool all) {
  try {
    const Json json = Json::parse(choices);
    std::vector<std::vector<std::string>> rows = {
        {"pass and shape", "chosen", "ms", "TFLOP/s", "next best", "usable", "excluded"}};
    for (const auto& [key, choice] : json.at("choices").items()) rows.push_back(row_of(key, choice));
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text = json.at("identity").get<std::string>() + "\n";
    auto choice = json.at("choices").begin();
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        const bool number = i == 2 || i == 3 || i >= 5;
        text += number ? fmt::format("{:>{}}", row[i], widths[i]) : fmt::format("{:<{}}", row[i], widths[i]);
        text += i + 1 < row.size() ? "  " : "\n";
      }
      if (&row == &rows.front()) continue;
      if (all) {
        for (const Json& other : choice->at("others")) {
          text += fmt::format("    {:10.3f} ms  {}\n", other.at("milliseconds").get<double>(),
                              other.at("name").get<std::string>());
        }
        for (const Json& other : choice->at("rejected")) {
          text += fmt::format("      excluded  {}: {}\n", other.at("name").get<std::string>(),
                              other.at("why").get<std::string>());
        }
      }
      ++choice;
    }
    return text;
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::internal, "not the choices of the autotuner: {}", error.what());
  }
}

}  // namespace dpll
