// The CUDA runtime behind backend/cuda/runtime.h.
#include "backend/cuda/gpu/runtime.h"

#include <cuda_runtime_api.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>

#include "dpll/core/check.h"
#include "launch_rules.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

namespace {

constexpr int kOldest = 80;  // sm_80, Ampere

// Errors after which a context refuses everything. All others concern one call.
bool ends_context(cudaError_t error) {
  switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
      return true;
    default:
      return false;
  }
}

// The runtime keeps an error until somebody asks for it: taken back here, or the next launch would be blamed
// for it.
[[noreturn]] void throw_error(cudaError_t error, const std::string& text) {
  cudaGetLastError();
  if (ends_context(error)) throw ContextLost(ExitCode::device, text);
  throw Error(ExitCode::device, text);
}

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw_error(error, fmt::format("the GPU failed at {}: {} (checkpoints written so far are complete)", what,
                                 cudaGetErrorString(error)));
}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// Error(device) where there is no driver or no GPU.
int count_gpus() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  fail(ExitCode::device,
       "no usable NVIDIA GPU: {} (driver for CUDA {}, this program needs {}); device = cpu works",
       error == cudaSuccess ? "none is there" : cudaGetErrorString(error),
       driver == 0 ? "none" : version_text(driver), version_text(runtime));
}

// Error(device) where there is no such GPU, or one that is too old. Makes a context.
cudaDeviceProp select_gpu(int device) {
  const int count = count_gpus();
  if (device < 0 || device >= count) {
    fail(ExitCode::device, "device = cuda:{}: there {} {} GPU{}, counted from 0", device,
         count == 1 ? "is" : "are", count, count == 1 ? "" : "s");
  }
  check(cudaSetDevice(device), "selecting it");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "asking for its properties");
  if (properties.major * 10 + properties.minor < kOldest) {
    fail(ExitCode::device, "device = cuda: {} is sm_{}{}, sm_{} is the oldest that is supported",
         properties.name, properties.major, properties.minor, kOldest);
  }
  return properties;
}

