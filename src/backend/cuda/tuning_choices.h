// What the tuner has chosen, as text: a JSON object that a cache folder or a run folder keeps.
//   {"identity": "...", "choices": {KEY: {"name": ..., "milliseconds": ..., "operations": ...,
//    "others": [{"name", "milliseconds"}, fastest first], "rejected": [{"name", "why"}]}}}
#pragma once

#include <map>
#include <string>
#include <vector>

#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct TimedName {
  std::string name;
  double milliseconds = 0;
};
struct RejectedName {
  std::string name, why;
};

struct TuningChoice {
  std::string name;  // of the one that is used
  double milliseconds = 0;
  double operations = 0;          // multiplications and additions of one run
  std::vector<TimedName> others;  // fastest first
  std::vector<RejectedName> rejected;
};
using TuningChoices = std::map<std::string, TuningChoice>;  // by key: pass and shape

std::string to_text(const std::string& identity, const TuningChoices& choices);
// Error(data), saying what is wrong: not such text, or that of another identity.
TuningChoices parse_choices(const std::string& text, const std::string& identity);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
