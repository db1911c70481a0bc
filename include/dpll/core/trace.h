// Names what the program is doing: the phases of a step and the layers within them. Somebody may listen, one
// sink at a time: a profile that takes times (tools/bench/profile.h), or NVIDIA's tools (NVTX ranges, from
// make_gpu_backend). Where nobody does, a range costs one comparison. Ranges nest, and all of them are opened
// and closed by the thread that trains.
#pragma once

namespace dpll::trace {

class Sink {
 public:
  virtual ~Sink() = default;
  // `name` lives as long as whoever opens the range: a sink that keeps it keeps a copy.
  virtual void begin(const char* name) = 0;
  virtual void end() = 0;  // of the range that was begun last
};

inline Sink* sink = nullptr;

class Range {
 public:
  explicit Range(const char* name) : open_(sink) {
    if (open_ != nullptr) open_->begin(name);
  }
  ~Range() {
    if (open_ != nullptr) open_->end();
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  Sink* open_;
};

// Ranges one after the other, such as the layers of a forward pass: each ends where the next begins, the last
// one with the object.
class Sequence {
 public:
  Sequence() = default;
  ~Sequence() { end(); }
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  void next(const char* name) {
    end();
    open_ = sink;
    if (open_ != nullptr) open_->begin(name);
  }

 private:
  void end() {
    if (open_ != nullptr) open_->end();
    open_ = nullptr;
  }

  Sink* open_ = nullptr;
};

}  // namespace dpll::trace
