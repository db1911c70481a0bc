#include <cmath>
#include <numeric>

#include "candidates/draw.h"
#include "candidates/number_rows.h"

namespace dpll {
namespace {

constexpr double kSumTolerance = 1e-6;  // of a row of a distractor matrix, written with a few digits

void check_row(const NumberRow& row, int truth, int classes, MatrixKind kind, const std::string& path) {
  const auto columns = static_cast<int>(row.values.size());
  if (columns != classes) {
    fail(ExitCode::data, "{}:{}: row {} (true class {}) has {} numbers; the data set has {} classes", path,
         row.line, truth + 1, truth, columns, classes);
  }
  for (int c = 0; c < classes; ++c) {
    const double value = row.values[static_cast<std::size_t>(c)];
    if (!(value >= 0 && value <= 1)) {
      fail(ExitCode::data,
           "{}:{}: row {} (true class {}): {} for label {} is not a probability; expected 0 to 1", path,
           row.line, truth + 1, truth, value, c);
    }
  }
  const double keeps = row.values[static_cast<std::size_t>(truth)];
  if (kind == MatrixKind::inclusion && keeps != 1) {
    fail(ExitCode::data,
         "{}:{}: row {} does not keep its true label: label {} has probability {}, expected 1 (to remove "
         "true labels: candidates.noise_rate; for rows that sum to 1: candidates.matrix_kind = distractor)",
         path, row.line, truth + 1, truth, keeps);
  }
  const double sum = std::accumulate(row.values.begin(), row.values.end(), 0.0);
  if (kind == MatrixKind::distractor && std::abs(sum - 1) > kSumTolerance) {
    fail(ExitCode::data,
         "{}:{}: row {} (true class {}) sums to {}, expected 1 (for the probability of each label: "
         "candidates.matrix_kind = inclusion)",
         path, row.line, truth + 1, truth, sum);
  }
}

// The first label whose cumulative sum exceeds u. If rounding keeps the sum below u, it is the last label
// with a probability above 0.
int drawn_by(const LabelMatrix& matrix, int truth, double u) {
  double sum = 0;
  int last = truth;
  for (int c = 0; c < matrix.classes; ++c) {
    const double chance = matrix.at(truth, c);
    if (chance == 0) continue;
    last = c;
    sum += chance;
    if (u < sum) break;
  }
  return last;
}

}  // namespace

LabelMatrix read_label_matrix(const std::string& path, int classes, MatrixKind kind) {
  const std::vector<NumberRow> rows = read_number_rows(path);
  LabelMatrix matrix{classes, {}};
  for (int truth = 0; truth < static_cast<int>(rows.size()) && truth < classes; ++truth) {
    const NumberRow& row = rows[static_cast<std::size_t>(truth)];
    check_row(row, truth, classes, kind, path);
    matrix.values.insert(matrix.values.end(), row.values.begin(), row.values.end());
  }
  if (static_cast<int>(rows.size()) != classes) {
    fail(ExitCode::data, "{}: {} rows of numbers; the data set has {} classes", path, rows.size(), classes);
  }
  return matrix;
}

CandidateSets class_dependent_candidates(const std::vector<std::int32_t>& labels, const LabelMatrix& matrix,
                                         MatrixKind kind, std::uint32_t seed) {
  if (kind == MatrixKind::inclusion) {
    return draw_labels(labels, matrix.classes, seed,
                       [&](std::int64_t, int truth, int c) { return matrix.at(truth, c); });
  }
  CandidateSets sets(static_cast<std::int64_t>(labels.size()), matrix.classes);
  for (std::int64_t i = 0; i < sets.count; ++i) {
    const int truth = true_label(labels, i, matrix.classes);
    sets.insert(i, truth);
    PhiloxStream draws = candidate_draws(seed, i, CandidateStage::labels);
    sets.insert(i, drawn_by(matrix, truth, draws.next_float()));
  }
  return sets;
}

}  // namespace dpll
