#include "emulation/stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "dpll/core/trace.h"
#include "emulation/device_memory.h"
#include "emulation/emulator.h"

namespace dpll::emulation {
namespace {

// Keeps the names of the ranges that are open, and passes them on to whoever listened before.
class OpenRanges final : public trace::Sink {
 public:
  OpenRanges() : before_(std::exchange(trace::sink, this)) {}
  ~OpenRanges() override { trace::sink = before_; }
  OpenRanges(const OpenRanges&) = delete;
  OpenRanges& operator=(const OpenRanges&) = delete;

  void begin(const char* name) override {
    names_.emplace_back(name);
    if (before_ != nullptr) before_->begin(name);
  }
  void end() override {
    names_.pop_back();
    if (before_ != nullptr) before_->end();
  }
  std::string innermost() const { return names_.empty() ? "" : names_.back(); }

 private:
  trace::Sink* before_;
  std::vector<std::string> names_;
};

struct Capture {
  Graph graph;
  OpenRanges ranges;
  std::map<int, std::vector<int>> last;   // by stream: the nodes that its next one waits for
  std::map<int, std::vector<int>> marks;  // by number: the nodes before it
  const char* forbidden = nullptr;        // what was noted
  int waits = 0;
};

// Of each thread: it has a GPU of its own.
thread_local Capture* running = nullptr;  // or null
thread_local int last_mark = 0, left_out = -1, last_waits = 0;
thread_local std::function<void(const Graph&)> counting;
thread_local StreamSchedule schedule;
thread_local std::mt19937_64 draws;

void run_now(const std::function<void()>& work) {
  const DeviceAccess access;
  work();
}

[[noreturn]] void throw_fault(const std::string& what) {
  throw EmulationFault(fmt::format("{} during the capture of a sequence", what));
}

int index_of(Stream stream) {
  return stream == nullptr ? 0 : stream->index;
}

// A node that the end of the main stream does not come after, or -1.
int node_without_follower(const Capture& capture) {
  const std::vector<Node>& nodes = capture.graph.nodes;
  std::vector<bool> before_end(nodes.size());
  if (const auto main = capture.last.find(0); main != capture.last.end()) {
    for (const int node : main->second) before_end[static_cast<std::size_t>(node)] = true;
  }
  for (std::size_t i = nodes.size(); i-- > 0;) {
    if (!before_end[i]) return static_cast<int>(i);
    for (const int before : nodes[i].after) before_end[static_cast<std::size_t>(before)] = true;
  }
  return -1;
}

// An order of the nodes in which each comes behind those it waits for.
std::vector<int> drawn_order(const Graph& graph) {
  std::vector<int> waits(graph.nodes.size()), ready, order;
  std::vector<std::vector<int>> followers(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    waits[i] = static_cast<int>(graph.nodes[i].after.size());
    for (const int before : graph.nodes[i].after) {
      followers[static_cast<std::size_t>(before)].push_back(static_cast<int>(i));
    }
    if (waits[i] == 0) ready.push_back(static_cast<int>(i));
  }
  // One stream is preferred for a while, so that it gets far ahead of the others.
  int preferred = 0;
  while (!ready.empty()) {
    if (draws() % 8 == 0)
      preferred = graph.nodes[static_cast<std::size_t>(ready[draws() % ready.size()])].stream;
    auto next = std::find_if(ready.begin(), ready.end(), [&](int i) {
      return graph.nodes[static_cast<std::size_t>(i)].stream == preferred;
    });
    if (next == ready.end()) next = ready.begin() + static_cast<std::ptrdiff_t>(draws() % ready.size());
    const int node = *next;
    ready.erase(next);
    order.push_back(node);
    for (const int follower : followers[static_cast<std::size_t>(node)]) {
      if (--waits[static_cast<std::size_t>(follower)] == 0) ready.push_back(follower);
    }
  }
  return order;
}

// The contents of the device's memory, a string a block.
std::vector<std::string> contents() {
  std::vector<std::string> all;
  for (const DeviceBlock& block : device_blocks()) {
    all.emplace_back(reinterpret_cast<const char*>(block.data), block.bytes);
  }
  return all;
}

// Bytes that a node has left.
struct Written {
  const unsigned char* at;
  std::string bytes;
};

// Those that differ from `before`, which is brought up to date. Exact to the byte, because the bytes beside
// those that have changed may be another node's.
std::vector<Written> changes(std::vector<std::string>& before) {
  constexpr std::size_t kPiece = 64;
  const std::vector<DeviceBlock> blocks = device_blocks();
  std::vector<Written> written;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const unsigned char* const memory = blocks[b].data;
    std::string& old = before[b];
    for (std::size_t at = 0; at < old.size(); at += kPiece) {
      const std::size_t end = std::min(at + kPiece, old.size());
      if (std::memcmp(old.data() + at, memory + at, end - at) == 0) continue;
      for (std::size_t i = at; i < end; ++i) {
        const auto byte = static_cast<char>(memory[i]);
        if (old[i] == byte) continue;
        old[i] = byte;
        const bool follows =
            !written.empty() && written.back().at + written.back().bytes.size() == memory + i;
        if (!follows) written.push_back({memory + i, ""});
        written.back().bytes += byte;
      }
    }
  }
  return written;
}

void replay_compared(const Graph& graph) {
  const DeviceAccess access;
  const std::vector<std::string> first = contents();
  std::vector<std::string> seen = first;
  std::vector<std::vector<Written>> written;
  for (const Node& node : graph.nodes) {
    node.run();
    written.push_back(changes(seen));
  }
  const std::vector<DeviceBlock> blocks = device_blocks();
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    std::memcpy(blocks[b].data, first[b].data(), first[b].size());
  }
  std::vector<int> done;
  for (const int i : drawn_order(graph)) {
    const Node& node = graph.nodes[static_cast<std::size_t>(i)];
    node.run();
    for (const Written& w : written[static_cast<std::size_t>(i)]) {
      if (std::memcmp(w.at, w.bytes.data(), w.bytes.size()) == 0) continue;
      std::string others = "nothing";
      for (const int other : done) {
        if (other < i) continue;
        const Node& before = graph.nodes[static_cast<std::size_t>(other)];
        others = before.work.name + " of " + before.layer;
      }
      throw EmulationFault(fmt::format(
          "{} of {} on stream {} leaves other bytes when the streams run in another order (last before it, "
          "and behind it in the program: {}): an event is missing",
          node.work.name, node.layer, node.stream, others));
    }
    done.push_back(i);
  }
}

