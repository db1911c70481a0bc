#include "backend/cuda/tuner.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "backend/cuda/convolution_contest.h"
#include "comparison.h"
#include "dpll/core/check.h"
#include "dpll/files.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kRepeats = 5, kFinalists = 3, kFinalRounds = 7;
constexpr double kHopeless = 2;  // times slower than the best so far: not timed any further
constexpr std::size_t kMostOffers = 24;

std::string words_of(const Difference& difference, const ContestOutput& output) {
  return fmt::format("{} differs in {} of {} values, first at {}: {:g}, not {:g}", output.name,
                     difference.beyond, output.elements, difference.index, difference.got, difference.want);
}

std::size_t bytes_of(const ContestOutput& output) {
  return static_cast<std::size_t>(output.elements) * size_of(output.type);
}

double median_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Runs the contenders of one contest.
class Referee {
 public:
  Referee(Runtime& runtime, const Contest& contest, bool deterministic)
      : runtime_(runtime),
        contest_(contest),
        deterministic_(deterministic),
        parts_(runtime, kMostDifferences * sizeof(Difference)) {
    for (const ContestOutput& output : contest.outputs) {
      expected_.push_back(std::make_unique<ScratchMemory>(runtime, bytes_of(output)));
      if (deterministic) repeated_.push_back(std::make_unique<ScratchMemory>(runtime, bytes_of(output)));
    }
    // So that nothing is found in the GPU's cache that a training step would have to read from memory.
    const std::size_t cache = 2 * runtime.cache_bytes();
    if (cache > 0) flush_ = std::make_unique<ScratchMemory>(runtime, cache);
    flush_bytes_ = cache;
  }

  // Empty, or why its results cannot be used. The first one with which nothing is wrong is the measure of
  // all.
  std::string complaint(const std::function<void()>& run) {
    std::string wrong = first_wrong(run);
    has_expected_ = has_expected_ || wrong.empty();
    return wrong;
  }

  double time(const std::function<void()>& replay) {
    if (flush_) runtime_.fill_zero(flush_->data(), flush_bytes_);
    return runtime_.milliseconds(replay);
  }

 private:
  using Copies = std::vector<std::unique_ptr<ScratchMemory>>;

  std::string first_wrong(const std::function<void()>& run) {
    compute(run);
    if (!has_expected_) copy_outputs(expected_);
    // A value that is no number differs from itself.
    std::string wrong = first_difference(expected_, !has_expected_);
    if (!wrong.empty()) return wrong;
    if (deterministic_) {
      copy_outputs(repeated_);
      compute(run);
      const std::string changed = first_difference(repeated_, true);
      if (!changed.empty()) return "not the same bits in a second run: " + changed;
    }
    return contest_.examination.enter ? examine(run) : "";
  }
  // Every output is NaN beforehand: what adds to it, where it should write, or leaves a value out, shows.
  void compute(const std::function<void()>& run) {
    for (const ContestOutput& output : contest_.outputs) runtime_.fill_ones(output.data, bytes_of(output));
    run();
  }
  void copy_outputs(const Copies& to) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      runtime_.copy(to[i]->data(), contest_.outputs[i].data, bytes_of(contest_.outputs[i]));
    }
  }
  std::string examine(const std::function<void()>& run) {
    const Examination& examination = contest_.examination;
    examination.enter();
    try {
      compute(run);
    } catch (...) {
      examination.leave();
      throw;
    }
    examination.measure();
    std::string wrong = difference_of(examination.output, examination.expected, false);
    examination.leave();
    return wrong;
  }
  std::string first_difference(const Copies& want, bool exact) {
    for (std::size_t i = 0; i < want.size(); ++i) {
      std::string found = difference_of(contest_.outputs[i], want[i]->data(), exact);
      if (!found.empty()) return found;
    }
    return "";
  }
  std::string difference_of(const ContestOutput& output, const void* want, bool exact) {
    const int count = compare(static_cast<Difference*>(parts_.data()), output.data, want, output.type,
                              output.elements, exact ? 0 : static_cast<float>(output.relative),
                              exact ? 0 : static_cast<float>(output.absolute), runtime_.stream());
    std::array<Difference, kMostDifferences> parts;
    runtime_.copy_out(parts.data(), parts_.data(), sizeof parts);
    const Difference difference = merge_differences(parts.data(), count);
    return difference.beyond > 0 ? words_of(difference, output) : "";
  }

  Runtime& runtime_;
  const Contest& contest_;
  bool deterministic_, has_expected_ = false;
  ScratchMemory parts_;
  Copies expected_, repeated_;
  std::unique_ptr<ScratchMemory> flush_;
  std::size_t flush_bytes_ = 0;
};

