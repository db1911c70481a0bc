#include "emulation/emulated_backend.h"

#include <array>
#include <cstring>
#include <limits>
#include <map>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/nccl_collectives.h"
#include "backend/cuda/tuner.h"
#include "backend/host_readback.h"
#include "comparison.h"
#include "dpll/core/check.h"
#include "emulation/device_memory.h"
#include "emulation/emulator.h"
#include "emulation/made_up_nccl.h"
#include "emulation/reference_library.h"
#include "emulation/stream.h"
#include "launch_rules.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// Of a GPU that is lost in the middle of its work: nothing is done any more, and whoever waits is told.
struct EmulatedHealth {
  int replays_left = std::numeric_limits<int>::max();
  bool lost() const { return replays_left < 0; }
  void check() const {
    if (lost()) fail(ExitCode::device, "the GPU failed at waiting for its work: unspecified launch failure");
  }
};

class EmulatedReadback final : public Readback {
 public:
  EmulatedReadback(std::size_t bytes, const EmulatedHealth& health) : copy_(bytes), health_(health) {}
  void start(const Tensor& from) override {
    emulation::forbid_in_capture("starting to read back");
    const emulation::DeviceAccess access;
    copy_.start(from);
  }
  const void* wait() override {
    emulation::forbid_in_capture("waiting to read back");
    health_.check();
    return copy_.wait();
  }

 private:
  HostReadback copy_;
  const EmulatedHealth& health_;
};

class EmulatedRuntime final : public Runtime {
 public:
  explicit EmulatedRuntime(std::size_t memory, int replays = std::numeric_limits<int>::max())
      : memory_(memory), health_{replays} {}

  std::string description() const override { return "emulated"; }
  bool host_addressable() const override { return false; }
  Stream stream() const override { return nullptr; }
  Stream side_stream() const override {
    launch_rules.side_stream = &side_stream_;
    return &side_stream_;
  }
  Stream ranks_stream() const override { return &ranks_stream_; }
  int mark(Stream stream) override { return emulation::mark(stream); }
  void wait(Stream later, int mark) override {
    launch_rules.next_waits(later);
    emulation::wait(later, mark);
  }
  void* allocate(std::size_t bytes) override {
    emulation::forbid_in_capture("an allocation");
    const std::size_t rounded = (bytes + 255) / 256 * 256;
    if (rounded > free_bytes()) return nullptr;
    void* const data = emulation::allocate_device_memory(bytes);
    if (data != nullptr) {
      held_[data] = rounded;
      used_ += rounded;
    }
    return data;
  }
  void release(void* data) noexcept override {
    emulation::note_in_capture("a release of memory");
    used_ -= held_.at(data);
    held_.erase(data);
    emulation::release_device_memory(data);
  }
  std::size_t free_bytes() const override { return memory_ - used_; }
  void copy_in(void* to, const void* from_host, std::size_t bytes) override {
    emulation::forbid_in_capture("a copy from the host");
    health_.check();
    const emulation::DeviceAccess access;
    std::memcpy(to, from_host, bytes);
  }
  void copy_out(void* to_host, const void* from, std::size_t bytes) override {
    emulation::forbid_in_capture("a copy to the host");
    health_.check();
    const emulation::DeviceAccess access;
    std::memcpy(to_host, from, bytes);
  }
  void fill_zero(void* data, std::size_t bytes) override {
    launch_rules.next_waits(nullptr);
    emulation::enqueue(nullptr, {.name = "fill_zero", .bytes = static_cast<double>(bytes)},
                       [=] { std::memset(data, 0, bytes); });
  }
  void fill_ones(void* data, std::size_t bytes) override {
    launch_rules.next_waits(nullptr);
    emulation::enqueue(nullptr, {.name = "fill_ones", .bytes = static_cast<double>(bytes)},
                       [=] { std::memset(data, 0xFF, bytes); });
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    launch_rules.next_waits(nullptr);
    emulation::enqueue(nullptr, {.name = "copy", .bytes = static_cast<double>(2 * bytes)},
                       [=] { std::memcpy(to, from, bytes); });
  }
  void synchronize() override {
    emulation::forbid_in_capture("waiting for the device");
    health_.check();
    if (wait_) wait_([] { return true; });
  }
  void wait_by(WaitUntil wait) override { wait_ = std::move(wait); }
  void abandon() noexcept override {}
  std::unique_ptr<Readback> make_readback(std::size_t bytes) override {
    emulation::forbid_in_capture("an allocation");
    return std::make_unique<EmulatedReadback>(bytes, health_);
  }
  std::function<void()> record(const std::function<void()>& sequence) override {
    launch_rules.next_waits(nullptr);
    return [this, replay = emulation::capture(sequence)] {
      health_.replays_left -= health_.lost() ? 0 : 1;
      if (!health_.lost()) replay();
    };
  }
  double milliseconds(const std::function<void()>& work) override {
    emulation::forbid_in_capture("measuring");
    const auto now = [] {
      return emulated_milliseconds() + 1e-6 * static_cast<double>(emulation::counters().threads);
    };
    const double before = now();
    work();
    return now() - before;
  }

 private:
  mutable CUstream_st side_stream_{1}, ranks_stream_{2};
  std::size_t memory_, used_ = 0;
  EmulatedHealth health_;
  WaitUntil wait_;
  std::map<void*, std::size_t> held_;
};

