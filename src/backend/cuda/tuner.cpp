#include "backend/cuda/tuner.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "backend/cuda/convolution_contest.h"
#include "backend/cuda/product_contest.h"
#include "backend/cuda/referee.h"
#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kRepeats = 5, kFinalists = 3, kFinalRounds = 7;
constexpr double kHopeless = 2;  // times slower than the best so far: not timed any further
// A contest may take this part of the time that is left, and a second in any case.
constexpr double kShare = 0.1, kLeastShare = 1;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

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

// As a training step will run it: a sequence that cannot be recorded is of no use. What the first replay does
// once is not timed.
std::function<void()> recorded(Runtime& runtime, int runs, const std::function<void()>& run) {
  std::function<void()> replay = runtime.record([&] {
    for (int i = 0; i < runs; ++i) run();
  });
  replay();
  return replay;
}

template <typename Offer>
std::vector<std::string> names_of(const std::vector<Offer>& offers) {
  std::vector<std::string> names;
  names.reserve(offers.size());
  for (const Offer& offer : offers) names.push_back(offer.name);
  return names;
}

// What offers[chosen] makes, or the first one that can be made; null where none can.
template <typename Offer>
auto made_of(const std::vector<Offer>& offers, std::size_t chosen) -> decltype(offers.front().make()) {
  auto made = offers[chosen].make();
  for (std::size_t i = 0; i < offers.size() && made == nullptr; ++i) made = offers[i].make();
  return made;
}

}  // namespace

Tuner::Tuner(Runtime& runtime, MathLibrary& math, TuningOptions options)
    : runtime_(runtime),
      math_(math),
      options_(std::move(options)),
      cache_(options_.cache_folder, options_.identity, options_.warn),
      known_(cache_.load()) {
  if (!options_.now) options_.now = steady_seconds;
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
  const std::vector<ConvolutionOffer> offers = math_.offers(shape, pass);
  std::shared_ptr<const ConvolutionWay> way;
  try {
    if (!offers.empty()) {
      const std::size_t chosen = choose(key, names_of(offers), [&] {
        return convolution_contest(runtime_, shape, pass, offers, options_.tf32);
      });
      way = is_plain(pass) ? made_of(offers, chosen) : offers[chosen].make();
    }
  } catch (const WrongResult&) {
    if (is_plain(pass)) throw;  // without a fused pass the operation has its plain ones
  }
  if (way == nullptr && is_plain(pass)) {
    fail(ExitCode::device, "{} has no engine for {}", math_.description(), key);
  }
  return ways_[key] = way;
}

std::shared_ptr<const Product> Tuner::product(const ProductShape& shape) {
  const std::string key = shape.text();
  const auto known = products_.find(key);
  if (known != products_.end()) return known->second;
  const std::vector<ProductOffer> offers = math_.offers(shape);
  std::shared_ptr<const Product> made;
  if (!offers.empty()) {
    made = made_of(offers, choose(key, names_of(offers),
                                  [&] { return product_contest(runtime_, shape, offers, options_.tf32); }));
  }
  if (made == nullptr) fail(ExitCode::device, "{} has nothing for {}", math_.description(), key);
  return products_[key] = made;
}

