// The emulated streams: work runs at once, with the device's memory open to it. A capture is a real one: the
// work is kept as a graph and nothing of it runs until it is replayed, so whatever the host decides or
// computes while it enqueues is decided once and for all; and what breaks a CUDA graph is an EmulationFault.
// A graph knows what each node launches and which nodes must run before it, so it can be counted, and it can
// be replayed in any order that its dependencies allow.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "emulation/emulator.h"

struct CUstream_st {
  int index = 0;  // 0: the main stream; the others are forked from it
};

namespace dpll::emulation {

using Stream = CUstream_st*;

// What a node of a graph is.
struct Work {
  std::string name;              // of the launch, or what the library computes
  const void* kernel = nullptr;  // where its function lies in this program; null: a library's call, a fill
  Index blocks{0, 0, 0};
  unsigned threads = 0;
  std::size_t shared_bytes = 0;      // dynamic
  double bytes = 0, operations = 0;  // that must be moved and computed; operations only of a library's call
  bool overlaps = false;             // by programmatic dependent launch, see kernels/launch_rules.h
};

struct Node {
  Work work;
  std::string layer;  // the innermost range of dpll/core/trace.h
  int stream = 0;
  std::vector<int> after;  // nodes that must be done before it begins
  std::function<void()> run;
};

struct Graph {
  std::vector<Node> nodes;  // in the order in which they were enqueued
};

// Kernels, library calls, fills. `run` owns a copy of its arguments.
void enqueue(Stream stream, Work work, std::function<void()> run);
// As events: what `later` is given from now on begins when all that `stream` had been given at its mark is
// done. A side stream belongs to a capture once it waits for a stream that does, and must be waited for again
// before the capture ends.
int mark(Stream stream);
void wait(Stream later, int mark);

// For allocations, copies between host and device, waiting: EmulationFault during a capture.
void forbid_in_capture(const char* what);
// For what must not throw: capture() does, at its end.
void note_in_capture(const char* what) noexcept;

// Captures what `sequence` enqueues; the result replays it. EmulationFault for what is forbidden.
std::function<void()> capture(const std::function<void()>& sequence);
// While it is set: every capture gives its graph to it, and nothing that is enqueued ever runs.
void set_counting(std::function<void(const Graph&)> take);

// Captures from now on leave out wait number `wait`, counted from 0 in each; -1: none. The number of waits in
// the last capture.
void leave_out_wait(int wait);
int waits_captured();

// How replays run: in the order of enqueueing (seed 0), or in one drawn from those that the dependencies
// allow. `compare`: each replay runs twice from the same memory, first in order, then as drawn; a node that
// leaves other bytes the second time is an EmulationFault that names it and what ran before it.
struct StreamSchedule {
  std::uint64_t seed = 0;
  bool compare = false;
};
void set_stream_schedule(const StreamSchedule& schedule);

}  // namespace dpll::emulation