// Addresses without memory behind them: the activations of a large network need more than a test machine has.
class CountingRuntime final : public Runtime {
 public:
  std::string description() const override { return "counting"; }
  bool host_addressable() const override { return false; }
  Stream stream() const override { return nullptr; }
  Stream side_stream() const override {
    launch_rules.side_stream = &side_stream_;
    return &side_stream_;
  }
  Stream ranks_stream() const override { return &ranks_stream_; }
  int mark(Stream stream) override { return emulation::mark(stream); }
  void wait(Stream later, int mark) override {
    launch_rules.next_waits(later);
    emulation::wait(later, mark);
  }
  void* allocate(std::size_t bytes) override {
    void* const data = reinterpret_cast<void*>(next_);
    next_ += (bytes + 255) / 256 * 256;
    return data;
  }
  void release(void*) noexcept override {}
  std::size_t free_bytes() const override { return std::size_t{1} << 40; }
  void copy_in(void*, const void*, std::size_t) override {}
  void copy_out(void* to_host, const void*, std::size_t bytes) override { std::memset(to_host, 0, bytes); }
  void fill_zero(void*, std::size_t bytes) override { fill("fill_zero", bytes); }
  void fill_ones(void*, std::size_t bytes) override { fill("fill_ones", bytes); }
  void copy(void*, const void*, std::size_t bytes) override { fill("copy", 2 * bytes); }
  void synchronize() override {}
  void wait_by(WaitUntil) override {}
  void abandon() noexcept override {}
  std::unique_ptr<Readback> make_readback(std::size_t) override { return nullptr; }
  std::function<void()> record(const std::function<void()>& sequence) override {
    launch_rules.next_waits(nullptr);
    return emulation::capture(sequence);
  }
  double milliseconds(const std::function<void()>&) override { return 0; }

 private:
  static void fill(const char* name, std::size_t bytes) {
    launch_rules.next_waits(nullptr);
    emulation::enqueue(nullptr, {.name = name, .bytes = static_cast<double>(bytes)}, [] {});
  }

  mutable CUstream_st side_stream_{1}, ranks_stream_{2};
  std::uintptr_t next_ = 1 << 20;
};

}  // namespace

std::unique_ptr<Backend> make_counting_backend(DType compute) {
  return make_backend(std::make_unique<CountingRuntime>(), make_reference_library({LoopOffer{}}), compute, {},
                      [](Ranks& ranks) { return make_emulated_collectives(ranks, kLeastSumBytes); });
}

std::unique_ptr<Runtime> make_emulated_runtime(std::size_t memory) {
  return std::make_unique<EmulatedRuntime>(memory);
}

std::unique_ptr<Backend> make_emulated_backend(DType compute, std::size_t memory) {
  return make_backend(make_emulated_runtime(memory), make_reference_library({LoopOffer{}}), compute, {},
                      [](Ranks& ranks) { return make_emulated_collectives(ranks); });
}

std::unique_ptr<Backend> make_tensor_core_backend(DType compute, std::size_t memory) {
  return make_backend(make_emulated_runtime(memory),
                      make_reference_library({LoopOffer{.behaviour = Behaviour::tensor_cores}}), compute, {});
}

std::unique_ptr<Backend> make_forced_backend(DType compute, const std::string& way) {
  return make_backend(make_emulated_runtime(), make_reference_library({LoopOffer{}}), compute,
                      {.forced = way}, [](Ranks& ranks) { return make_emulated_collectives(ranks); });
}

std::int64_t count_differences(const std::vector<float>& got, const std::vector<float>& want) {
  const std::unique_ptr<Runtime> runtime = make_emulated_runtime();
  const std::size_t bytes = got.size() * sizeof(float);
  std::array<Difference, kMostDifferences> parts;
  const ScratchMemory left(*runtime, bytes), right(*runtime, bytes), found(*runtime, sizeof parts);
  runtime->copy_in(left.data(), got.data(), bytes);
  runtime->copy_in(right.data(), want.data(), bytes);
  const int count = compare(static_cast<Difference*>(found.data()), left.data(), right.data(), DType::f32,
                            static_cast<std::int64_t>(got.size()), 0, 0, runtime->stream());
  runtime->copy_out(parts.data(), found.data(), sizeof parts);
  return merge_differences(parts.data(), count).beyond;
}

std::unique_ptr<Backend> make_failing_backend(DType compute, int replays) {
  return make_backend(std::make_unique<EmulatedRuntime>(std::size_t{1} << 30, replays),
                      make_reference_library({LoopOffer{}}), compute, {});
}

int fused_passes_run() {
  return fused_runs();
}

std::unique_ptr<Backend> make_tuned_backend(DType compute, emulated_cuda::FusedLoops fused,
                                            const std::function<void(const std::string&)>& warn) {
  const LoopOffer offer = {.fused_milliseconds = 0.1,
                           .fused_behaviour = fused == emulated_cuda::FusedLoops::wrong ? Behaviour::wrong
                                              : fused == emulated_cuda::FusedLoops::sums_in_order
                                                  ? Behaviour::sums_in_order
                                                  : Behaviour::right};
  return make_backend(make_emulated_runtime(), make_reference_library({offer}), compute,
                      {.enabled = true, .timed_runs = 1, .warn = warn});
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
