#include "bench/profile.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace dpll::bench {

Profile::Profile(Backend* behind_the_host)
    : waits_for_(behind_the_host),
      before_(std::exchange(trace::sink, this)),
      start_(std::chrono::steady_clock::now()) {
  slices_.reserve(1 << 16);
}

Profile::~Profile() {
  trace::sink = before_;
}

double Profile::now() {
  if (waits_for_ != nullptr) waits_for_->synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Profile::begin(const char* name) {
  const int parent = open_.empty() ? -1 : open_.back();
  open_.push_back(static_cast<int>(slices_.size()));
  slices_.push_back({.name = name, .parent = parent});
  slices_.back().start = now();
}

void Profile::end() {
  DPLL_CHECK(!open_.empty(), "a range ends that has not begun");
  Slice& slice = slices_[static_cast<std::size_t>(open_.back())];
  slice.seconds = now() - slice.start;
  open_.pop_back();
}

double Profile::total(const std::string& name, const std::vector<std::string>& names) const {
  const auto inside_another = [&](const Slice& slice) {
    for (int at = slice.parent; at >= 0; at = slices_[static_cast<std::size_t>(at)].parent) {
      const std::string& around = slices_[static_cast<std::size_t>(at)].name;
      if (std::find(names.begin(), names.end(), around) != names.end()) return true;
    }
    return false;
  };
  double seconds = 0;
  for (const Slice& slice : slices_) {
    if (slice.name == name && !inside_another(slice)) seconds += slice.seconds;
  }
  return seconds;
}

std::string Profile::chrome_trace(const std::string& process_name) const {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  events.push_back({{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", process_name}}}});
  for (const Slice& slice : slices_) {
    events.push_back({{"name", slice.name},
                      {"ph", "X"},
                      {"ts", slice.start * 1e6},
                      {"dur", slice.seconds * 1e6},
                      {"pid", 1},
                      {"tid", 1}});
  }
  return nlohmann::ordered_json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump() + "\n";
}

}  // namespace dpll::bench
