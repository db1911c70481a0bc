#include "emulation/emulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <boost/context/preallocated.hpp>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "emulation/device_memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define DPLL_POISON(begin, bytes) __asan_poison_memory_region(begin, bytes)
#define DPLL_UNPOISON(begin, bytes) __asan_unpoison_memory_region(begin, bytes)
#else
#define DPLL_POISON(begin, bytes) static_cast<void>(begin)
#define DPLL_UNPOISON(begin, bytes) static_cast<void>(begin)
#endif

namespace dpll::emulation {
namespace {

namespace context = boost::context;

constexpr unsigned kWarp = 32, kMaxThreads = 1024;
constexpr std::size_t kStackBytes = std::size_t{1} << 18;
// Of sm_86, 89 and 120, which have the least.
constexpr std::size_t kUnaskedLimit = 48 * 1024, kSharedLimit = 99 * 1024;
constexpr std::size_t kGap = 64;  // between shared arrays
constexpr unsigned char kGapByte = 0xA7;

enum class State { ready, at_block_barrier, at_warp_operation, done };

// Thrown inside fibers to leave a block in which a fault was found.
struct Abandon {};

std::string text(const std::source_location& where) {
  const std::string file = where.file_name();
  return fmt::format("{}:{}", file.substr(file.rfind('/') + 1), where.line());
}

struct Thread {
  ThreadPlace place;
  context::fiber fiber;
  context::fiber back;  // to the scheduler
  State state = State::done;
  std::source_location where;
  std::uint64_t handed_in[2] = {};  // by parity of the warp operation: a fast lane may already be at the next
  unsigned operations = 0;
  bool fenced = false, waited = false;
  void* fake_stack = nullptr;
};

struct SharedArray {
  std::source_location where;
  std::size_t begin, bytes;
};

class Emulator {
 public:
  Emulator() : stacks_(new unsigned char[kStackBytes * kMaxThreads]), threads_(kMaxThreads) {}

  void set_schedule(std::uint64_t seed) {
    seed_ = seed;
    random_.seed(seed);
  }

  void run(const Launch& launch, const std::function<void()>& kernel) {
    const std::uint64_t blocks =
        std::uint64_t{launch.blocks.x} * launch.blocks.y * std::uint64_t{launch.blocks.z};
    if (launch.threads == 0 || launch.threads > kMaxThreads || launch.threads % kWarp != 0 || blocks == 0 ||
        launch.blocks.y > 65535 || launch.blocks.z > 65535) {
      throw EmulationFault(fmt::format("{}: {} x {} x {} blocks of {} threads", launch.kernel,
                                       launch.blocks.x, launch.blocks.y, launch.blocks.z, launch.threads));
    }
    launch_ = &launch;
    kernel_ = &kernel;
    if (launch.must_wait) hidden_.emplace();
    const struct Shown {
      std::optional<HiddenMemory>& hidden;
      ~Shown() { hidden.reset(); }
    } shown{hidden_};
    ++counters_.launches;
    std::vector<std::uint64_t> order(blocks);
    for (std::uint64_t i = 0; i < blocks; ++i) {
      order[i] = i;
      if (seed_ != 0) std::swap(order[i], order[random_() % (i + 1)]);
    }
    for (const std::uint64_t block : order) run_block(block);
  }

  void block_barrier(const std::source_location& where) {
    current_->where = where;
    pause(State::at_block_barrier);
  }

  std::uint64_t exchange(std::uint64_t value, int lane, const std::source_location& where) {
    const unsigned parity = current_->operations++ % 2;
    current_->handed_in[parity] = value;
    current_->where = where;
    const unsigned warp = current_->place.thread.x / kWarp * kWarp;
    pause(State::at_warp_operation);
    return threads_[warp + static_cast<unsigned>(lane) % kWarp].handed_in[parity];
  }

  void wait_for_previous_kernel() {
    current_->waited = true;
    hidden_.reset();
  }
  void fence() { current_->fenced = true; }
  void require_fences(const std::source_location& where) {
    for (unsigned i = 0; i < launch_->threads; ++i) {
      if (threads_[i].fenced) continue;
      fault(fmt::format("{}: the block counts itself as done, thread {} has had no fence", text(where), i));
      throw Abandon{};
    }
  }

  void* shared_array(std::size_t bytes, const std::source_location& where) {
    for (const SharedArray& array : arrays_) {
      if (array.where.line() == where.line() && array.where.file_name() == where.file_name() &&
          array.where.column() == where.column()) {
        return shared_.data() + array.begin;
      }
    }
    const std::size_t begin = (used_ + kGap + 15) / 16 * 16;
    static_bytes_ += (bytes + 15) / 16 * 16;
    const std::size_t limit = launch_->asked ? kSharedLimit : kUnaskedLimit;
    if (static_bytes_ > kUnaskedLimit || static_bytes_ + launch_->shared_bytes > limit) {
      fault(fmt::format("{}: more shared memory than a block has", text(where)));
      throw Abandon{};
    }
    arrays_.push_back({where, begin, bytes});
    used_ = begin + bytes;
    DPLL_UNPOISON(shared_.data() + begin, bytes);
    std::memset(shared_.data() + begin, 0xFF, bytes);
    return shared_.data() + begin;
  }