struct Survivor {
  std::string name;
  std::function<void()> run;  // owns the workspace and the plans that the replay uses
  std::function<void()> replay;
  std::vector<double> times;

  double median() const { return median_of(times); }
  void retire() {
    replay = nullptr;
    run = nullptr;
  }
};

bool faster(const Survivor& a, const Survivor& b) {
  return a.median() < b.median();
}

// Sorted by time; only the fastest keep their memory.
void keep_finalists(std::vector<Survivor>& survivors) {
  std::stable_sort(survivors.begin(), survivors.end(), faster);
  for (std::size_t i = kFinalists; i < survivors.size(); ++i) survivors[i].retire();
}

}  // namespace

ScratchMemory::ScratchMemory(Runtime& runtime, std::size_t bytes)
    : runtime_(runtime), data_(runtime.allocate(std::max<std::size_t>(bytes, 1))) {
  if (data_ == nullptr) fail(ExitCode::device, "not enough GPU memory to tune: {} bytes", bytes);
}

ScratchMemory::~ScratchMemory() {
  runtime_.release(data_);
}

Tuner::Tuner(Runtime& runtime, MathLibrary& math, TuningOptions options)
    : runtime_(runtime), math_(math), options_(std::move(options)) {
  load_cache();
  if (options_.known_choices.empty()) return;
  try {
    for (auto& [key, choice] : parse_choices(options_.known_choices, options_.identity)) {
      known_[key] = std::move(choice);
    }
  } catch (const Error& error) {
    options_.warn(fmt::format("the run's tuning is not used: {}", error.what()));
  }
}

std::shared_ptr<const ConvolutionWay> Tuner::way(const ConvolutionShape& shape, ConvolutionPass pass) {
  const std::string key = fmt::format("{} of {}", name_of(pass), shape.text());
  const auto made = ways_.find(key);
  if (made != ways_.end()) return made->second;
  std::vector<ConvolutionOffer> offers = math_.offers(shape, pass);
  if (offers.size() > kMostOffers) offers.resize(kMostOffers);
  if (offers.empty() && !is_plain(pass)) return ways_[key] = nullptr;
  std::vector<std::string> names;
  names.reserve(offers.size());
  for (const ConvolutionOffer& offer : offers) names.push_back(offer.name);
  std::shared_ptr<const ConvolutionWay> way;
  if (!offers.empty()) {
    const std::size_t chosen =
        choose(key, names, [&] { return convolution_contest(runtime_, shape, pass, offers, options_.tf32); });
    way = offers[chosen].make();
  }
  if (way == nullptr) way = is_plain(pass) ? first_way(math_, shape, pass) : nullptr;
  return ways_[key] = way;
}

