// What a method does with the whole table at the end of an epoch, on the host, once the epoch is evaluated.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dpll {

struct CandidateSets;

// What a hook may read and change.
struct EpochTable {
  std::vector<float>& targets;        // [samples, classes]
  std::vector<float>& kept;           // [samples, kept_rows, classes]
  CandidateSets& candidates;          // no set may become empty
  const CandidateSets& at_the_start;  // of the run
  std::uint64_t seed;                 // of the run
};

class EpochHook {
 public:
  virtual ~EpochHook() = default;
  // epoch: 0-based, the one that has ended.
  virtual void end_epoch(int epoch, EpochTable& table) = 0;
  // As before the first epoch.
  virtual void restart() = 0;
  // What a checkpoint keeps, by name. restore() takes what state() gave; Error(data) that begins with `path`
  // for anything else.
  virtual std::map<std::string, std::vector<float>> state() const = 0;
  virtual void restore(const std::map<std::string, std::vector<float>>& state, const std::string& path) = 0;
  // Of the epoch that has ended, for the metrics: always the same names, in the same order.
  virtual std::vector<std::pair<std::string, double>> figures() const = 0;
};

}  // namespace dpll
