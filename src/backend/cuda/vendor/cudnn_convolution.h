// Convolutions by cuDNN's graph API. Everything that is decided (which engine configurations there are, which
// of them may be used) is decided without a GPU, too, from a description.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/vendor/cudnn_device.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// What engines may do.
struct EngineRules {
  bool deterministic = true;  // none that says it is not
  bool tf32 = false;          // float32 tensors: multiply in tf32 on tensor cores
};

// A workspace beyond it rules a configuration out.
inline constexpr std::size_t kMostWorkspace = std::size_t{256} << 20;

// An engine of cuDNN with its knobs.
struct EngineConfiguration {
  // "engine 2 {2=5, 14=3}": the engine's global index in its operation graph, and its knobs as numbers of
  // cudnnBackendKnobType_t = value. Means the same in every run with this version of cuDNN.
  std::string name;
  Descriptor descriptor;
  // cuDNN does not say whether its sums repeat and in which precision they are: never used, but listed.
  bool unknown_arithmetic = false;
};

// In the order of cuDNN's heuristics, best first. Empty: cuDNN has none for this pass, shape, type and device
// under these rules.
std::vector<EngineConfiguration> engine_configurations(const CudnnDevice& device,
                                                       const ConvolutionShape& shape, ConvolutionPass pass,
                                                       const EngineRules& rules);

struct EnginePlan {
  Descriptor plan;
  std::size_t workspace_bytes = 0;
};
// Nothing: cuDNN cannot build it after all, or it needs too large a workspace.
std::optional<EnginePlan> make_plan(const CudnnDevice& device, const EngineConfiguration& configuration);

// The configurations as ways to compute the pass.
std::vector<ConvolutionOffer> cudnn_offers(const std::shared_ptr<const CudnnDevice>& device,
                                           const ConvolutionShape& shape, ConvolutionPass pass,
                                           const EngineRules& rules);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
