// The folder in which tuning is kept: one file for each GPU, library version and set of rules, which all
// processes of a sweep share, and notes of what is being tried.
//
// An engine that faults takes its process with it, or hangs until somebody kills it. So a process says
// beforehand what it tries, in a file "trying-HOST-PROCESS-START.N", with a number for a pass that is tried
// within an operation. When the next one finds such a file of a process that is no more, it becomes
// "died-...", and an engine that has left kDeadlyDeaths of them is not tried again. Whoever is asked to stop
// by a signal takes his note along; kill -9 alone cannot be told from a fault, which is why one death is not
// enough.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/cuda/tuning_choices.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

inline constexpr int kDeadlyDeaths = 2;

class TuningCache {
 public:
  // An empty folder keeps nothing. What is odd but can be done without is said to `warn`, each once.
  TuningCache(std::string folder, std::string identity, std::function<void(const std::string&)> warn);

  // What earlier runs have found out; nothing where there is no such file or it is damaged.
  TuningChoices load();
  // Adds `found` to what lies there by now, under a lock: other processes may have added to it.
  void add(const TuningChoices& found);

  // How many processes ended, and on what machines does not matter, while they tried `name` for `key`.
  int deaths(const std::string& key, const std::string& name) const;

  // The note of what is being tried, as long as it lives.
  class Trial {
   public:
    Trial(const TuningCache& cache, const std::string& key, const std::string& name);
    ~Trial();
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;
    void died();  // it ended the GPU's context; this process lives on and says so itself

   private:
    std::string note_;
    std::string grave_;
  };

  std::string file() const;

 private:
  void collect_notes();

  std::string folder_, identity_;
  std::function<void(const std::string&)> warn_;
  bool unwritable_ = false;
  struct Death {
    std::string key, name;
  };
  std::vector<Death> deaths_;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
