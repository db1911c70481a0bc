// Chooses between ways to compute the same thing by timing them on this machine, once: engines of a
// convolution's pass (way()), algorithms of a product (product()), or whole implementations of an operation
// (choose()).
//
// No way is trusted because it exists. Before one is timed, elements of its results are compared with what
// the host computes in float64, all of them with those of the first way that passed, within bounds that
// follow from the arithmetic, and in deterministic mode with its own of a second run. What differs is left
// out, with a warning. A choice that is known, from the cache folder or a run folder's copy, is not timed
// again, so a repeated run takes the same ways; but with `prove` it is run and measured once, before a
// training step is recorded with it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/contest.h"
#include "backend/cuda/convolution.h"
#include "backend/cuda/runtime.h"
#include "backend/cuda/tuning_cache.h"
#include "backend/cuda/tuning_choices.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

using Say = std::function<void(const std::string&)>;

struct TuningOptions {
  bool enabled = false;            // false: what is not known already is the first offer
  bool prove = false;              // run and measure also what is not timed
  bool deterministic = true;       // compare the bits of two runs
  bool tf32 = false;               // float32 convolutions may multiply in tf32
  double seconds = 0;              // after which little is tried any more; 0: no limit
  std::string identity = {};       // what choices depend on: GPU, library versions, precision rules
  std::string cache_folder = {};   // empty: nothing is kept
  std::string known_choices = {};  // text of Tuner::choices(), preferred to the cache; or empty
  std::string forced = {};         // for tests: what has this name is chosen wherever it is there
  // Runs of a contender that are timed at once, in one graph: what a launch costs the host is left out, and
  // inputs lie in the GPU's cache, or not, as they do in a training step. Less is for tests, whose times are
  // made up.
  int timed_runs = 10;
  Say warn = [](const std::string&) {};
  Say progress = [](const std::string&) {};  // what is being done now
  std::function<double()> now = {};          // seconds; for tests: the steady clock otherwise
};

class Tuner {
 public:
  Tuner(Runtime& runtime, MathLibrary& math, TuningOptions options);

  bool enabled() const { return options_.enabled; }
  Runtime& runtime() const { return runtime_; }

  // The way to compute a pass. Null: a fused pass that the library has no engine for. Error(device) naming
  // pass and shape where there is none for a plain one.
  std::shared_ptr<const ConvolutionWay> way(const ConvolutionShape& shape, ConvolutionPass pass);

  // The algorithm for a product. Error(device) naming the shape where there is none.
  std::shared_ptr<const Product> product(const ProductShape& shape);

  // The index of one of `names`. `make_contest` is called only if it must be found out or proven; without
  // that, or if the memory for it is not there, it is 0.
  std::size_t choose(const std::string& key, const std::vector<std::string>& names,
                     const std::function<Contest()>& make_contest);

  // All choices that were made or used so far, as text for TuningOptions::known_choices.
  std::string choices() const;
  int proven() const { return proven_; }  // keys of which a way was run and measured

 private:
  TuningChoice hold(const std::string& key, const Contest& contest);
  std::size_t prove(const std::string& key, const Contest& contest, std::size_t first);
  // That none of so many ways is right; `why` of the last one.
  [[noreturn]] void throw_none(const std::string& key, std::size_t ways, const std::string& why) const;
  std::string trial(const std::string& key, const Contender& contender,
                    const std::function<std::string()>& body);
  double share() const;  // seconds for the contest that begins now

  Runtime& runtime_;
  MathLibrary& math_;
  TuningOptions options_;
  TuningCache cache_;
  TuningChoices known_, used_;
  double spent_ = 0;           // seconds
  bool lacks_memory_ = false;  // for some contender
  int proven_ = 0;
  std::map<std::string, std::shared_ptr<const ConvolutionWay>> ways_;
  std::map<std::string, std::shared_ptr<const Product>> products_;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
