#include <cstdlib>
#include <cstring>

#include "emulation/fake_cuda/cuda_runtime_api.h"

namespace dpll::fake_cuda_api {
namespace {

// What `function` returns; a failure stays until cudaGetLastError() has said it.
cudaError_t result(const char* function) {
  FakeGpu& gpu = fake_gpu();
  if (gpu.failing != "all" && gpu.failing != function) return cudaSuccess;
  return gpu.last_error = gpu.error;
}

// Something to point at.
template <typename T>
T* token() {
  static int place = 0;
  return reinterpret_cast<T*>(&place);
}

template <typename Action>
cudaError_t result(const char* function, const Action& action) {
  const cudaError_t error = result(function);
  if (error == cudaSuccess) action();
  return error;
}

}  // namespace

FakeGpu& fake_gpu() {
  static FakeGpu gpu;
  return gpu;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    default:
      return "?";
  }
}

cudaError_t cudaGetLastError() {
  const cudaError_t last = fake_gpu().last_error;
  fake_gpu().last_error = cudaSuccess;
  return last;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = fake_gpu().count;
  return fake_gpu().count_error;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = fake_gpu().driver;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) {
  return result("cudaSetDevice");
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  const FakeGpu& gpu = fake_gpu();
  *properties = {"Fake GPU", {{'\x8f', '\x2c', 0, 1}}, gpu.major, gpu.minor};
  return result("cudaGetDeviceProperties");
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  FakeGpu& gpu = fake_gpu();
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  if (bytes > free) return gpu.last_error = cudaErrorMemoryAllocation;
  return result("cudaMalloc", [&] {
    *data = std::malloc(bytes);
    gpu.allocated[*data] = bytes;
  });
}
cudaError_t cudaFree(void* data) {
  fake_gpu().allocated.erase(data);
  std::free(data);
  return result("cudaFree");
}
cudaError_t cudaMallocHost(void** data, std::size_t bytes) {
  return result("cudaMallocHost", [&] { *data = std::malloc(bytes); });
}
cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return result("cudaFreeHost");
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = fake_gpu().memory;
  for (const auto& [data, bytes] : fake_gpu().allocated) *free -= bytes;
  return result("cudaMemGetInfo");
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  return result("cudaMemcpyAsync", [&] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t) {
  return result("cudaMemsetAsync", [&] { std::memset(data, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return result("cudaStreamCreateWithFlags", [&] { *stream = token<::CUstream_st>(); });
}
cudaError_t cudaStreamDestroy(cudaStream_t) {
  return result("cudaStreamDestroy");
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return result("cudaStreamSynchronize");
}
// CUDA keeps "not ready" as it keeps an error.
cudaError_t cudaStreamQuery(cudaStream_t) {
  if (fake_gpu().not_ready == 0) return result("cudaStreamQuery");
  --fake_gpu().not_ready;
  return fake_gpu().last_error = cudaErrorNotReady;
}
cudaError_t cudaEventQuery(cudaEvent_t) {
  return cudaStreamQuery(nullptr);
}
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  return result("cudaStreamBeginCapture", [] { fake_gpu().capturing = true; });
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  fake_gpu().capturing = false;
  return result("cudaStreamEndCapture", [&] {
    *graph = token<CUgraph_st>();
    ++fake_gpu().graphs;
  });
}
cudaError_t cudaGraphDebugDotPrint(cudaGraph_t, const char* path, unsigned flags) {
  return result("cudaGraphDebugDotPrint", [&] { fake_gpu().printed.emplace_back(path, flags); });
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* instance, cudaGraph_t, unsigned long long) {
  return result("cudaGraphInstantiate", [&] {
    *instance = token<CUgraphExec_st>();
    ++fake_gpu().graphs;
  });
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) {
  return result("cudaGraphLaunch");
}
cudaError_t cudaGraphDestroy(cudaGraph_t) {
  --fake_gpu().graphs;
  return result("cudaGraphDestroy");
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) {
  --fake_gpu().graphs;
  return result("cudaGraphExecDestroy");
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, 0);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return result("cudaEventCreateWithFlags", [&] { *event = token<CUevent_st>(); });
}
cudaError_t cudaEventDestroy(cudaEvent_t) {
  return result("cudaEventDestroy");
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
  return result("cudaEventRecord");
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
  return result("cudaStreamWaitEvent");
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return result("cudaEventSynchronize");
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  return result("cudaEventElapsedTime", [&] { *milliseconds = 2; });
}

}  // namespace dpll::fake_cuda_api