std::size_t Tuner::choose(const std::string& key, const std::vector<std::string>& names,
                          const std::function<Contest()>& make_contest) {
  const auto index_of = [&](const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  if (!options_.forced.empty() && index_of(options_.forced) < names.size()) return index_of(options_.forced);
  std::size_t first = 0;
  const auto known = known_.find(key);
  bool tune = options_.enabled;
  if (known != known_.end()) {
    const std::size_t index = index_of(known->second.name);
    if (index < names.size()) {
      used_[key] = known->second;
      first = index;
      tune = false;
    } else {
      options_.warn(fmt::format("tuning of {}: '{}' is not there any more", key, known->second.name));
    }
  }
  if (!tune && !options_.prove) return first;
  const double begin = options_.now();
  try {
    const Contest contest = make_contest();
    if (!tune) {
      const std::size_t right = prove(key, contest, first);
      if (right != first) used_.erase(key);
      return right;
    }
    const TuningChoice choice = hold(key, contest);
    known_[key] = used_[key] = choice;
    cache_.add({{key, choice}});
    spent_ += options_.now() - begin;
    return std::min(index_of(choice.name), names.size() - 1);
  } catch (const ContextLost&) {
    throw;
  } catch (const WrongResult&) {
    throw;
  } catch (const Error& error) {
    options_.warn(fmt::format("tuning of {} is called off: {}", key, error.what()));
    spent_ += options_.now() - begin;
    return first;
  }
}

double Tuner::share() const {
  if (options_.seconds <= 0) return 0;
  return std::max(kLeastShare, kShare * (options_.seconds - spent_));
}

// What is wrong with a contender, from `body`, which tries it; nobody is left to say so if that ends the
// process.
std::string Tuner::trial(const std::string& key, const Contender& contender,
                         const std::function<std::string()>& body) {
  const int deaths = cache_.deaths(key, contender.name);
  if (deaths >= kDeadlyDeaths) {
    return fmt::format("{} processes ended while they tried it (files died-* in '{}')", deaths,
                       options_.cache_folder);
  }
  TuningCache::Trial note(cache_, key, contender.name);
  try {
    return body();
  } catch (const ContextLost& error) {
    note.died();
    throw ContextLost(error.code(), fmt::format("tuning of {}: '{}' ended the GPU's context: {}", key,
                                                contender.name, error.what()));
  } catch (const WrongResult&) {
    throw;  // a plain pass that nothing computes right: no other contender can do without it
  } catch (const OutOfMemory& error) {
    lacks_memory_ = true;
    return error.what();
  } catch (const Error& error) {
    return error.what();
  }
}

void Tuner::throw_none(const std::string& key, std::size_t ways, const std::string& why) const {
  const std::string text = fmt::format("none of {} ways to compute {} is right: {}", ways, key, why);
  // Where memory was missing another time may be better: nothing is known to be wrong.
  if (lacks_memory_) throw OutOfMemory(ExitCode::device, text);
  throw WrongResult(ExitCode::device, text);
}

// The first right one, beginning with `first`.
std::size_t Tuner::prove(const std::string& key, const Contest& contest, std::size_t first) {
  options_.progress(fmt::format("checking {}", key));
  Referee referee(runtime_, contest, options_.deterministic);
  const std::size_t count = contest.contenders.size();
  std::string last;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t index = (first + i) % count;
    const Contender& contender = contest.contenders[index];
    bool built = true;
    const std::string wrong = trial(key, contender, [&]() -> std::string {
      const std::function<void()> run = contender.prepare();
      built = run != nullptr;
      return built ? referee.complaint(run) : "cannot be built";
    });
    if (wrong.empty()) {
      ++proven_;
      return index;
    }
    if (built) options_.warn(fmt::format("{}: '{}' is left out: {}", key, contender.name, wrong));
    if (built || last.empty()) last = wrong;
  }
  throw_none(key, count, last);
}

TuningChoice Tuner::hold(const std::string& key, const Contest& contest) {
  const double begin = options_.now();
  const double seconds = share();
  Referee referee(runtime_, contest, options_.deterministic);
  TuningChoice choice{.name = contest.contenders.front().name,
                      .milliseconds = 0,
                      .operations = contest.operations,
                      .others = {},
                      .rejected = {}};
  const auto time = [&](const std::function<void()>& replay) {
    return runtime_.milliseconds(replay) / options_.timed_runs;
  };
  std::vector<Survivor> survivors;
  double best = 0;
  for (std::size_t i = 0; i < contest.contenders.size(); ++i) {
    const Contender& contender = contest.contenders[i];
    if (!survivors.empty() && seconds > 0 && options_.now() - begin > seconds) break;
    options_.progress(fmt::format("tuning {}: {} of {}", key, i + 1, contest.contenders.size()));
    bool built = true;
    const std::string wrong = trial(key, contender, [&]() -> std::string {
      const std::function<void()> run = contender.prepare();
      built = run != nullptr;
      if (!built) return "cannot be built";
      std::string complaint = referee.complaint(run);
      if (!complaint.empty()) return complaint;
      Survivor survivor{contender.name, run, recorded(runtime_, options_.timed_runs, run), {}};
      survivor.times.push_back(time(survivor.replay));
      const bool hopeless = !survivors.empty() && survivor.times.front() > kHopeless * best;
      for (int repeat = 1; repeat < kRepeats && !hopeless; ++repeat) {
        survivor.times.push_back(time(survivor.replay));
      }
      best = survivors.empty() ? survivor.median() : std::min(best, survivor.median());
      survivors.push_back(std::move(survivor));
      keep_finalists(survivors);
      return "";
    });
    if (wrong.empty()) continue;
    choice.rejected.push_back({contender.name, wrong});
    if (built) options_.warn(fmt::format("tuning of {}: '{}' is left out: {}", key, contender.name, wrong));
  }
  if (survivors.empty()) {
    throw_none(key, contest.contenders.size(),
               choice.rejected.empty() ? "there is none" : choice.rejected.back().why);
  }
  ++proven_;

  // The fastest ones in turns, so that a clock that changes meanwhile favours none.
  const auto finalists =
      survivors.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(survivors.size(), kFinalists));
  for (auto it = survivors.begin(); it != finalists; ++it) it->times.clear();
  for (int round = 0; round < kFinalRounds; ++round) {
    for (auto it = survivors.begin(); it != finalists; ++it) it->times.push_back(time(it->replay));
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

}  // namespace dpll::DPLL_CUDA_NAMESPACE
