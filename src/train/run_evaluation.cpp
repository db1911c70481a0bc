#include "train/run_evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/signals.h"

namespace dpll {
RunEvaluation::RunEvaluation(Backend& backend, Network& network, const ViewSetup& views, const DataSet& data,
                             const SelectionPart& held_out, int batch, bool long_tailed, Ranks* ranks)
    : network_(network),
      held_out_(held_out),
      test_images_(data.test.count),
      validation_images_(data.validation.count),
      scorer_(data, long_tailed) {
  const auto evaluator_of = [&](const ImageSet& images) -> std::unique_ptr<Evaluator> {
    if (images.count == 0) return nullptr;
    return std::make_unique<Evaluator>(backend, network, views, images, batch, Mode::eval, ranks);
  };
  test_ = evaluator_of(data.test);
  validation_ = evaluator_of(data.validation);
  selection_ = evaluator_of(held_out_.images);
}

std::size_t RunEvaluation::arena_bytes() const {
  std::size_t bytes = 0;
  for (const auto* evaluator : {&test_, &validation_, &selection_}) {
    if (*evaluator != nullptr) bytes = std::max(bytes, (*evaluator)->arena_bytes());
  }
  return bytes;
}

void RunEvaluation::attach(void* arena) {
  for (const auto* evaluator : {&test_, &validation_, &selection_}) {
    if (*evaluator != nullptr) (*evaluator)->attach(arena);
  }
}

std::int64_t RunEvaluation::images() const {
  const std::int64_t times = network_.state().has_average() ? 2 : 1;
  return times * test_images_ + validation_images_ + held_out();
}

EpochScores RunEvaluation::run() {
  EpochScores scores;
  // A loss that overflows is infinite in a table, a missing loss is an empty cell.
  const auto loss_of = [&](Evaluator& evaluator, const EvaluationResult& result, const char* part) {
    if (result.samples == 0 || std::isfinite(result.loss)) return result.loss;
    scores.warnings.push_back(fmt::format("the {} loss is not finite: {}", part, evaluator.diagnose()));
    return std::numeric_limits<double>::infinity();
  };
  if (test_ != nullptr) {
    const EvaluationResult result =
        test_->run(scorer_.wants_logits() ? Evaluator::Logits::keep : Evaluator::Logits::leave);
    scores.test = scorer_.of(result);
    scores.test_loss = loss_of(*test_, result, "test");
    scores.test_accuracy = result.accuracy;
  }
  if (validation_ != nullptr) {
    const EvaluationResult result = validation_->run();
    scores.validation_loss = loss_of(*validation_, result, "validation");
    scores.validation_accuracy = result.accuracy;
  }
  if (selection_ != nullptr) {
    scores.selection =
        selection_scores(selection_->run(Evaluator::Logits::keep).logits, held_out_.candidates);
  }
  if (test_ != nullptr && network_.state().has_average()) {
    network_.state().swap_average();
    try {
      scores.average_test_accuracy = test_->run().accuracy;
    } catch (const Stopped&) {
      network_.state().swap_average();
      throw;
    }
    network_.state().swap_average();
  }
  return scores;
}

}  // namespace dpll
