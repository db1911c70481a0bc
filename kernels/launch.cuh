// Starting kernels. A failed launch throws Error(device) that names the kernel; faults inside a kernel appear
// at the next synchronisation.
#pragma once

#include "device.cuh"
#include "launch_rules.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct LaunchShape {
  dim3 blocks = {1, 1, 1};
  int threads = 256;             // a multiple of kWarp
  std::size_t shared_bytes = 0;  // dynamic
  // What the launch must read from and write to device memory once, as the kernel's Cost comment says: for
  // the counts of docs/kernels.md.
  double bytes = 0;
};

inline unsigned blocks_for(std::int64_t items, std::int64_t per_block) {
  return static_cast<unsigned>((items + per_block - 1) / per_block);
}

// Static and dynamic shared memory together may reach 48 KiB without asking. A kernel's static part is not
// known here, so launch() asks from here on, which leaves 8 KiB for it.
inline constexpr std::size_t kAskForShared = 40 * 1024;

#if !defined(DPLL_EMULATED)
[[noreturn]] void throw_launch_error(const char* kernel, int error);

template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape, Stream stream,
            const Arguments&... arguments) {
  if (shape.shared_bytes > kAskForShared) {
    const cudaError_t error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                   cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   static_cast<int>(shape.shared_bytes));
    if (error != cudaSuccess) throw_launch_error(name, error);
  }
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t configuration = {};
  configuration.gridDim = shape.blocks;
  configuration.blockDim = dim3(static_cast<unsigned>(shape.threads));
  configuration.dynamicSmemBytes = shape.shared_bytes;
  configuration.stream = stream;
  configuration.attrs = &attribute;
  configuration.numAttrs = launch_rules.follows_kernel(stream) && launch_rules.overlap ? 1 : 0;
  const cudaError_t error = cudaLaunchKernelEx(&configuration, kernel, Parameters(arguments)...);
  if (error != cudaSuccess) throw_launch_error(name, error);
}
#else
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape, Stream stream,
            const Arguments&... arguments) {
  const emulation::Launch launched{name,
                                   shape.blocks,
                                   static_cast<unsigned>(shape.threads),
                                   shape.shared_bytes,
                                   shape.shared_bytes > kAskForShared,
                                   true};
  emulation::enqueue(stream,
                     {.name = name,
                      .kernel = reinterpret_cast<const void*>(kernel),
                      .blocks = shape.blocks,
                      .threads = launched.threads,
                      .shared_bytes = shape.shared_bytes,
                      .bytes = shape.bytes,
                      .overlaps = launch_rules.follows_kernel(stream)},
                     [=] { emulation::run(launched, [&] { kernel(arguments...); }); });
}
#endif

}  // namespace dpll::DPLL_CUDA_NAMESPACE
