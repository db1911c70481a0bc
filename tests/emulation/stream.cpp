#include "emulation/stream.h"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "emulation/device_memory.h"
#include "emulation/emulator.h"

namespace dpll::emulation {
namespace {

struct Capture {
  std::vector<std::function<void()>> work;
  const char* forbidden = nullptr;  // what was noted
};

Capture* running = nullptr;  // or null

void run_now(const std::function<void()>& work) {
  const DeviceAccess access;
  work();
}

[[noreturn]] void throw_fault(const char* what) {
  throw EmulationFault(fmt::format("{} during the capture of a sequence", what));
}

}  // namespace

void enqueue(std::function<void()> work) {
  if (running != nullptr) {
    running->work.push_back(std::move(work));
  } else {
    run_now(work);
  }
}

void forbid_in_capture(const char* what) {
  if (running != nullptr) throw_fault(what);
}

void note_in_capture(const char* what) noexcept {
  if (running != nullptr) running->forbidden = what;
}

std::function<void()> capture(const std::function<void()>& sequence) {
  forbid_in_capture("record");
  const auto captured = std::make_shared<Capture>();
  running = captured.get();
  try {
    sequence();
  } catch (...) {
    running = nullptr;
    throw;
  }
  running = nullptr;
  if (captured->forbidden != nullptr) throw_fault(captured->forbidden);
  return [captured] {
    for (const std::function<void()>& work : captured->work) enqueue(work);
  };
}

}  // namespace dpll::emulation