void replay(const Graph& graph) {
  if (counting) return;
  if (schedule.compare) return replay_compared(graph);
  if (schedule.seed == 0) {
    for (const Node& node : graph.nodes) run_now(node.run);
    return;
  }
  for (const int i : drawn_order(graph)) run_now(graph.nodes[static_cast<std::size_t>(i)].run);
}

}  // namespace

void enqueue(Stream stream, Work work, std::function<void()> run) {
  const int index = index_of(stream);
  if (running == nullptr) {
    if (!counting) run_now(run);
    return;
  }
  if (index != 0 && running->last.find(index) == running->last.end()) {
    throw_fault(fmt::format("{} on stream {}, which does not wait for the captured one,", work.name, index));
  }
  const int number = static_cast<int>(running->graph.nodes.size());
  std::vector<int>& last = running->last[index];
  running->graph.nodes.push_back({.work = std::move(work),
                                  .layer = running->ranges.innermost(),
                                  .stream = index,
                                  .after = last,
                                  .run = std::move(run)});
  last = {number};
}

int mark(Stream stream) {
  ++last_mark;
  if (running != nullptr) running->marks[last_mark] = running->last[index_of(stream)];
  return last_mark;
}

void wait(Stream later, int mark) {
  if (running == nullptr) return;  // everything runs at once
  const auto place = running->marks.find(mark);
  if (place == running->marks.end()) throw_fault("waiting for a place that is outside");
  if (running->waits++ == left_out) return;
  std::vector<int>& waits = running->last[index_of(later)];
  for (const int node : place->second) {
    if (std::find(waits.begin(), waits.end(), node) == waits.end()) waits.push_back(node);
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
  const auto captured = std::make_unique<Capture>();
  running = captured.get();
  try {
    sequence();
  } catch (...) {
    running = nullptr;
    throw;
  }
  running = nullptr;
  if (captured->forbidden != nullptr) throw_fault(captured->forbidden);
  if (const int left = node_without_follower(*captured); left >= 0) {
    const Node& node = captured->graph.nodes[static_cast<std::size_t>(left)];
    throw_fault(
        fmt::format("{} on stream {} that the main stream never waits for", node.work.name, node.stream));
  }
  last_waits = captured->waits;
  if (counting) counting(captured->graph);
  return [graph = std::make_shared<const Graph>(std::move(captured->graph))] { replay(*graph); };
}

void leave_out_wait(int wait) {
  left_out = wait;
}
int waits_captured() {
  return last_waits;
}

void set_counting(std::function<void(const Graph&)> take) {
  counting = std::move(take);
}

void set_stream_schedule(const StreamSchedule& wanted) {
  schedule = wanted;
  draws.seed(wanted.seed);
}

}  // namespace dpll::emulation
