// The GPU that cuDNN makes plans for.
#pragma once

#include <optional>
#include <string>

#include "backend/cuda/vendor/cudnn_api.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// The one in this machine, or one that is described (in the JSON of cudnnBackendSetAttribute's
// CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION; cuDNN 9.8 or newer).
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

}  // namespace dpll::DPLL_CUDA_NAMESPACE
