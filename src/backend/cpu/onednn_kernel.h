// How a oneDNN primitive is made and run: what convolutions (onednn_convolution.cpp) and products
// (onednn.cpp) share. Only they include this.
#pragma once

#include <fmt/format.h>
#include <omp.h>

#include <array>
#include <atomic>
#include <dnnl.hpp>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dpll/core/check.h"

namespace dpll::cpu::detail {

using Descriptor = dnnl::memory::desc;
using Format = dnnl::memory::format_tag;

inline const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

using Type = dnnl::memory::data_type;

inline Descriptor describe(const dnnl::memory::dims& dims, Format format, Type type = Type::f32) {
  return {dims, type, format};
}

// Scratch memory comes from the caller.
inline dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// A primitive cuts its work for as many threads as OpenMP would use when its descriptor is made. The
// primitive itself must be made with the same number, by which oneDNN's cache of primitives tells equal ones
// apart.
template <typename Make>
auto for_one_thread(const Make& make) {
  struct Restore {
    int threads = omp_get_max_threads();
    ~Restore() { omp_set_num_threads(threads); }
  } const restore;
  omp_set_num_threads(1);
  return make();
}

// Memory that the machine lacks is the user's affair; anything else that oneDNN refuses is ours.
[[noreturn]] inline void fail_with(int status, const std::string& what, const std::string& why) {
  fail(status == dnnl_out_of_memory ? ExitCode::device : ExitCode::internal, "oneDNN: {}: {} (status {})",
       what, why, status);
}

template <typename Make>
auto guarded(const std::string& what, const Make& make) {
  try {
    return make();
  } catch (const dnnl::error& e) {
    fail_with(e.status, what, e.what());
  }
}

// What an operand is to oneDNN (DNNL_ARG_...) and how it lies in memory.
struct Operand {
  int argument;
  Descriptor layout;
};

class Kernel {
 public:
  // primitive_descriptor: a dnnl::...::primitive_desc.
  template <typename PrimitiveDescriptor>
  Kernel(std::string what, const dnnl::primitive& primitive, const PrimitiveDescriptor& primitive_descriptor,
         const std::vector<Operand>& operands, int lanes)
      : what_(std::move(what)), primitive_(primitive), lanes_(static_cast<std::size_t>(lanes)) {
    const Descriptor scratch = primitive_descriptor.scratchpad_desc();
    scratch_bytes_ = scratch.get_size();
    implementation_ = primitive_descriptor.impl_info_str();
    DPLL_CHECK(operands.size() <= kMaxOperands, "{} has {} operands", what_, operands.size());
    for (Lane& lane : lanes_) {
      lane.stream = dnnl::stream(engine());
      for (const Operand& operand : operands) lane.add(operand.argument, operand.layout);
      if (scratch_bytes_ > 0) lane.add(DNNL_ARG_SCRATCHPAD, scratch);
    }
  }

  std::size_t scratch_bytes() const { return scratch_bytes_; }
  const std::string& implementation() const { return implementation_; }

  // Operands in the order of the constructor.
  void run(int lane_index, std::initializer_list<const void*> operands, void* scratch) noexcept {
    Lane& lane = lanes_[static_cast<std::size_t>(lane_index)];
    std::size_t i = 0;
    for (const void* operand : operands) note(lane.bind(i++, operand));
    if (scratch_bytes_ > 0) note(lane.bind(i++, scratch));
    note(dnnl_primitive_execute(primitive_.get(), lane.stream.get(), static_cast<int>(i),
                                lane.arguments.data()));
  }

  void check() const {
    const int status = status_.load(std::memory_order_relaxed);
    if (status != dnnl_success) fail_with(status, what_, "could not be run");
  }

 private:
  static constexpr std::size_t kMaxOperands = 4;

  struct Lane {
    void add(int argument, const Descriptor& layout) {
      memories.emplace_back(layout, engine(), nullptr);
      arguments[memories.size() - 1] = {argument, memories.back().get()};
      bound[memories.size() - 1] = nullptr;
    }
    // oneDNN 2.x writes the padding of a padded layout whenever its address is set, so it is set only when it
    // has changed; the padding that others read is written by the reorder that fills the tensor.
    dnnl_status_t bind(std::size_t i, const void* data) {
      if (bound[i] == data) return dnnl_success;
      bound[i] = data;
      return dnnl_memory_set_data_handle(memories[i].get(), const_cast<void*>(data));
    }

    dnnl::stream stream;
    std::vector<dnnl::memory> memories;
    std::array<dnnl_exec_arg_t, kMaxOperands + 1> arguments{};
    std::array<const void*, kMaxOperands + 1> bound{};
  };

  void note(dnnl_status_t status) noexcept {
    if (status != dnnl_success) status_.store(status, std::memory_order_relaxed);
  }

  std::string what_;
  dnnl::primitive primitive_;
  std::vector<Lane> lanes_;
  std::size_t scratch_bytes_ = 0;
  std::string implementation_;
  std::atomic<int> status_{dnnl_success};
};

template <typename Primitive, typename PrimitiveDescriptor>
std::unique_ptr<Kernel> make_kernel(const std::string& what, const PrimitiveDescriptor& descriptor,
                                    const std::vector<detail::Operand>& operands, int lanes) {
  return std::make_unique<Kernel>(what, Primitive(descriptor), descriptor, operands, lanes);
}

}  // namespace dpll::cpu::detail
