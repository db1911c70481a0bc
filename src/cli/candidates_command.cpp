#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.h"
#include "io/text.h"
#include "train/make_candidates.h"
#include "train/signals.h"

namespace dpll {

int candidates_command(const CandidatesArguments& arguments) {
  const StopSignals signals;  // an annotator may train for hours
  const DataSet data = load_data(arguments.config);
  for (const std::string& warning : data.warnings) {
    std::fprintf(stderr, "warning: %s\n", escaped(warning).c_str());
  }
  const CandidateSets sets = make_candidates(
      arguments.config, data, [](const std::string& line) { std::printf("%s\n", escaped(line).c_str()); });
  write_candidates(arguments.out, sets, data.train_origin);
  const std::int64_t missing = data.train.has_labels() ? count_missing_truth(sets, data.train.labels) : 0;
  std::printf(
      "%s",
      fmt::format(
          "{} sets over {} classes, mean size {:.4f}, {} without the true label\nSHA-256 {}\nwritten to {}\n",
          sets.count, sets.classes, sets.mean_size(), missing, candidates_sha256(sets),
          escaped(arguments.out))
          .c_str());
  return 0;
}

}  // namespace dpll
