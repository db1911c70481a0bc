#include "train/session.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include <nlohmann/json.hpp>

#include "data/split.h"
#include "dpll/build_info.h"
#include "dpll/core/check.h"
#include "report/metrics_files.h"
#include "train/make_candidates.h"
#include "train/memory_report.h"
#include "train/program_specs.h"
#include "train/signals.h"

namespace dpll {
namespace {

void check_labels(const RunConfig& config, const DataSet& data) {
  if (!facts_of(method_of(config)).needs_labels) return;
  const std::vector<std::int32_t>& labels = data.train.labels;
  const auto unknown =
      std::count_if(labels.begin(), labels.end(), [](std::int32_t label) { return label < 0; });
  if (data.train.has_labels() && unknown == 0) return;
  fail(ExitCode::config,
       "objective.method = {} learns the true labels, which {} of the {} training samples do not have; use a "
       "method "
       "that learns from candidate sets: dpll_engine methods lists them",
       config.objective.method, data.train.has_labels() ? unknown : data.train.count, data.train.count);
}

// Samples with known true labels, none of which is a candidate.
std::int64_t samples_without_truth(const ImageSet& train, const CandidateSets& candidates) {
  if (!train.has_labels()) return 0;
  std::int64_t missing = count_missing_truth(candidates, train.labels);
  const auto classes = static_cast<std::size_t>(candidates.classes);
  for (std::int64_t i = 0; i < train.count && !train.truths.empty(); ++i) {
    const std::uint8_t* truths = &train.truths[static_cast<std::size_t>(i) * classes];
    if (train.labels[static_cast<std::size_t>(i)] >= 0) continue;
    bool covered = false;
    for (int c = 0; c < candidates.classes; ++c)
      covered = covered || (truths[c] != 0 && candidates.contains(i, c));
    if (!covered) ++missing;
  }
  return missing;
}

DataSet load_and_report(const RunConfig& config, Log& log) {
  DataSet data = load_data(config, {.status =
                                        [&log](const std::string& text) {
                                          throw_if_stop_requested();
                                          log.status(text);
                                        },
                                    .line = [&log](const std::string& text) { log.line(text); },
                                    .threads = config.run.threads});
  check_labels(config, data);
  for (const std::string& warning : data.warnings) log.warning(warning);
  return data;
}

}  // namespace

Session::Session(const RunConfig& run, Log& log, const BackendMaker& maker, const std::string& choices,
                 Ranks* all)
    : config(run),
      ranks(all),
      data(load_and_report(run, log)),
      candidates(make_candidates(run, data, [&](const std::string& text) { log.line(text); }, {all, maker})),
      held_out(hold_out_selection(data, candidates, run.data.selection_fraction, run.run.seed)),
      backend(maker(
          run.run, [&log](const std::string& text) { log.warning(text); }, choices)),
      memory_at_start(backend->available_bytes()),
      views(resolve_views(run, static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                          static_cast<int>(data.train.channels))),
      network(make_network(*backend, run,
                           {static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                            static_cast<int>(data.train.channels), data.classes})),
      step(*backend, *network, run, views, data, candidates, ranks),
      evaluation(*backend, *network, views, data, held_out, run.evaluation.batch, run.data.imbalance > 1,
                 ranks) {
  provide_activations();
  identity = run_identity(config, *network, data, candidates);
  if (ranks != nullptr) {
    compare_ranks();
    char host[256] = {};
    gethostname(host, sizeof host - 1);
    hosts = texts_of_ranks(host);
    devices = texts_of_ranks(backend->description());
    processes = texts_of_ranks(std::to_string(getpid()));
  }
  log_contents(log);
}

std::vector<std::string> Session::texts_of_ranks(const std::string& own) const {
  std::vector<std::string> texts;
  for (const auto& text : ranks->all_gather({own.begin(), own.end()})) {
    texts.emplace_back(text.begin(), text.end());
  }
  return texts;
}

// Ranks with other data or settings would train, and nobody would notice that the result is of neither.
void Session::compare_ranks() const {
  RunConfig compared = config;
  compared.run.lock = true;  // of rank 0 alone
  compared.run.resume = ResumeMode::never;
  compared.run.threads = 0;  // as many as the rank's machine has
  compared.run.gpu = -1;
  std::vector<std::pair<std::string, std::string>> parts = {
      {"program", fmt::format("{} ({})", DPLL_VERSION, DPLL_COMMIT)}, {"configuration", to_ini(compared)}};
  for (const auto& [name, value] : identity) parts.emplace_back(name, value);
  for (const auto& [name, value] : parts) {
    const std::vector<std::vector<std::uint8_t>> all = ranks->all_gather({value.begin(), value.end()});
    for (std::size_t rank = 1; rank < all.size(); ++rank) {
      if (all[rank] == all[0]) continue;
      fail(ExitCode::config, "rank {} has another {} than rank 0: every rank must be started with the same",
           rank, name);
    }
  }
}

void Session::provide_activations() {
  const std::size_t arena_bytes = std::max(step.arena_bytes(), evaluation.arena_bytes());
  const auto bytes_of = [&](Mode mode) {
    return [this, mode](int batch, int count) {
      return network->make_program({mode, count, batch})->plan().solve();
    };
  };
  require_memory(*backend, {.batch = config.optimiser.batch,
                            .views = views_of(config),
                            .bytes = step.arena_bytes(),
                            .bytes_of = bytes_of(Mode::train)});
  require_memory(*backend, {.key = "evaluation.batch",
                            .batch = config.evaluation.batch,
                            .bytes = arena_bytes,
                            .bytes_of = bytes_of(Mode::eval)});
  arena = backend->allocate(arena_bytes, "the activations");
  step.attach(arena.data());
  evaluation.attach(arena.data());
}

void Session::log_contents(Log& log) const {
  if (const std::string advice =
          batch_norm_advice(config, data.train.count, data.train.height, data.train.width);
      !advice.empty()) {
    log.warning(advice);
  }
  const std::string kind = data.train.tabular() ? fmt::format("samples of {} features", data.train.channels)
                                                : fmt::format("images of {}x{}x{}", data.train.height,
                                                              data.train.width, data.train.channels);
  log.line(fmt::format("{}: {} training, {} validation, {} test {}, {} classes", data.kind, data.train.count,
                       data.validation.count, data.test.count, kind, data.classes));
  log.line(fmt::format("candidates: {} mean size {:.3f}, SHA-256 {}", to_string(config.candidates.mode),
                       candidates.mean_size(), candidates_sha256(candidates).substr(0, 16)));
  if (evaluation.held_out() > 0) {
    log.line(
        fmt::format("{} of the training samples are held out with their candidate sets to select an epoch",
                    evaluation.held_out()));
  }
  const std::int64_t missing = samples_without_truth(data.train, candidates);
  if (missing > 0) {
    log.warning(fmt::format("{} of {} candidate sets do not have the true label", missing, candidates.count));
  }
  if (!data.train.truths.empty()) {
    const auto several = std::count(data.train.labels.begin(), data.train.labels.end(), -1);
    log.warning(
        fmt::format("{} of {} training samples have several true labels; a test prediction is right if it is "
                    "one of a sample's, figures of training count the samples with one",
                    several, data.train.count));
  }
  if (data.candidates && config.candidates.mode != CandidateMode::dataset) {
    log.warning(
        fmt::format("the data bring candidate sets of their own, which candidates.mode = {} does not "
                    "use; candidates.mode = dataset takes them",
                    to_string(config.candidates.mode)));
  }
  if (ranks != nullptr) {
    log.line(fmt::format("{} ranks; batch norm over {}", ranks->size(),
                         config.parallel.batch_norm == BatchNormScope::global
                             ? "the samples of all"
                             : "the samples of each; the running statistics are rank 0's"));
    for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
      log.detail(
          fmt::format("rank {} on {}, process {}: {}", rank, hosts[rank], processes[rank], devices[rank]));
    }
  }
  log.line(fmt::format("{}: {} parameters, {:.3f} GMAC an image; {}", network->name(),
                       network->state().parameter_count(), network->forward_macs() * 1e-9,
                       backend->description()));
  log.line(memory_line(*backend, memory_at_start));
}

