// A GPU that fails at a chosen one of its calls, for runs that are to lose nothing by it (tools/faults).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "backend/cuda/runtime.h"
#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct GpuFault {
  enum class Kind {
    none,
    lost,       // from that call on every one fails, as after an illegal address
    refused,    // that call alone fails
    no_memory,  // that allocation, and all after it, get nothing
  };
  Kind kind = Kind::none;
  int call = 0;  // counted from 1; of no_memory: allocations alone

  // "lost@17", "refused@3" or "memory@2".
  static GpuFault parse(const std::string& text) {
    const std::size_t at = text.find('@');
    if (at == std::string::npos) return {};
    const std::string kind = text.substr(0, at);
    return {.kind = kind == "lost"      ? Kind::lost
                    : kind == "refused" ? Kind::refused
                                        : Kind::no_memory,
            .call = std::stoi(text.substr(at + 1))};
  }
};

class FaultyRuntime final : public Runtime {
 public:
  FaultyRuntime(std::unique_ptr<Runtime> inner, const GpuFault& fault)
      : inner_(std::move(inner)), fault_(fault) {}

  std::string description() const override { return inner_->description(); }
  bool host_addressable() const override { return inner_->host_addressable(); }
  Stream stream() const override { return inner_->stream(); }
  Stream side_stream() const override { return inner_->side_stream(); }
  Stream ranks_stream() const override { return inner_->ranks_stream(); }
  void abandon() noexcept override { inner_->abandon(); }
  void wait_by(WaitUntil wait) override { inner_->wait_by(std::move(wait)); }
  int mark(Stream stream) override { return inner_->mark(stream); }
  void wait(Stream later, int mark) override { inner_->wait(later, mark); }
  void* allocate(std::size_t bytes) override {
    call("taking memory");
    const bool none = fault_.kind == GpuFault::Kind::no_memory && ++allocations_ >= fault_.call;
    return none ? nullptr : inner_->allocate(bytes);
  }
  void release(void* data) noexcept override { inner_->release(data); }
  std::size_t free_bytes() const override { return inner_->free_bytes(); }
  void copy_in(void* to, const void* from_host, std::size_t bytes) override {
    call("copying to the GPU");
    inner_->copy_in(to, from_host, bytes);
  }
  void copy_out(void* to_host, const void* from, std::size_t bytes) override {
    call("copying from the GPU");
    inner_->copy_out(to_host, from, bytes);
  }
  void fill_zero(void* data, std::size_t bytes) override {
    call("clearing memory");
    inner_->fill_zero(data, bytes);
  }
  void fill_ones(void* data, std::size_t bytes) override {
    call("filling memory");
    inner_->fill_ones(data, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    call("copying");
    inner_->copy(to, from, bytes);
  }
  void synchronize() override {
    call("waiting for its work");
    inner_->synchronize();
  }
  std::unique_ptr<Readback> make_readback(std::size_t bytes) override {
    call("taking page-locked memory");
    return std::make_unique<FaultyReadback>(*this, inner_->make_readback(bytes));
  }
  std::function<void()> record(const std::function<void()>& sequence) override {
    call("capturing a step");
    return [this, replay = inner_->record(sequence)] {
      call("starting a step");
      replay();
    };
  }
  double milliseconds(const std::function<void()>& work) override {
    call("timing");
    return inner_->milliseconds(work);
  }

 private:
  class FaultyReadback final : public Readback {
   public:
    FaultyReadback(FaultyRuntime& runtime, std::unique_ptr<Readback> inner)
        : runtime_(runtime), inner_(std::move(inner)) {}
    void start(const Tensor& from) override {
      runtime_.call("copying from the GPU");
      inner_->start(from);
    }
    const void* wait() override {
      runtime_.call("waiting for its work");
      return inner_->wait();
    }

   private:
    FaultyRuntime& runtime_;
    std::unique_ptr<Readback> inner_;
  };

  void call(const char* what) {
    ++calls_;
    const std::string text = fmt::format(
        "the GPU failed at {}: unspecified launch failure (checkpoints written so far are complete)", what);
    if (fault_.kind == GpuFault::Kind::lost && calls_ >= fault_.call) {
      throw ContextLost(ExitCode::device, text);
    }
    if (fault_.kind == GpuFault::Kind::refused && calls_ == fault_.call) fail(ExitCode::device, "{}", text);
  }

  std::unique_ptr<Runtime> inner_;
  GpuFault fault_;
  int calls_ = 0, allocations_ = 0;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