std::size_t Tuner::choose(const std::string& key, const std::vector<std::string>& names,
                          const std::function<Contest()>& make_contest) {
  const auto index_of = [&](const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  if (!options_.forced.empty() && index_of(options_.forced) < names.size()) return index_of(options_.forced);
  const auto known = known_.find(key);
  if (known != known_.end()) {
    const std::size_t index = index_of(known->second.name);
    if (index < names.size()) {
      used_[key] = known->second;
      return index;
    }
    options_.warn(fmt::format("tuning of {}: '{}' is not there any more", key, known->second.name));
  }
  if (!options_.enabled) return 0;
  try {
    const Contest contest = make_contest();
    const TuningChoice choice = hold(key, contest);
    known_[key] = used_[key] = choice;
    store_cache();
    return std::min(index_of(choice.name), names.size() - 1);
  } catch (const ContextLost&) {
    throw;
  } catch (const Error& error) {
    options_.warn(fmt::format("tuning of {} is called off: {}", key, error.what()));
    return 0;
  }
}

TuningChoice Tuner::hold(const std::string& key, const Contest& contest) {
  Referee referee(runtime_, contest, options_.deterministic);
  TuningChoice choice{.name = contest.contenders.front().name,
                      .milliseconds = 0,
                      .operations = contest.operations,
                      .others = {},
                      .rejected = {}};
  std::vector<Survivor> survivors;
  double best = 0;
  for (const Contender& contender : contest.contenders) {
    std::string why;
    try {
      const std::function<void()> run = contender.prepare();
      if (!run) {
        choice.rejected.push_back({contender.name, "cannot be built"});
        continue;
      }
      why = referee.complaint(run);
      if (why.empty()) {
        // As a training step will run it: a sequence that cannot be recorded is of no use.
        Survivor survivor{contender.name, run, runtime_.record(run), {}};
        survivor.times.push_back(referee.time(survivor.replay));
        const bool hopeless = !survivors.empty() && survivor.times.front() > kHopeless * best;
        for (int i = 1; i < kRepeats && !hopeless; ++i) {
          survivor.times.push_back(referee.time(survivor.replay));
        }
        best = survivors.empty() ? survivor.median() : std::min(best, survivor.median());
        survivors.push_back(std::move(survivor));
        keep_finalists(survivors);
        continue;
      }
    } catch (const ContextLost& error) {
      throw ContextLost(error.code(), fmt::format("tuning of {}: '{}' ended the GPU's context: {}", key,
                                                  contender.name, error.what()));
    } catch (const Error& error) {
      why = error.what();
    }
    choice.rejected.push_back({contender.name, why});
    options_.warn(fmt::format("tuning of {}: '{}' is left out: {}", key, contender.name, why));
  }
  if (survivors.empty()) fail(ExitCode::device, "none of {} can be used", contest.contenders.size());

  // The fastest ones in turns, so that a clock that changes meanwhile favours none.
  const auto finalists =
      survivors.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(survivors.size(), kFinalists));
  for (auto it = survivors.begin(); it != finalists; ++it) it->times.clear();
  for (int round = 0; round < kFinalRounds; ++round) {
    for (auto it = survivors.begin(); it != finalists; ++it) it->times.push_back(referee.time(it->replay));
  }
  std::stable_sort(survivors.begin(), finalists, faster);

  choice.name = survivors.front().name;
  choice.milliseconds = survivors.front().median();
  for (std::size_t i = 1; i < survivors.size(); ++i) {
    choice.others.push_back({survivors[i].name, survivors[i].median()});
  }
  return choice;
}

std::string Tuner::choices() const {
  return to_text(options_.identity, used_);
}

std::string Tuner::cache_file() const {
  std::string name = options_.identity;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-') c = '_';
  }
  return (std::filesystem::path(options_.cache_folder) / ("tuning-" + name + ".json")).string();
}

void Tuner::load_cache() {
  if (options_.cache_folder.empty() || !std::filesystem::exists(cache_file())) return;
  try {
    const std::vector<std::uint8_t> bytes = read_file(cache_file());
    known_ = parse_choices(std::string(bytes.begin(), bytes.end()), options_.identity);
  } catch (const Error& error) {
    options_.warn(fmt::format("'{}' is not used and will be replaced: {}", cache_file(), error.what()));
  }
}

void Tuner::store_cache() {
  if (options_.cache_folder.empty()) return;
  try {
    std::error_code ignored;  // the write says what is wrong
    std::filesystem::create_directories(options_.cache_folder, ignored);
    write_file_atomically(cache_file(), to_text(options_.identity, known_));
  } catch (const Error& error) {
    options_.warn(fmt::format("the tuning is not kept: {}", error.what()));
    options_.cache_folder.clear();  // said once
  }
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
