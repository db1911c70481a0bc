// Before a run uses a GPU, a test checks that the GPU, its driver and its libraries compute correctly. It
// compares every operation and whole trajectories with golden values in the precision of the run; it compares
// each convolution and product of the run's network, at its own shape, with float64 sums of the host; and it
// compares the bits of two runs.
//
// The test is a separate process, started from the file of this program. If an engine crashes, hangs or
// destroys the GPU's context, only that process ends, not the run. This process creates its context after the
// other process has ended, so that a GPU in exclusive mode can be used.
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
    failed,   // it computes wrong results, crashes the process, or does not finish
    refused,  // it cannot be used now: busy, too little memory
    absent,   // there is no GPU that this program can use
  };
  Outcome outcome = Outcome::absent;
  GpuFacts gpu;
  Precision precision = Precision::f32;  // of the run; `auto` is resolved for this GPU
  std::string how;                       // passed: the checks and their seconds, or their date
  std::string check, why;                // otherwise: the failed check and its message
  std::string choices;                   // Backend::tuning_choices() of the run's network
};

// Tests the GPU that `run` of the configuration names, or the one with the most free memory. `choices` and
// `warn`: as in make_backend(). `progress` receives the current activity, for a line on a terminal.
Qualification qualify_gpu(const RunConfig& config, const std::string& choices, const Say& progress,
                          const Say& warn);

// Time limits of the other process, in seconds. Tests set them.
struct QualificationLimits {
  double silence = 120;  // without a message
  double total = 300;    // besides run.tuning_seconds
};
QualificationLimits& qualification_limits();

// The other process is `dpll_engine qualify` (selftest/qualify.h): it reads {"config": INI text, "choices":
// text} from the standard input and answers in lines of JSON on this descriptor: {"gpu": {...}}, {"progress":
// text}, {"warning": text}, and at last {"outcome": "passed", "precision", "how", "choices"} or {"outcome":
// "failed", "refused" or "absent", "check", "why"}.
inline constexpr int kReportDescriptor = 3;

// Remembers the result for a GPU, driver, libraries, program and network, in a folder of the user. Only
// passed tests and wrong results are stored, because all others may differ the next time. `text` is a JSON
// object.
class QualificationMemory {
 public:
  // `key`: everything on which the result depends.
  explicit QualificationMemory(const std::string& key);
  std::string recall() const;  // empty: nothing
  void remember(const std::string& text,
                const Say& warn) const;  // warns if the folder cannot be written

 private:
  std::string key_, file_;
};

}  // namespace dpll
