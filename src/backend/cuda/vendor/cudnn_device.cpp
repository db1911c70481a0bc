#include "backend/cuda/vendor/cudnn_device.h"

#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

CudnnDevice::CudnnDevice(Stream stream) {
  check_cudnn(cudnn().create(&handle_), "starting");
  check_cudnn(cudnn().set_stream(handle_, stream), "taking the stream");
}

CudnnDevice::CudnnDevice(const std::string& description) {
  if (cudnn().version < LibraryVersion{9, 8, 0}) {
    fail(ExitCode::device, "cuDNN {} cannot plan for a described GPU: 9.8.0 or newer can",
         cudnn().version.text());
  }
  description_.emplace(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  description_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                    static_cast<std::int64_t>(description.size()), description.data());
  description_->finalize("reading the description of a GPU");
}

CudnnDevice::~CudnnDevice() {
  if (handle_ != nullptr) cudnn().destroy(handle_);
}

void CudnnDevice::apply(Descriptor& descriptor, cudnnBackendAttributeName_t handle_name,
                        std::optional<cudnnBackendAttributeName_t> description_name) const {
  if (handle_ != nullptr) {
    descriptor.set(handle_name, CUDNN_TYPE_HANDLE, 1, &handle_);
  } else if (description_name) {
    descriptor.set(*description_name, *description_);
  }
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
