// The GPU that cuDNN makes plans for.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/vendor/cudnn_api.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// The one in this machine, or one that is described (in the JSON of cudnnBackendSetAttribute's
// CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION; cuDNN 9.8 or newer).
class CudnnDevice {
 public:
  // Error(device) where cuDNN finds no GPU.
  // A handle for each of `streams`, on which plans will be run: one that changes its stream makes cuDNN
  // synchronise. At least one.
  explicit CudnnDevice(const std::vector<Stream>& streams);
  explicit CudnnDevice(const std::string& description);
  ~CudnnDevice();
  CudnnDevice(const CudnnDevice&) = delete;
  CudnnDevice& operator=(const CudnnDevice&) = delete;

  bool described() const { return handles_.empty(); }
  cudnnHandle_t handle(Stream stream) const;
  // Sets the attribute that says for which device `descriptor` is made.
  void apply(Descriptor& descriptor, cudnnBackendAttributeName_t handle_name,
             std::optional<cudnnBackendAttributeName_t> description_name) const;

 private:
  std::vector<std::pair<Stream, cudnnHandle_t>> handles_;
  std::optional<Descriptor> description_;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
