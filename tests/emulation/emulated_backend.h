// The CUDA backend on the emulator: its kernels run as fibers, its memory is out of
// the host's reach (device_memory.h), its stream runs everything at once and captures as CUDA's does
// (stream.h), its convolutions and products are plain loops.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dpll/backend.h"

namespace dpll::emulated_cuda {
// `memory`: bytes of the device.
std::unique_ptr<Backend> make_emulated_backend(DType compute, std::size_t memory);
// Operations that can be computed in the way of this name are.
std::unique_ptr<Backend> make_forced_backend(DType compute, const std::string& way);
// Fused passes of convolutions that were run so far.
int fused_passes_run();
// With tuning; fused convolutions take a tenth of the time of plain ones, and compute something wrong, or sum
// statistics in float32 one value after the other, if asked to.
enum class FusedLoops { right, wrong, sums_in_order };
std::unique_ptr<Backend> make_tuned_backend(DType compute, FusedLoops fused,
                                            const std::function<void(const std::string&)>& warn);
// With convolutions and products as tensor cores compute them, in f32 from TF32 factors.
std::unique_ptr<Backend> make_tensor_core_backend(DType compute, std::size_t memory);
// For counting what a step launches (stream.h, set_counting): memory of any size, and nothing runs.
std::unique_ptr<Backend> make_counting_backend(DType compute);
// Lost after so many replays.
std::unique_ptr<Backend> make_failing_backend(DType compute, int replays);
// How many the comparison of the tuner finds.
std::int64_t count_differences(const std::vector<float>& got, const std::vector<float>& want);
}  // namespace dpll::emulated_cuda
// The same from kernels with the fault of faults.h that is active.
namespace dpll::mutant_cuda {
std::unique_ptr<Backend> make_emulated_backend(DType compute, std::size_t memory);
std::unique_ptr<Backend> make_forced_backend(DType compute, const std::string& way);
std::int64_t count_differences(const std::vector<float>& got, const std::vector<float>& want);
}  // namespace dpll::mutant_cuda

namespace dpll::test {

inline constexpr std::size_t kEmulatedMemory = std::size_t{1} << 30;

inline std::unique_ptr<Backend> make_emulated_cuda_backend(DType compute,
                                                           std::size_t memory = kEmulatedMemory) {
  return emulated_cuda::make_emulated_backend(compute, memory);
}
inline std::unique_ptr<Backend> make_mutant_cuda_backend(DType compute) {
  return mutant_cuda::make_emulated_backend(compute, kEmulatedMemory);
}

}  // namespace dpll::test
