// Convolutions by cuDNN's graph API, plain: one operation a graph. Everything that is decided (which engine
// configurations there are, which of them may be used) is decided without a GPU, too, from a description.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/vendor/cudnn_api.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

enum class ConvolutionPass { forward, data_gradient, weight_gradient };
const char* name_of(ConvolutionPass pass);

// What engines may do.
struct EngineRules {
  bool deterministic = true;  // none that says it is not
  bool tf32 = false;          // float32 tensors: multiply in tf32 on tensor cores
};

// The GPU that plans are for: the one in this machine, or one that is described (in the JSON of
// cudnnBackendSetAttribute's CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION; cuDNN 9.8 or newer).
class CudnnDevice {
 public:
  // Error(device) where cuDNN finds no GPU.
  explicit CudnnDevice(Stream stream);
  explicit CudnnDevice(const std::string& description);
  ~CudnnDevice();
  CudnnDevice(const CudnnDevice&) = delete;
  CudnnDevice& operator=(const CudnnDevice&) = delete;

  cudnnHandle_t handle() const { return handle_; }  // null: described
  // Sets the attribute that says for which device `descriptor` is made.
  void apply(Descriptor& descriptor, cudnnBackendAttributeName_t handle_name,
             std::optional<cudnnBackendAttributeName_t> description_name) const;

 private:
  cudnnHandle_t handle_ = nullptr;
  std::optional<Descriptor> description_;
};

// One finished way to compute a pass.
struct ConvolutionPlan {
  Descriptor configuration, plan;
  std::size_t workspace_bytes = 0;
  bool tensor_cores = false;
};

// In the order of cuDNN's heuristics, best first, `most` at most. Empty: cuDNN has none for this shape, type
// and device under these rules.
std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice& device, const ConvolutionShape& shape,
                                               ConvolutionPass pass, const EngineRules& rules, int most);

// The heuristics' first plan of each pass. Error(device) naming shape and type where there is none.
std::unique_ptr<Convolution> make_cudnn_convolution(std::shared_ptr<const CudnnDevice> device,
                                                    const ConvolutionShape& shape, const EngineRules& rules);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
