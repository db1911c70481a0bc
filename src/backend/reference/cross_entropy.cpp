#include <cmath>

#include "backend/reference/reference_ops.h"
#include "backend/reference/softmax.h"

namespace dpll::reference {

void cross_entropy(const CrossEntropyCall& call) {
  const std::int64_t rows = call.logits.shape[0];
  const auto classes = static_cast<int>(call.logits.shape[1]);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t sample = sample_of(call.rows, r);
    const double* logits = call.logits.as<double>() + r * classes;
    const std::vector<double> log_p = log_softmax(logits, classes);
    const int prediction = first_argmax(logits, classes);
    if (call.predictions.defined()) call.predictions.as<std::int32_t>()[sample] = prediction;
    if (call.confidences.defined()) {
      call.confidences.as<float>()[sample] =
          static_cast<float>(std::exp(log_p[static_cast<std::size_t>(prediction)]));
    }
    const std::int32_t label = call.labels.defined() ? call.labels.as<std::int32_t>()[sample] : -1;
    if (label < 0) continue;
    call.sums->samples += 1;
    call.sums->loss -= log_p[static_cast<std::size_t>(label)];
    call.sums->correct += prediction == label ? 1 : 0;
  }
}

}  // namespace dpll::reference