  void* dynamic_shared() { return shared_.data() + kGap; }
  const ThreadPlace& place() const { return current_->place; }
  Counters counters() const { return counters_; }

 private:
  void run_block(std::uint64_t number) {
    ++counters_.blocks;
    counters_.threads += launch_->threads;
    prepare_shared();
    fault_.clear();
    abandoned_ = false;
    live_ = launch_->threads;
    ready_.clear();
    const Index block(static_cast<unsigned>(number % launch_->blocks.x),
                      static_cast<unsigned>(number / launch_->blocks.x % launch_->blocks.y),
                      static_cast<unsigned>(number / launch_->blocks.x / launch_->blocks.y));
    for (unsigned i = 0; i < launch_->threads; ++i) begin_thread(i, block);
    while (live_ > 0) {
      if (ready_.empty()) release_block(block);
      const std::size_t pick = seed_ == 0 ? 0 : random_() % ready_.size();
      const unsigned index = ready_[pick];
      if (seed_ == 0) {
        ready_.erase(ready_.begin());
      } else {
        ready_[pick] = ready_.back();
        ready_.pop_back();
      }
      resume(threads_[index]);
      if (threads_[index].state == State::done) {
        --live_;
        if (launch_->must_wait && !threads_[index].waited && !abandoned_)
          stop(fmt::format("thread {} has not waited for the kernel before", index));
      }
      if (threads_[index].state == State::at_warp_operation) release_warp(index / kWarp * kWarp);
    }
    if (fault_.empty()) check_gaps();
    DPLL_UNPOISON(shared_.data(), shared_.size());
    if (!fault_.empty()) {
      throw EmulationFault(fmt::format("kernel {}, block ({}, {}, {}): {}", launch_->kernel, block.x, block.y,
                                       block.z, fault_));
    }
  }

  // Gaps everywhere, but for the dynamic shared memory.
  void prepare_shared() {
    if (launch_->shared_bytes > (launch_->asked ? kSharedLimit : kUnaskedLimit)) {
      throw EmulationFault(
          fmt::format("{}: {} bytes of shared memory", launch_->kernel, launch_->shared_bytes));
    }
    if (shared_.empty()) shared_.assign(kSharedLimit + 64 * kGap, kGapByte);
    const std::size_t written = used_;  // by the block before
    used_ = kGap + launch_->shared_bytes;
    std::memset(shared_.data(), kGapByte, std::min(shared_.size(), std::max(written, used_) + 2 * kGap));
    std::memset(shared_.data() + kGap, 0xFF, launch_->shared_bytes);
    arrays_.clear();
    static_bytes_ = 0;
    DPLL_POISON(shared_.data(), kGap);
    DPLL_POISON(shared_.data() + used_, shared_.size() - used_);
  }

  // Without AddressSanitizer a write between arrays shows here.
  void check_gaps() {
    DPLL_UNPOISON(shared_.data(), shared_.size());
    std::vector<bool> inside(shared_.size(), false);
    const auto mark = [&](std::size_t begin, std::size_t bytes) {
      for (std::size_t i = 0; i < bytes; ++i) inside[begin + i] = true;
    };
    mark(kGap, launch_->shared_bytes);
    for (const SharedArray& array : arrays_) mark(array.begin, array.bytes);
    for (std::size_t i = 0; i < std::min(shared_.size(), used_ + 2 * kGap); ++i) {
      if (!inside[i] && shared_[i] != kGapByte) {
        fault("a write beside its shared arrays");
        return;
      }
    }
  }

  void begin_thread(unsigned i, const Index& block) {
    Thread& thread = threads_[i];
    thread.place = {Index(i, 0, 0), block, Index(launch_->threads), launch_->blocks};
    thread.operations = 0;
    thread.fenced = thread.waited = false;
    thread.fake_stack = nullptr;
    thread.state = State::ready;
    ready_.push_back(i);
    unsigned char* stack = stacks_.get() + i * kStackBytes;
    thread.fiber =
        context::fiber(std::allocator_arg, context::preallocated(stack + kStackBytes, kStackBytes, {}),
                       NoAllocator{}, [this, &thread](context::fiber&& back) {
                         arrived(nullptr);
                         thread.back = std::move(back);
                         try {
                           (*kernel_)();
                         } catch (const Abandon&) {
                         }
                         thread.state = State::done;
                         leaving(nullptr);
                         return std::move(thread.back);
                       });
  }

  void resume(Thread& thread) {
    current_ = &thread;
    thread.state = State::ready;
#if defined(__SANITIZE_ADDRESS__)
    const auto i = static_cast<std::size_t>(&thread - threads_.data());
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stacks_.get() + i * kStackBytes, kStackBytes);
    thread.fiber = std::move(thread.fiber).resume();
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
    thread.fiber = std::move(thread.fiber).resume();
#endif
    current_ = nullptr;
  }

