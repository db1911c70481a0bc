#include "train/epoch_row.h"

#include <fmt/format.h>

#include <cmath>

namespace dpll {
namespace {

double images_per_second(const EpochFigures& epoch) {
  return epoch.sums.samples * epoch.views / epoch.seconds;
}

double pseudo_label_accuracy(const ObjectiveMetrics& sums) {
  return sums.labelled > 0 ? sums.pseudo_correct / sums.labelled : EpochScores::kNone;
}

}  // namespace

std::vector<double> epoch_row(const EpochFigures& epoch) {
  const ObjectiveMetrics& m = epoch.sums;
  const EpochScores& scores = epoch.scores;
  const double n = m.samples;
  return {double(epoch.epoch),
          double(epoch.steps),
          epoch.learning_rate,
          epoch.lambda,
          m.total / n,
          m.supervised / n,
          m.consistency / n,
          m.labelled > 0 ? m.train_correct / m.labelled : EpochScores::kNone,
          pseudo_label_accuracy(m),
          m.covered / n,
          m.target_entropy / n,
          m.target_changed / n,
          m.target_max / n,
          scores.validation_loss,
          scores.validation_accuracy,
          scores.test_loss,
          scores.test_accuracy,
          scores.average_test_accuracy,
          scores.selection.covering_rate,
          scores.selection.approximated_accuracy,
          images_per_second(epoch),
          epoch.seconds,
          m.nonfinite,
          double(epoch.skipped_steps),
          epoch.loss_scale,
          double(epoch.rollbacks)};
}

std::string epoch_line(const EpochFigures& epoch) {
  const ObjectiveMetrics& m = epoch.sums;
  const double n = m.samples;
  const auto percent = [](const char* name, double x) {
    return std::isnan(x) ? std::string() : fmt::format("  {} {:.2f}%", name, 100 * x);
  };
  return fmt::format(
      "epoch {}/{}  loss {:.4f} (supervised {:.4f}, consistency {:.4f}){}{}{}{}{}  {:.0f} images/s  {:.1f} s",
      epoch.epoch, epoch.epochs, m.total / n, m.supervised / n, m.consistency / n,
      percent("test", epoch.scores.test_accuracy), percent("ema", epoch.scores.average_test_accuracy),
      percent("validation", epoch.scores.validation_accuracy),
      percent("approximated", epoch.scores.selection.approximated_accuracy),
      percent("pseudo-labels", pseudo_label_accuracy(m)), images_per_second(epoch), epoch.seconds);
}

}  // namespace dpll
