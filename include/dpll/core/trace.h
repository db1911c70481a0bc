// Names the parts of the program's work: the phases of a step and the layers in them. One sink at a time may
// receive these ranges: a profile that measures times (tools/bench/profile.h), or NVIDIA's tools (NVTX
// ranges, from make_gpu_backend). Without a sink a range costs one comparison. Ranges may be nested; only the
// training thread opens and closes them.
#pragma once

namespace dpll::trace {

class Sink {
 public:
  virtual ~Sink() = default;
  // `name` may become invalid when the range ends; a sink that needs it later stores a copy.
  virtual void begin(const char* name) = 0;
  virtual void end() = 0;  // ends the range that was begun last
};

inline thread_local Sink* sink = nullptr;

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

// Consecutive ranges, such as the layers of a forward pass. Each ends where the next begins; the last one
// ends with the object.
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
