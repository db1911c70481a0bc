#include "bench/op_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "dpll/files.h"
#include "io/csv.h"

namespace dpll::bench {
namespace {

// A change smaller than this is not worth a line, however quiet the machine.
constexpr double kSmallestChange = 0.03;

// A figure of the report by its name in CSV and JSON; empty where it says nothing.
using Columns = std::vector<std::pair<const char*, std::optional<double>>>;

Columns columns_of(const OpFigures& f, const Ceilings& ceilings) {
  const double seconds = f.measured.seconds.median;
  const double bytes_per_second = f.work.bytes / seconds, operations_per_second = f.work.operations / seconds;
  const bool computes = f.work.operations > 0;
  const auto if_computes = [&](double x) { return computes ? std::optional(x) : std::nullopt; };
  return {
      {"median_us", seconds * 1e6},
      {"p90_us", f.measured.seconds.p90 * 1e6},
      {"least_us", f.measured.seconds.least * 1e6},
      {"spread_percent",
       std::isnan(f.measured.spread) ? std::nullopt : std::optional(100 * f.measured.spread)},
      {"repetitions", double(f.measured.repetitions)},
      {"samples", double(f.measured.samples)},
      {"bytes", f.work.bytes},
      {"operations", f.work.operations},
      {"gb_per_s", bytes_per_second * 1e-9},
      {"copy_percent", 100 * bytes_per_second / ceilings.copy_bytes_per_second},
      {"gflop_per_s", if_computes(operations_per_second * 1e-9)},
      {"product_percent", if_computes(100 * operations_per_second / ceilings.product_operations_per_second)},
      {"rotated_bytes", double(f.rotated_bytes)}};
}

bool busy(double spread) {
  return spread > kBusySpread;
}

// Times of operations from microseconds to seconds.
std::string short_time(double seconds) {
  const double us = seconds * 1e6;
  return us < 1e4 ? fmt::format("{:.1f} us", us) : fmt::format("{:.2f} ms", us * 1e-3);
}

std::string short_count(double count) {
  if (count == 0) return "-";
  if (count < 1e6) return fmt::format("{:.1f}k", count * 1e-3);
  return count < 1e9 ? fmt::format("{:.1f}M", count * 1e-6) : fmt::format("{:.2f}G", count * 1e-9);
}

}  // namespace

std::string table_header() {
  return fmt::format("{:<52} {:>11} {:>11} {:>7} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8}", "benchmark", "median",
                     "p90", "spread", "bytes", "op", "GB/s", "copy", "GFLOP/s", "product");
}

std::string table_row(const OpFigures& f, const Ceilings& ceilings) {
  const double seconds = f.measured.seconds.median;
  const double bytes_per_second = f.work.bytes / seconds, operations_per_second = f.work.operations / seconds;
  std::string row = fmt::format(
      "{:<52} {:>11} {:>11} {:>7} {:>8} {:>8} {:>8.2f} {:>5.0f}%", f.name, short_time(seconds),
      short_time(f.measured.seconds.p90),
      std::isnan(f.measured.spread) ? std::string("?") : fmt::format("{:.1f}%", 100 * f.measured.spread),
      short_count(f.work.bytes), short_count(f.work.operations), bytes_per_second * 1e-9,
      100 * bytes_per_second / ceilings.copy_bytes_per_second);
  if (f.work.operations > 0) {
    row += fmt::format(" {:>8.1f} {:>7.0f}%", operations_per_second * 1e-9,
                       100 * operations_per_second / ceilings.product_operations_per_second);
  } else {
    row += fmt::format(" {:>8} {:>8}", "-", "-");
  }
  return row + (busy(f.measured.spread) ? "  machine busy" : "");
}

std::string ceilings_line(const Ceilings& c) {
  return fmt::format(
      "ceilings of this run: copy {:.2f} GB/s ({} MiB, read and written; spread {:.1f}%), product {:.1f} "
      "GFLOP/s ({n} x {n}; spread {:.1f}%){}",
      c.copy_bytes_per_second * 1e-9, c.copied_bytes >> 20, 100 * c.copy_spread,
      c.product_operations_per_second * 1e-9, 100 * c.product_spread,
      busy(c.copy_spread) || busy(c.product_spread) ? "  machine busy" : "", fmt::arg("n", c.product_size));
}

std::string to_csv(const OpReport& report) {
  std::vector<std::string> columns = {"benchmark"};
  for (const auto& [name, value] : columns_of({}, report.ceilings)) columns.emplace_back(name);
  std::string text = csv_line(columns);
  for (const OpFigures& f : report.figures) {
    std::vector<std::string> fields = {f.name};
    for (const auto& [name, value] : columns_of(f, report.ceilings)) {
      fields.push_back(value ? fmt::format("{:.6g}", *value) : "");
    }
    text += csv_line(fields);
  }
  return text;
}

std::string to_json(const OpReport& report) {
  const Ceilings& c = report.ceilings;
  nlohmann::ordered_json json = {{"tool", "bench_ops"},
                                 {"backend", report.backend},
                                 {"commit", report.commit},
                                 {"ceilings",
                                  {{"copy_gb_per_s", c.copy_bytes_per_second * 1e-9},
                                   {"copied_bytes", c.copied_bytes},
                                   {"copy_spread_percent", 100 * c.copy_spread},
                                   {"product_gflop_per_s", c.product_operations_per_second * 1e-9},
                                   {"product_size", c.product_size},
                                   {"product_spread_percent", 100 * c.product_spread}}},
                                 {"busy_beyond_percent", 100 * kBusySpread},
                                 {"benchmarks", nlohmann::json::array()}};
  for (const OpFigures& f : report.figures) {
    nlohmann::ordered_json row = {{"name", f.name}, {"verified", true}};
    for (const auto& [name, value] : columns_of(f, c)) {
      row[name] = value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
    }
    row["busy"] = busy(f.measured.spread);
    json["benchmarks"].push_back(row);
  }
  return json.dump(1) + "\n";
}

std::vector<std::string> changes_since(const std::string& old_path, const OpReport& now) {
  struct Old {
    double seconds = 0, spread = 0;
  };
  std::map<std::string, Old> before;
  std::vector<std::string> lines;
  try {
    const std::vector<std::uint8_t> bytes = read_file(old_path);
    const nlohmann::json old = nlohmann::json::parse(bytes.begin(), bytes.end());
    for (const nlohmann::json& row : old.at("benchmarks")) {
      const nlohmann::json& spread = row.at("spread_percent");
      before[row.at("name").get<std::string>()] = {
          row.at("median_us").get<double>() * 1e-6,
          spread.is_null() ? std::nan("") : spread.get<double>() / 100};
    }
    if (old.at("backend") != now.backend) {
      lines.push_back(fmt::format("compared with another backend: {}", old.at("backend").get<std::string>()));
    }
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::data, "'{}' is not a JSON file of bench_ops: {}", old_path, error.what());
  }
  int compared = 0, changed = 0;
  for (const OpFigures& f : now.figures) {
    const auto found = before.find(f.name);
    if (found == before.end()) continue;
    ++compared;
    const Old& old = found->second;
    // Single repetitions say nothing of noise: then only the smallest change counts.
    const double spread = std::fmax(std::fmax(old.spread, f.measured.spread), 0.0);
    const double noise = std::max(3 * spread, kSmallestChange);
    const double ratio = f.measured.seconds.median / old.seconds;
    if (ratio <= 1 + noise && ratio >= 1 / (1 + noise)) continue;
    ++changed;
    lines.push_back(fmt::format("{}  {}: {:.2f} times the time, {} before, {} now (noise {:.0f}%)",
                                ratio > 1 ? "slower" : "faster", f.name, ratio, short_time(old.seconds),
                                short_time(f.measured.seconds.median), 100 * noise));
  }
  lines.push_back(
      fmt::format("{} of {} benchmarks changed beyond noise since '{}'", changed, compared, old_path));
  return lines;
}

}  // namespace dpll::bench
