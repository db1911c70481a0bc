// Reads candidates.weights: what targets start from.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "io/csv_records.h"
#include "io/shape_text.h"
#include "io/text.h"

namespace dpll {
namespace {

constexpr double kWeightSumTolerance = 1e-4;

template <typename T>
bool parse_all(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// Puts rows in the places of the samples that are wanted, and checks them.
class WeightTable {
 public:
  WeightTable(const std::string& path, const CandidateSets& sets, const std::vector<std::int64_t>& wanted)
      : path_(path), sets_(sets), wanted_(wanted), weights_(size()), seen_(wanted.size()) {}

  // `row`: a weight a class. Passes over samples that are not wanted.
  void add(std::int64_t sample, const std::vector<double>& row) {
    const auto found = std::lower_bound(wanted_.begin(), wanted_.end(), sample);
    if (found != wanted_.end() && *found == sample) add_at(found - wanted_.begin(), row);
  }

  void add_at(std::int64_t place, const std::vector<double>& row) {
    const std::int64_t sample = wanted_[static_cast<std::size_t>(place)];
    if (seen_[static_cast<std::size_t>(place)]) {
      fail(ExitCode::data, "{}: sample {} has two rows of weights", path_, sample);
    }
    seen_[static_cast<std::size_t>(place)] = true;
    double sum = 0;
    for (int c = 0; c < sets_.classes; ++c) {
      const double weight = row[static_cast<std::size_t>(c)];
      if (!(weight >= 0) || !std::isfinite(weight)) {
        fail(ExitCode::data, "{}: sample {}: the weight of label {} is {}, expected a number from 0 to 1",
             path_, sample, c, weight);
      }
      if (weight > 0 && !sets_.contains(place, c)) {
        fail(ExitCode::data, "{}: sample {}: label {} has the weight {}, but it is not a candidate", path_,
             sample, c, weight);
      }
      sum += weight;
    }
    if (std::abs(sum - 1) > kWeightSumTolerance) {
      fail(ExitCode::data, "{}: sample {}: the weights sum to {}, expected 1 (within {})", path_, sample, sum,
           kWeightSumTolerance);
    }
    for (int c = 0; c < sets_.classes; ++c) {
      weights_[static_cast<std::size_t>(place * sets_.classes + c)] =
          static_cast<float>(row[static_cast<std::size_t>(c)] / sum);
    }
  }

  std::vector<float> take() {
    const auto missing = std::find(seen_.begin(), seen_.end(), false);
    if (missing != seen_.end()) {
      fail(ExitCode::data, "{}: sample {} has no row of weights; training takes {} samples", path_,
           wanted_[static_cast<std::size_t>(missing - seen_.begin())], wanted_.size());
    }
    return std::move(weights_);
  }

 private:
  std::size_t size() const { return static_cast<std::size_t>(sets_.count * sets_.classes); }

  const std::string& path_;
  const CandidateSets& sets_;
  const std::vector<std::int64_t>& wanted_;
  std::vector<float> weights_;
  std::vector<bool> seen_;
};

void read_tensor(const std::string& path, WeightTable& table, const CandidateSets& sets,
                 std::int64_t source_count) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  const std::vector<std::int64_t>& shape = file.entry("weights").shape;
  const bool fits =
      shape.size() == 2 && shape[1] == sets.classes && (shape[0] == source_count || shape[0] == sets.count);
  if (!fits) {
    fail(ExitCode::data, "{}: tensor 'weights' has shape {}, expected [{},{}]{}", path, shape_text(shape),
         source_count, sets.classes,
         sets.count == source_count ? "" : fmt::format(" or [{},{}]", sets.count, sets.classes));
  }
  const std::vector<double> values = file.get_as_double("weights");
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    const auto row = values.begin() + i * sets.classes;
    const std::vector<double> weights(row, row + sets.classes);
    shape[0] == source_count ? table.add(i, weights) : table.add_at(i, weights);
  }
}

// "0:0.75 3:0.25"
std::vector<double> parse_row(std::string_view text, int classes, const CsvRecords& records,
                              std::int64_t sample) {
  std::vector<double> row(static_cast<std::size_t>(classes));
  std::vector<bool> given(row.size());
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const std::size_t colon = item.find(':');
    int label = 0;
    double weight = 0;
    if (colon == std::string_view::npos || !parse_all(item.substr(0, colon), label) ||
        !parse_all(item.substr(colon + 1), weight)) {
      records.reject("sample {}: \"{}\" is not a weight; expected LABEL:WEIGHT, separated by single spaces",
                     sample, printable(item));
    }
    if (label < 0 || label >= classes) {
      records.reject("sample {}: label {} is out of range; expected 0 to {}", sample, label, classes - 1);
    }
    if (given[static_cast<std::size_t>(label)]) {
      records.reject("sample {}: label {} stands twice", sample, label);
    }
    given[static_cast<std::size_t>(label)] = true;
    row[static_cast<std::size_t>(label)] = weight;
  }
  return row;
}

void read_csv(const std::string& path, const std::vector<std::uint8_t>& bytes, WeightTable& table,
              int classes, std::int64_t source_count) {
  CsvRecords records({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
  const std::vector<std::string> columns = records.next().value_or(std::vector<std::string>());
  const std::size_t sample_at = index_in(columns, "sample");
  std::size_t weights_at = index_in(columns, "weights");
  if (weights_at == columns.size()) weights_at = index_in(columns, "posterior");
  if (sample_at == columns.size() || weights_at == columns.size()) {
    records.reject("the first line names no columns \"sample\" and \"weights\" (or \"posterior\")");
  }
  while (const auto fields = records.next()) {
    std::int64_t sample = 0;
    if (fields->size() != columns.size() || !parse_all((*fields)[sample_at], sample)) {
      records.reject("\"{}\" is not a row; expected {} fields, the sample a number",
                     printable(records.line()), columns.size());
    }
    if (sample < 0 || sample >= source_count) {
      records.reject("sample {} is not in the data set, whose {} samples count from 0", sample, source_count);
    }
    table.add(sample, parse_row((*fields)[weights_at], classes, records, sample));
  }
}

}  // namespace

std::vector<float> read_weights(const std::string& path, const CandidateSets& sets,
                                const std::vector<std::int64_t>& wanted, std::int64_t source_count) {
  WeightTable table(path, sets, wanted);
  if (path.ends_with(".safetensors")) {
    read_tensor(path, table, sets, source_count);
  } else {
    read_csv(path, read_file(path), table, sets.classes, source_count);
  }
  return table.take();
}

}  // namespace dpll