std::vector<float> Session::missed_masses() {
  // The samples lie on the backend once already, so only a part of them is copied again at a time.
  constexpr std::int64_t kPart = 8192;
  // The arena of training has room for so many images without what backward passes need.
  const int batch = std::min(config.evaluation.batch, config.optimiser.batch);
  std::vector<float> masses;
  for (std::int64_t first = 0; first < data.train.count; first += kPart) {
    std::vector<std::int64_t> indices(static_cast<std::size_t>(std::min(kPart, data.train.count - first)));
    std::iota(indices.begin(), indices.end(), first);
    const ImageSet part = select(data.train, indices);
    Evaluator evaluator(*backend, *network, views, part, batch);
    Buffer own;
    if (evaluator.arena_bytes() > arena.bytes()) {
      own = backend->allocate(evaluator.arena_bytes(), "the activations");
    }
    evaluator.attach(own.data() != nullptr ? own.data() : arena.data());
    const std::vector<float> of_part =
        missed_mass(evaluator.run(Evaluator::Logits::keep).logits, candidates, first);
    masses.insert(masses.end(), of_part.begin(), of_part.end());
  }
  return masses;
}

std::map<std::string, std::string> Session::model_metadata(int epochs) const {
  const InputShape& in = network->input();
  std::map<std::string, std::string> metadata = {
      {"network", network->name()},
      {"height", std::to_string(in.height)},
      {"width", std::to_string(in.width)},
      {"channels", std::to_string(in.channels)},
      {"classes", std::to_string(in.classes)},
      {"class_names", nlohmann::json(data.class_names).dump()},
      {"dpll_engine", fmt::format("{} ({})", DPLL_VERSION, DPLL_COMMIT)},
      {"epochs", std::to_string(epochs)},
      {"seed", std::to_string(config.run.seed)}};
  if (!data.feature_means.empty()) {
    metadata["feature_means"] = nlohmann::json(data.feature_means).dump();
    metadata["feature_scales"] = nlohmann::json(data.feature_scales).dump();
  }
  return metadata;
}

}  // namespace dpll
