// Chooses between ways to compute the same thing by timing them on this machine, once: engines of a
// convolution's pass (way()), or whole implementations of an operation (choose()).
//
// No way is trusted because it exists: before it is timed, its results are compared with those of the first
// (plain) one on random numbers, within a bound that follows from the arithmetic, and in deterministic mode
// with its own of a second run. What differs is left out, with a warning. A choice that is known, from the
// cache folder or a run folder's copy, is never timed again, so a repeated run takes the same ways.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/runtime.h"
#include "backend/cuda/tuning_choices.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct TuningOptions {
  bool enabled = false;            // false: what is not known already is the first offer
  bool deterministic = true;       // compare the bits of two runs
  bool tf32 = false;               // float32 convolutions may multiply in tf32
  std::string identity = {};       // what choices depend on: GPU, library versions, precision rules
  std::string cache_folder = {};   // empty: nothing is kept
  std::string known_choices = {};  // text of Tuner::choices(), preferred to the cache; or empty
  std::string forced = {};         // for tests: what has this name is chosen wherever it is there
  std::function<void(const std::string&)> warn = [](const std::string&) {};
};

// Device memory for a contest. Error(device) where there is not enough: the contest is then called off.
class ScratchMemory {
 public:
  ScratchMemory(Runtime& runtime, std::size_t bytes);
  ~ScratchMemory();
  ScratchMemory(const ScratchMemory&) = delete;
  ScratchMemory& operator=(const ScratchMemory&) = delete;
  void* data() const { return data_; }

 private:
  Runtime& runtime_;
  void* data_;
};

struct Contender {
  std::string name;
  // What computes the contest's outputs once, or nothing where it cannot after all. It owns its workspace.
  std::function<std::function<void()>()> prepare;
};

struct ContestOutput {
  std::string name;
  void* data = nullptr;
  DType type = DType::f32;
  std::int64_t elements = 0;
  double relative = 0, absolute = 0;  // how far contenders may differ from the first one
};

// A second run of every contender, on other inputs, whose result is known from elsewhere.
struct Examination {
  std::function<void()> enter;    // changes the inputs; null: there is no examination
  std::function<void()> measure;  // after the run: computes `expected`
  std::function<void()> leave;    // changes them back
  ContestOutput output;
  const void* expected = nullptr;  // as output.data
};

// Outputs and inputs stay allocated as long as `memory`.
struct Contest {
  std::vector<Contender> contenders;  // by the names given to choose(), in their order
  std::vector<ContestOutput> outputs;
  Examination examination;
  double operations = 0;
  std::vector<std::shared_ptr<ScratchMemory>> memory;
};

class Tuner {
 public:
  Tuner(Runtime& runtime, MathLibrary& math, TuningOptions options);

  bool enabled() const { return options_.enabled; }
  Runtime& runtime() const { return runtime_; }

  // The way to compute a pass. Null: a fused pass that the library has no engine for. Error(device) naming
  // pass and shape where there is none for a plain one.
  std::shared_ptr<const ConvolutionWay> way(const ConvolutionShape& shape, ConvolutionPass pass);

  // The index of one of `names`. `make_contest` is called only if it must be found out; without that, or if
  // the memory for it is not there, it is 0.
  std::size_t choose(const std::string& key, const std::vector<std::string>& names,
                     const std::function<Contest()>& make_contest);

  // All choices that were made or used so far, as text for TuningOptions::known_choices.
  std::string choices() const;

 private:
  TuningChoice hold(const std::string& key, const Contest& contest);
  void load_cache();
  void store_cache();
  std::string cache_file() const;

  Runtime& runtime_;
  MathLibrary& math_;
  TuningOptions options_;
  TuningChoices known_, used_;
  std::map<std::string, std::shared_ptr<const ConvolutionWay>> ways_;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