  // From a fiber back to the scheduler, until it is resumed.
  void pause(State state) {
    Thread& thread = *current_;
    thread.state = state;
    leaving(&thread.fake_stack);
    thread.back = std::move(thread.back).resume();
    arrived(thread.fake_stack);
    if (abandoned_) throw Abandon{};
  }

  void arrived([[maybe_unused]] void* fake_stack) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack, &scheduler_stack_, &scheduler_stack_bytes_);
#endif
  }
  void leaving([[maybe_unused]] void** fake_stack) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fake_stack, scheduler_stack_, scheduler_stack_bytes_);
#endif
  }

  static bool same_place(const std::source_location& a, const std::source_location& b) {
    return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
  }

  void release_warp(unsigned first) {
    for (unsigned i = first; i < first + kWarp; ++i) {
      if (threads_[i].state != State::at_warp_operation) return;
    }
    for (unsigned i = first + 1; i < first + kWarp; ++i) {
      if (same_place(threads_[i].where, threads_[first].where)) continue;
      return stop(fmt::format("lanes of warp {} meet at {} and at {}", first / kWarp,
                              text(threads_[first].where), text(threads_[i].where)));
    }
    for (unsigned i = first; i < first + kWarp; ++i) make_ready(i);
  }

  // Nobody can run: all wait at one barrier, or the kernel is wrong.
  void release_block(const Index&) {
    const Thread& first = threads_[0];
    for (unsigned i = 0; i < launch_->threads; ++i) {
      const Thread& thread = threads_[i];
      if (thread.state == State::at_block_barrier && first.state == State::at_block_barrier &&
          same_place(thread.where, first.where)) {
        continue;
      }
      const auto describe = [](const Thread& t) {
        return t.state == State::done               ? std::string("has finished")
               : t.state == State::at_block_barrier ? "waits at the barrier of " + text(t.where)
                                                    : "waits at the warp operation of " + text(t.where);
      };
      return stop(fmt::format("thread {} {}, thread 0 {}", i, describe(thread), describe(first)));
    }
    ++counters_.barriers;
    for (unsigned i = 0; i < launch_->threads; ++i) make_ready(i);
  }

  void make_ready(unsigned i) {
    threads_[i].state = State::ready;
    ready_.push_back(i);
  }

  void fault(const std::string& what) {
    if (fault_.empty()) fault_ = what;
    abandoned_ = true;
  }
  // Lets every thread leave by an exception.
  void stop(const std::string& what) {
    fault(what);
    ready_.clear();
    for (unsigned i = 0; i < launch_->threads; ++i) {
      if (threads_[i].state != State::done) make_ready(i);
    }
  }

  struct NoAllocator {
    using traits_type = context::stack_traits;
    context::stack_context allocate() { return {}; }
    void deallocate(context::stack_context&) noexcept {}
  };

  std::uint64_t seed_ = 0;
  std::mt19937_64 random_;
  std::unique_ptr<unsigned char[]> stacks_;
  std::vector<Thread> threads_;
  std::vector<unsigned> ready_;
  const Launch* launch_ = nullptr;
  const std::function<void()>* kernel_ = nullptr;
  Thread* current_ = nullptr;
  std::optional<HiddenMemory> hidden_;  // until a thread of the launch has waited
  unsigned live_ = 0;
  bool abandoned_ = false;
  std::string fault_;
  std::vector<unsigned char> shared_;
  std::vector<SharedArray> arrays_;
  std::size_t used_ = 0, static_bytes_ = 0;
  [[maybe_unused]] const void* scheduler_stack_ = nullptr;
  [[maybe_unused]] std::size_t scheduler_stack_bytes_ = 0;
  Counters counters_;
};

Emulator& emulator() {
  thread_local Emulator instance;
  return instance;
}

}  // namespace

void set_schedule(std::uint64_t seed) {
  emulator().set_schedule(seed);
}
void run(const Launch& launch, const std::function<void()>& kernel) {
  emulator().run(launch, kernel);
}
Counters counters() {
  return emulator().counters();
}
const ThreadPlace& place() {
  return emulator().place();
}
void wait_for_previous_kernel() {
  emulator().wait_for_previous_kernel();
}
void fence() {
  emulator().fence();
}
void require_fences(const std::source_location& where) {
  emulator().require_fences(where);
}
void block_barrier(const std::source_location& where) {
  emulator().block_barrier(where);
}
std::uint64_t exchange(std::uint64_t value, int lane, const std::source_location& where) {
  return emulator().exchange(value, lane, where);
}
void warp_barrier(const std::source_location& where) {
  emulator().exchange(0, 0, where);
}
void* shared_array(std::size_t bytes, const std::source_location& where) {
  return emulator().shared_array(bytes, where);
}
void* dynamic_shared() {
  return emulator().dynamic_shared();
}

}  // namespace dpll::emulation