// "GPU-8f2c...": as nvidia-smi prints it; CUDA gives a MIG slice's own.
std::string text_of(const cudaUUID_t& uuid) {
  std::string text;
  for (const char byte : uuid.bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

// The kernel's driver: a new one of the same CUDA version may compile kernels differently.
std::string kernel_driver() {
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;) {
    if (word.find_first_not_of("0123456789.") == std::string::npos && word.find('.') != std::string::npos)
      return word;
  }
  return "unknown";
}

// For measurements: where DPLL_GRAPHS names a folder, every graph is written there as text that says which
// kernels it launches. Training does not depend on it, so that what fails is taken back.
void write_graph(cudaGraph_t graph) {
  const char* const folder = std::getenv("DPLL_GRAPHS");
  if (folder == nullptr || *folder == '\0') return;
  static std::atomic<int> written = 0;
  const std::string path = fmt::format("{}/graph-{}.dot", folder, ++written);
  if (cudaGraphDebugDotPrint(graph, path.c_str(), cudaGraphDebugDotFlagsVerbose) != cudaSuccess) {
    cudaGetLastError();
  }
}

// What all that belongs to a runtime shares.
struct Manner {
  Runtime::WaitUntil wait;  // empty: CUDA waits
  bool abandoned = false;   // Runtime::abandon()
};

// Whether what is before the event, or all on the stream, is done.
bool is_done(cudaError_t query) {
  if (query == cudaErrorNotReady) {
    cudaGetLastError();  // which keeps it, although it is no error
    return false;
  }
  check(query, "waiting for its work");
  return true;
}

// Page-locked memory, without which a copy would make the host wait, and an event behind the copy.
class GpuReadback final : public Readback {
 public:
  GpuReadback(std::size_t bytes, cudaStream_t stream, std::shared_ptr<const Manner> manner)
      : bytes_(bytes), stream_(stream), manner_(std::move(manner)) {
    check(cudaMallocHost(&copy_, bytes), "taking page-locked memory");
    const cudaError_t error =
        cudaEventCreateWithFlags(&done_, cudaEventDisableTiming | cudaEventBlockingSync);
    if (error != cudaSuccess) {
      cudaFreeHost(copy_);
      check(error, "creating an event");
    }
  }
  ~GpuReadback() override {
    if (manner_->abandoned) return;
    cudaEventSynchronize(done_);  // a copy that nobody waited for may still write
    cudaEventDestroy(done_);
    cudaFreeHost(copy_);
  }
  GpuReadback(const GpuReadback&) = delete;
  GpuReadback& operator=(const GpuReadback&) = delete;

  void start(const Tensor& from) override {
    if (from.bytes() > bytes_) {
      fail(ExitCode::internal, "{} bytes to read back, {} at most", from.bytes(), bytes_);
    }
    launch_rules.next_waits(stream_);
    check(cudaMemcpyAsync(copy_, from.data, from.bytes(), cudaMemcpyDeviceToHost, stream_),
          "copying from the GPU");
    check(cudaEventRecord(done_, stream_), "marking a copy");
  }
  const void* wait() override {
    if (manner_->wait) {
      manner_->wait([this] { return is_done(cudaEventQuery(done_)); });
    } else {
      check(cudaEventSynchronize(done_), "waiting for its work");
    }
    return copy_;
  }

 private:
  std::size_t bytes_;
  cudaStream_t stream_;
  std::shared_ptr<const Manner> manner_;
  void* copy_ = nullptr;
  cudaEvent_t done_ = nullptr;
};

class GpuRuntime final : public Runtime {
 public:
  explicit GpuRuntime(int device) : properties_(select_gpu(device)) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
    check(cudaStreamCreateWithFlags(&side_stream_, cudaStreamNonBlocking), "creating a stream");
    check(cudaStreamCreateWithFlags(&ranks_stream_, cudaStreamNonBlocking), "creating a stream");
    launch_rules.overlap = properties_.major >= 9;
    launch_rules.side_stream = side_stream_;
    for (cudaEvent_t& event : marks_) {
      check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "creating an event");
    }
    check(cudaEventCreate(&begin_), "creating an event");
    check(cudaEventCreate(&end_), "creating an event");
  }
  ~GpuRuntime() override {
    if (manner_->abandoned) return;
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
    for (const cudaEvent_t event : marks_) cudaEventDestroy(event);
    cudaStreamDestroy(ranks_stream_);
    cudaStreamDestroy(side_stream_);
    cudaStreamDestroy(stream_);
  }
  GpuRuntime(const GpuRuntime&) = delete;
  GpuRuntime& operator=(const GpuRuntime&) = delete;

  std::string description() const override {
    int runtime = 0;
    cudaRuntimeGetVersion(&runtime);
    return fmt::format("{}, sm_{}{}, CUDA {}", properties_.name, properties_.major, properties_.minor,
                       version_text(runtime));
  }
  bool host_addressable() const override { return false; }
  Stream stream() const override { return stream_; }
  Stream side_stream() const override { return side_stream_; }
  Stream ranks_stream() const override { return ranks_stream_; }
  // A wait refers to the event as it was recorded last, so a number of events can be used in turn.
  int mark(Stream stream) override {
    check(cudaEventRecord(marks_[static_cast<std::size_t>(++last_mark_ % kMarks)], stream),
          "marking a place in a stream");
    return last_mark_;
  }
  void wait(Stream later, int mark) override {
    launch_rules.next_waits(later);
    check(cudaStreamWaitEvent(later, marks_[static_cast<std::size_t>(mark % kMarks)], 0),
          "making a stream wait");
  }

  void* allocate(std::size_t bytes) override {
    void* data = nullptr;
    if (cudaMalloc(&data, bytes) == cudaSuccess) return data;
    cudaGetLastError();  // out of memory is the caller's to report
    return nullptr;
  }
  void release(void* data) noexcept override {
    if (!manner_->abandoned) cudaFree(data);
  }
  std::size_t free_bytes() const override {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    return free;
  }

  void copy_in(void* to, const void* from_host, std::size_t bytes) override {
    launch_rules.next_waits(stream_);
    check(cudaMemcpyAsync(to, from_host, bytes, cudaMemcpyHostToDevice, stream_), "copying to the GPU");
    synchronize();
  }
  void copy_out(void* to_host, const void* from, std::size_t bytes) override {
    launch_rules.next_waits(stream_);
    check(cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, stream_), "copying from the GPU");
    synchronize();
  }
  void fill_zero(void* data, std::size_t bytes) override {
    launch_rules.next_waits(stream_);
    check(cudaMemsetAsync(data, 0, bytes, stream_), "clearing memory");
  }
  void fill_ones(void* data, std::size_t bytes) override {
    launch_rules.next_waits(stream_);
    check(cudaMemsetAsync(data, 0xFF, bytes, stream_), "filling memory");
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    launch_rules.next_waits(stream_);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "copying");
  }
  void synchronize() override {
    if (manner_->wait) return manner_->wait([this] { return is_done(cudaStreamQuery(stream_)); });
    check(cudaStreamSynchronize(stream_), "waiting for its work");
  }
  void wait_by(WaitUntil wait) override { manner_->wait = std::move(wait); }
  void abandon() noexcept override { manner_->abandoned = true; }

  std::unique_ptr<Readback> make_readback(std::size_t bytes) override {
    return std::make_unique<GpuReadback>(bytes, stream_, manner_);
  }

  std::function<void()> record(const std::function<void()>& sequence) override {
    // A driver that cannot make a graph of overlapping launches gets one without them.
    if (launch_rules.overlap) {
      try {
        return record_once(sequence);
      } catch (const ContextLost&) {
        throw;
      } catch (const Error&) {
        launch_rules.overlap = false;
      }
    }
    return record_once(sequence);
  }

  double milliseconds(const std::function<void()>& work) override {
    launch_rules.next_waits(stream_);
    check(cudaEventRecord(begin_, stream_), "timing");
    work();
    check(cudaEventRecord(end_, stream_), "timing");
    check(cudaEventSynchronize(end_), "waiting for what is timed");
    float elapsed = 0;
    check(cudaEventElapsedTime(&elapsed, begin_, end_), "timing");
    return static_cast<double>(elapsed);
  }

 private:
  std::function<void()> record_once(const std::function<void()>& sequence) {
    cudaGraph_t graph = nullptr;
    launch_rules.next_waits(stream_);
    // Relaxed: a kernel's code may be loaded at its first use, which is here.
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "beginning to capture a step");
    try {
      sequence();
    } catch (...) {
      // Leaves the capture; the sequence's error is the one to report, and what ending it says is taken back.
      cudaStreamEndCapture(stream_, &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream_, &graph), "capturing a step");
    write_graph(graph);
    cudaGraphExec_t instance = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&instance, graph, 0);
    cudaGraphDestroy(graph);
    check(error, "making a graph of a step");
    const std::shared_ptr<CUgraphExec_st> owner(instance, [manner = manner_](CUgraphExec_st* of) {
      if (!manner->abandoned) cudaGraphExecDestroy(of);
    });
    return [this, owner] {
      launch_rules.next_waits(stream_);
      check(cudaGraphLaunch(owner.get(), stream_), "starting a step");
    };
  }

  cudaDeviceProp properties_;
  cudaStream_t stream_ = nullptr, side_stream_ = nullptr, ranks_stream_ = nullptr;
  std::shared_ptr<Manner> manner_ = std::make_shared<Manner>();
  std::array<cudaEvent_t, kMarks> marks_ = {};
  int last_mark_ = 0;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;  // of milliseconds()
};

}  // namespace

[[noreturn]] void throw_launch_error(const char* kernel, int error) {
  const auto code = static_cast<cudaError_t>(error);
  throw_error(code, fmt::format("the GPU refused kernel {}: {}", kernel, cudaGetErrorString(code)));
}

std::unique_ptr<Runtime> make_gpu_runtime(int device) {
  return std::make_unique<GpuRuntime>(device);
}

void use_gpu(int device) {
  check(cudaSetDevice(device), "selecting it");
}

std::vector<GpuFacts> list_gpus() {
  std::vector<GpuFacts> gpus;
  const int count = count_gpus();
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "asking for its properties");
    const int architecture = properties.major * 10 + properties.minor;
    gpus.push_back({.index = device,
                    .name = properties.name,
                    .uuid = text_of(properties.uuid),
                    .architecture = architecture,
                    .supported = architecture >= kOldest});
  }
  return gpus;
}

std::string driver_text() {
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  return fmt::format("driver {}, CUDA {}", kernel_driver(), version_text(runtime));
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
