// Before a run computes on a GPU, that GPU, its driver and its libraries show that they compute right: golden
// values of every operation and whole trajectories in the run's precision, each convolution and product of
// the run's network at its own shape against sums of the host in float64, and equal bits of two runs.
//
// All of it happens in a process of its own, started anew from this program's file: an engine that faults,
// hangs or ends the GPU's context takes that process along and not the run. This process makes no context
// before the other one has gone, so that a GPU in exclusive mode has room for it.
#pragma once

#include <functional>
#include <string>

#include "backend/gpu_port.h"
#include "dpll/config.h"

namespace dpll {

using Say = std::function<void(const std::string&)>;

struct Qualification {
  enum class Outcome {
    passed,
    failed,   // it computes wrong, ends the process, or does not come to an end
    refused,  // it cannot be used now: busy, too little memory
    absent,   // there is none that this program can use
  };
  Outcome outcome = Outcome::absent;
  GpuFacts gpu;
  Precision precision = Precision::f32;  // of the run: what `auto` is on this GPU
  std::string how;                       // passed: what was shown, in how many seconds, or when
  std::string check, why;                // otherwise: which check, and what it said
  std::string choices;                   // Backend::tuning_choices() of the run's network
};

// Of the GPU that `run` of the configuration names, or the one with the most free memory. `choices`: as
// make_backend(). `progress`: what is being done, for a line on a terminal; `warn`: as make_backend().
Qualification qualify_gpu(const RunConfig& config, const std::string& choices, const Say& progress,
                          const Say& warn);

// How long the other process may take, in seconds. Tests set them.
struct QualificationLimits {
  double silence = 120;  // without a word of what it does
  double total = 300;    // besides run.tuning_seconds
};
QualificationLimits& qualification_limits();

// The other process is `dpll_engine qualify` (selftest/qualify.h): it reads {"config": INI text, "choices":
// text} from the standard input and answers in lines of JSON on this descriptor: {"gpu": {...}}, {"progress":
// text}, {"warning": text}, and at last {"outcome": "passed", "precision", "how", "choices"} or {"outcome":
// "failed", "refused" or "absent", "check", "why"}.
inline constexpr int kReportDescriptor = 3;

// What is remembered of a GPU, driver, libraries, program and network, in a folder of the user's: passes and
// wrong numbers, nothing that may be otherwise the next time. `text` is a JSON object.
class QualificationMemory {
 public:
  // `key`: all on which the verdict depends.
  explicit QualificationMemory(const std::string& key);
  std::string recall() const;  // empty: nothing
  void remember(const std::string& text,
                const Say& warn) const;  // a folder that cannot be written to is said

 private:
  std::string key_, file_;
};

}  // namespace dpll
