// cross_entropy on the CPU.
#include <array>
#include <cmath>

#include "backend/cpu/batch_rows.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/parallel.h"

namespace dpll::cpu {
namespace {

// Rows are cut into this many parts whatever the number of threads, and the parts' sums added in order.
constexpr std::int64_t kParts = 32;

struct Row {
  int top = 0;           // the first class with the largest logit
  double log_total = 0;  // log of the sum of exp(logit - top logit)
};

Row reduce(const float* logits, int classes) {
  Row row;
  for (int k = 1; k < classes; ++k) {
    if (logits[k] > logits[row.top]) row.top = k;
  }
  const double largest = logits[row.top];
  double others = 0;
  for (int k = 0; k < classes; ++k) {
    if (k != row.top) others += std::exp(double{logits[k]} - largest);
  }
  row.log_total = std::log1p(others);
  return row;
}

}  // namespace

void cross_entropy(const CrossEntropyCall& call) {
  const std::int64_t rows = call.logits.shape[0];
  const auto classes = static_cast<int>(call.logits.shape[1]);
  const auto* logits = call.logits.as<float>();
  DPLL_CHECK(call.sums != nullptr && classes >= 1, "cross_entropy of {}", call.logits.shape.to_string());
  auto* predictions = call.predictions.defined() ? call.predictions.as<std::int32_t>() : nullptr;
  auto* confidences = call.confidences.defined() ? call.confidences.as<float>() : nullptr;
  const auto* labels = call.labels.defined() ? call.labels.as<std::int32_t>() : nullptr;
  for (const Tensor& table : {call.predictions, call.confidences, call.labels}) {
    if (table.defined()) check_rows(call.rows, rows, table.elements());
  }

  std::array<EvaluationSums, kParts> parts{};
  const std::int64_t grain = std::max<std::int64_t>(1, (rows + kParts - 1) / kParts);
  parallel_chunks(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    EvaluationSums& part = parts[static_cast<std::size_t>(begin / grain)];
    for (std::int64_t r = begin; r < end; ++r) {
      const float* z = logits + r * classes;
      const Row row = reduce(z, classes);
      const std::int64_t sample = sample_of(call.rows, r);
      if (predictions != nullptr) predictions[sample] = row.top;
      if (confidences != nullptr) confidences[sample] = static_cast<float>(std::exp(-row.log_total));
      const std::int32_t label = labels != nullptr ? labels[sample] : -1;
      if (label < 0) continue;
      part.samples += 1;
      part.loss += row.log_total + (double{z[row.top]} - double{z[label]});
      part.correct += row.top == label ? 1 : 0;
    }
  });
  for (const EvaluationSums& part : parts) {
    call.sums->samples += part.samples;
    call.sums->loss += part.loss;
    call.sums->correct += part.correct;
  }
}

}  // namespace dpll::cpu
