#include "backend/cuda/vendor/cudnn_device.h"

#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

CudnnDevice::CudnnDevice(const std::vector<Stream>& streams) {
  for (const Stream stream : streams) {
    cudnnHandle_t handle = nullptr;
    check_cudnn(cudnn().create(&handle), "starting");
    handles_.emplace_back(stream, handle);
    check_cudnn(cudnn().set_stream(handle, stream), "taking the stream");
  }
}

cudnnHandle_t CudnnDevice::handle(Stream stream) const {
  for (const auto& [of, handle] : handles_) {
    if (of == stream) return handle;
  }
  fail(ExitCode::internal, "cuDNN has no handle for this stream");
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
  for (const auto& [stream, handle] : handles_) cudnn().destroy(handle);
}

void CudnnDevice::apply(Descriptor& descriptor, cudnnBackendAttributeName_t handle_name,
                        std::optional<cudnnBackendAttributeName_t> description_name) const {
  if (!described()) {
    descriptor.set(handle_name, CUDNN_TYPE_HANDLE, 1, &handles_.front().second);
  } else if (description_name) {
    descriptor.set(*description_name, *description_);
  }
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
