#include "report/run_listener.h"

#include <fmt/format.h>

#include <exception>

namespace dpll {
namespace {

constexpr const char* kLater = "training goes on, and it is tried again";
constexpr const char* kAtTheEnd = "--resume tries it again";

}  // namespace

template <typename Tell>
void RunListeners::each(const char* consequence, const Tell& tell) {
  for (Listener& listener : listeners_) {
    try {
      tell(*listener.is);
      listener.failed = false;
    } catch (const std::exception& error) {
      if (listener.is->required()) throw;
      // One warning per step would be too many.
      if (!listener.failed || consequence == kAtTheEnd) {
        log_.warning(fmt::format("{}: {}; {}", listener.is->name(), error.what(), consequence));
      }
      listener.failed = true;
    }
  }
}

void RunListeners::start(const RunState& state) {
  each(kLater, [&](RunListener& listener) { listener.start(state); });
}

void RunListeners::epoch_begins() {
  each(kLater, [&](RunListener& listener) { listener.epoch_begins(); });
}

void RunListeners::steps(const std::vector<StepFigures>& done) {
  if (done.empty()) return;
  each(kLater, [&](RunListener& listener) { listener.steps(done); });
}

void RunListeners::epoch_done(const EpochFigures& epoch, const RunState& state) {
  each(kLater, [&](RunListener& listener) { listener.epoch_done(epoch, state); });
}

void RunListeners::finish(const RunState& state) {
  each(kAtTheEnd, [&](RunListener& listener) { listener.finish(state); });
}

void RunListeners::stop(const RunState& state) {
  each(kAtTheEnd, [&](RunListener& listener) { listener.stop(state); });
}

}  // namespace dpll
