// A Backend owns memory on one device and creates the operations of dpll/ops/ for it. There are three: the
// CPU backend (float32, OpenMP, own convolutions and those of oneDNN), the reference backend (float64, plain
// loops, for gradient checks and comparisons), and the CUDA backend in src/backend/cuda and kernels/. A
// missing operation is a compile error.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dpll/core/tensor.h"
#include "dpll/ops/advance.h"
#include "dpll/ops/augment.h"
#include "dpll/ops/bn_relu_pool.h"
#include "dpll/ops/feature_views.h"
#include "dpll/ops/linear.h"
#include "dpll/ops/pll_objective.h"
#include "dpll/ops/preact_conv.h"
#include "dpll/ops/sgd.h"

namespace dpll {

class Backend;

// Owns one zero-filled, 64-byte aligned block of backend memory. Move-only.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Backend* backend, void* data, std::size_t bytes) : backend_(backend), data_(data), bytes_(bytes) {}
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  // A view of the first bytes of the block.
  Tensor tensor(DType dtype, const Shape& shape) const;

 private:
  Backend* backend_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// Copies the results of an earlier part of the stream to the host while the host continues to work.
class Readback {
 public:
  virtual ~Readback() = default;
  // Enqueues the copy of `from`, which is in backend memory. Call wait() for the previous copy first.
  virtual void start(const Tensor& from) = 0;
  // Waits for the copy. Valid until the next start().
  virtual const void* wait() = 0;
};

enum class ConvWeightLayout { oihw, ohwi };

class Backend {
 public:
  virtual ~Backend() = default;
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  virtual std::string name() const = 0;         // "cpu"
  virtual std::string description() const = 0;  // one line: library versions, processor, threads
  virtual DType compute_dtype() const = 0;
  virtual DType master_dtype() const = 0;
  // The type to which the factors of the convolutions' products are rounded.
  virtual DType product_dtype() const { return compute_dtype(); }
  // The type of the weights that convolutions and linear layers read, and of their gradients. It is the
  // compute type if that has 16 bits (the update then writes copies of the master values), else the master
  // type.
  virtual DType weight_dtype() const { return master_dtype(); }
  virtual ConvWeightLayout conv_weight_layout() const = 0;
  // The number of channels that activations, and the parameters that belong to them, have in memory, so that
  // they are whole vectors. Those beyond `channels` are zero and stay zero by arithmetic alone. Forward:
  // weights and biases of 0 make outputs of 0, and so does batch norm with gamma = beta = 0; its deviation is
  // not 0, thanks to kBatchNormEpsilon. Backward: every gradient is a sum of products with such an output or
  // such a weight. Update: where value, gradient and moments are 0, momentum, weight decay, Adam and averages
  // leave them 0.
  virtual int padded_channels(int channels) const { return channels; }
  // The same of images that a convolution reads.
  virtual int image_channels(int channels) const { return channels; }
  virtual bool host_addressable() const = 0;  // may the host dereference its tensors?
  virtual bool is_asynchronous() const = 0;   // do operations return before they are done?
  virtual bool is_gpu() const = 0;
  // The autotuner's choices as text; empty if nothing was tuned. Another run can repeat them.
  virtual std::string tuning_choices() const { return ""; }
  // The number of convolutions and products whose results were compared with sums of the host when they were
  // created.
  virtual int proven_ways() const { return 0; }

  // Error(device) with `what` and the sizes if there is not enough memory.
  Buffer allocate(std::size_t bytes, const std::string& what);
  // The blocks that are allocated now, largest first; blocks with the same name are added up.
  struct MemoryUse {
    std::string what;
    std::size_t bytes = 0;
  };
  std::vector<MemoryUse> memory_use() const;
  std::size_t peak_bytes() const { return peak_bytes_; }  // maximum that was allocated at one time
  // Estimate of the bytes that allocate() could still provide; other programs use memory, too.
  virtual std::size_t available_bytes() const = 0;
  virtual void copy_in(const Tensor& to, const void* from_host) = 0;
  virtual void copy_out(void* to_host, const Tensor& from) = 0;
  // Both tensors are in the backend's memory, have the same number of bytes and do not overlap.
  virtual void copy(const Tensor& to, const Tensor& from) = 0;
  virtual void fill_zero(const Tensor& tensor) = 0;
  virtual void synchronize() = 0;
  // The seconds that the device needs for the work that `work` enqueues; waits until it is done. Measured
  // with the device's clock if it has one, else with the host's clock, from an idle device to an idle device.
  virtual double seconds_of(const std::function<void()>& work);
  // For copies of up to `bytes`. The backend must outlive it.
  virtual std::unique_ptr<Readback> make_readback(std::size_t bytes) = 0;

  // Records a fixed sequence of calls so that it can be replayed: as a CUDA graph, or on the CPU as the
  // sequence itself. The tensors of the calls must stay at their addresses.
  virtual std::function<void()> record(std::function<void()> sequence) = 0;

  // A second queue beside the usual one (SideQueue in ops/common.h). For so many layers a backward pass may
  // go on while the parameters' gradients of a layer are still computed there; 0: there is no second queue.
  virtual int side_layers() const { return 0; }
  // Collective, before operations with a BatchShare are made: finds the other ranks' backends where these
  // work together without the host.
  virtual void meet(Ranks&) {}
  // As Ranks::start_sum(), of gradients in the backend's memory: in the order of the usual queue, behind the
  // second one, beside what comes later.
  virtual std::unique_ptr<Ranks::Sum> start_sum(Ranks& ranks, const Tensor& values);
  // Bytes from which on a sum is worth to be started.
  virtual std::size_t least_sum_bytes() const { return std::size_t{1} << 18; }
  // This rank ends before its time: what it has enqueued must wait for no other.
  virtual void leave_ranks() noexcept {}

  // A place behind all that is in the second queue so far; what is enqueued in the usual one after
  // wait_side(mark) comes behind it. A mark of -1 is no place.
  virtual int mark_side() { return -1; }
  virtual void wait_side(int) {}

  virtual std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec) = 0;
  virtual std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec) = 0;
  virtual std::unique_ptr<Linear> make_linear(const LinearSpec& spec) = 0;
  virtual std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) = 0;
  virtual std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec) = 0;
  virtual std::unique_ptr<Augment> make_augment(const AugmentSpec& spec) = 0;
  virtual std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec) = 0;
  virtual void cross_entropy(const CrossEntropyCall& call) = 0;
  virtual void advance(const AdvanceCall& call) = 0;

 protected:
  // Zero-filled, 64-byte aligned; errors as allocate().
  virtual void* take(std::size_t bytes, const std::string& what) = 0;
  virtual void release(void* data) noexcept = 0;
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  friend class Buffer;
  void give_back(void* data) noexcept;

  std::map<void*, MemoryUse> held_;
  std::size_t held_bytes_ = 0, peak_bytes_ = 0;
};

struct CpuOptions {
  int threads = 0;  // 0: all cores this process may use
  // The type to which the factors of the convolutions' products are rounded: f32, or bf16 if the processor
  // can multiply it (all other types fail with ExitCode::device). All values in memory are float32 in both
  // cases.
  DType products = DType::f32;
};
std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options);
// The vector instructions that the loops of the CPU backend use on this processor, for example "AVX2".
std::string cpu_instruction_set();
std::unique_ptr<Backend> make_reference_backend();

}  // namespace dpll
