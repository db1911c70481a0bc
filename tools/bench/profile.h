// The times of the program's ranges (dpll/core/trace.h): totals by phase, and a trace that Chrome's
// about:tracing and ui.perfetto.dev open.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "dpll/backend.h"
#include "dpll/core/trace.h"

namespace dpll::bench {

// Receives ranges during its lifetime. With an asynchronous device it waits for the device at both ends of
// every range. Ranges are then longer than in an unobserved step, and ranges in a recorded sequence are not
// seen.
class Profile final : public trace::Sink {
 public:
  // `behind_the_host`: the asynchronous backend to wait for, or null.
  explicit Profile(Backend* behind_the_host);
  ~Profile() override;
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  void begin(const char* name) override;
  void end() override;

  struct Slice {
    std::string name;
    double start = 0, seconds = 0;  // since the profile began
    int parent = -1;                // index of the slice around it
  };
  const std::vector<Slice>& slices() const { return slices_; }
  // Seconds in ranges with this name that are not inside another one of `names`.
  double total(const std::string& name, const std::vector<std::string>& names) const;

  // Trace Event Format, complete events ("ph": "X") with times in microseconds.
  std::string chrome_trace(const std::string& process_name) const;

 private:
  double now();

  Backend* waits_for_;
  trace::Sink* before_;
  std::chrono::steady_clock::time_point start_;
  std::vector<Slice> slices_;
  std::vector<int> open_;
};

}  // namespace dpll::bench
