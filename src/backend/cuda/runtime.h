// What the CUDA backend needs of the machine: memory, copies, a stream, graphs. The real one calls the CUDA
// runtime; the emulator's runs everything at once, in memory that the host cannot touch either.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "dpll/backend.h"
#include "dpll/core/check.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// The GPU's context has ended, by an illegal address or a lost GPU: whatever this process does next on it
// fails too, and is not to blame.
class ContextLost : public Error {
 public:
  using Error::Error;
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual std::string description() const = 0;  // "NVIDIA H100 80GB HBM3, sm_90, CUDA 13.0"
  virtual bool host_addressable() const = 0;
  virtual Stream stream() const = 0;  // the work of the backend goes through it
  // For work that nothing on the main stream needs soon. A sequence that is recorded may use it once it has
  // been ordered behind the main stream, which must be ordered behind it again before the sequence ends.
  virtual Stream side_stream() const = 0;
  // For what ranks do together and nothing on the main stream needs soon; used as the side stream is.
  virtual Stream ranks_stream() const = 0;
  // A place in a stream, behind all that is on it so far. At most kMarks that were made last can be waited
  // for.
  static constexpr int kMarks = 64;
  virtual int mark(Stream stream) = 0;
  // What is enqueued on `later` from now on begins when all that is before the mark is done.
  virtual void wait(Stream later, int mark) = 0;
  void order(Stream later, Stream first) { wait(later, mark(first)); }

  // 256-byte aligned, or null where there is not enough.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* data) noexcept = 0;
  virtual std::size_t free_bytes() const = 0;

  // In the order of the main stream. Copies return when the host's side is done with.
  virtual void copy_in(void* to, const void* from_host, std::size_t bytes) = 0;
  virtual void copy_out(void* to_host, const void* from, std::size_t bytes) = 0;
  virtual void fill_zero(void* data, std::size_t bytes) = 0;
  // Every bit is 1: NaN in each floating-point type.
  virtual void fill_ones(void* data, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;  // within the GPU's memory
  virtual void synchronize() = 0;
  // From now on the host waits for the GPU by this function, which returns when `done` is true and may throw
  // before: where work of this GPU waits for other ranks it may never be done.
  using WaitUntil = std::function<void(const std::function<bool()>& done)>;
  virtual void wait_by(WaitUntil wait) = 0;
  // The process is about to end, and work that has been enqueued may never be done: from now on nothing waits
  // for it, and memory and graphs are not given back.
  virtual void abandon() noexcept = 0;
  virtual std::unique_ptr<Readback> make_readback(std::size_t bytes) = 0;

  // Captures what `sequence` enqueues and returns its replay.
  virtual std::function<void()> record(const std::function<void()>& sequence) = 0;

  // How long the GPU works on what `work` enqueues. Waits for it.
  virtual double milliseconds(const std::function<void()>& work) = 0;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
