#include "train/make_candidates.h"

#include <algorithm>

#include "dpll/core/check.h"

namespace dpll {
namespace {

CandidateSets draw_candidates(const RunConfig& config, const DataSet& data, const Say& say,
                              const AnnotatorRanks& with) {
  const RunConfig::Candidates& c = config.candidates;
  const std::vector<std::int32_t>& labels = data.train.labels;
  if (!data.train.has_labels() || std::any_of(labels.begin(), labels.end(), [](int l) { return l < 0; })) {
    fail(ExitCode::config, "candidates.mode = {} needs the one true label of every training sample{}",
         to_string(c.mode),
         data.candidates ? "; the data bring sets of their own, which candidates.mode = dataset takes" : "");
  }
  switch (c.mode) {
    case CandidateMode::uniform:
      return uniform_candidates(labels, data.classes, c.rate, c.min_distractors, c.seed);
    case CandidateMode::class_dependent:
      return class_dependent_candidates(labels, read_label_matrix(c.matrix, data.classes, c.matrix_kind),
                                        c.matrix_kind, c.seed);
    case CandidateMode::pair:
      return pair_candidates(labels, data.classes, c.rate, c.seed);
    case CandidateMode::hierarchical:
      return hierarchical_candidates(
          labels,
          c.superclasses.empty() ? cifar100_superclasses() : read_superclasses(c.superclasses, data.classes),
          c.rate, c.seed);
    case CandidateMode::instance:
      return instance_candidates(labels, annotator_logits(config, data, say, with), data.classes,
                                 config.annotator.scale, c.seed);
    case CandidateMode::file:
    case CandidateMode::dataset:
      break;
  }
  fail(ExitCode::internal, "candidate mode {} is no model", static_cast<int>(c.mode));
}

void warn_of_label_0(const CandidateSets& sets, const Say& say) {
  for (std::int64_t i = 0; i < sets.count; ++i) {
    if (sets.contains(i, 0)) return;
  }
  say("warning: label 0 is a candidate of no training sample: do the labels start at 1? They count from 0");
}

CandidateSets sets_of(const RunConfig& config, const DataSet& data, const Say& say,
                      const AnnotatorRanks& with) {
  const RunConfig::Candidates& c = config.candidates;
  if (c.mode == CandidateMode::file) {
    CandidateSets sets = read_candidates(c.file, data.train_origin, data.source_count, data.classes);
    warn_of_label_0(sets, say);
    return sets;
  }
  if (c.mode == CandidateMode::dataset) {
    if (!data.candidates.has_value()) {
      fail(ExitCode::config, "candidates.mode = dataset, but the data set '{}' brings no candidates",
           data.kind);
    }
    CandidateSets sets =
        candidates_from_table(*data.candidates, data.train.count, data.classes, config.data.path);
    warn_of_label_0(sets, say);
    return sets;
  }
  CandidateSets sets = draw_candidates(config, data, say, with);
  if (c.noise_rate > 0) remove_truths(sets, data.train.labels, c.noise_rate, c.seed);
  return sets;
}

}  // namespace

CandidateSets make_candidates(const RunConfig& config, const DataSet& data, const Say& say,
                              const AnnotatorRanks& with) {
  CandidateSets sets = sets_of(config, data, say, with);
  if (const std::string& path = config.candidates.weights; !path.empty()) {
    sets.weights = read_weights(path, sets, data.train_origin, data.source_count);
  }
  return sets;
}

}  // namespace dpll
