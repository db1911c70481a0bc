// The emulated stream: work runs at once, with the device's memory open to it. A capture is a real one: the
// work is kept and nothing of it runs until it is replayed, so whatever the host decides or computes while it
// enqueues is decided once and for all; and what breaks a CUDA graph is an EmulationFault.
#pragma once

#include <functional>

namespace dpll::emulation {

// Kernels, library calls, fills. `work` owns a copy of its arguments.
void enqueue(std::function<void()> work);

// For allocations, copies between host and device, waiting: EmulationFault during a capture.
void forbid_in_capture(const char* what);
// For what must not throw: capture() does, at its end.
void note_in_capture(const char* what) noexcept;

// Captures what `sequence` enqueues; the result replays it. EmulationFault for what is forbidden.
std::function<void()> capture(const std::function<void()>& sequence);

}  // namespace dpll::emulation
