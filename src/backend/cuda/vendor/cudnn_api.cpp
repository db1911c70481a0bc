#include "backend/cuda/vendor/cudnn_api.h"

#include <algorithm>
#include <array>
#include <utility>

#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

namespace {

Cudnn load_cudnn() {
  // cuDNN opens these by name when an engine needs them; in the wheels they lie in folders of their own.
  preload_library({"libcublasLt.so.13", "libcublasLt.so.12"});
  preload_library({"libnvrtc.so.13", "libnvrtc.so.12"});
  const SharedLibrary library = open_library("cuDNN 9", {"libcudnn.so.9"});
  decltype(&cudnnGetVersion) get_version = nullptr;
  library.load(get_version, "cudnnGetVersion");
  const int number = static_cast<int>(get_version());  // 91900; 8907 before cuDNN 9
  Cudnn cudnn;
  const int major = number < 10000 ? 1000 : 10000;
  cudnn.version = {number / major, number % major / 100, number % 100};
  require_version("cuDNN", library, cudnn.version, {9, 0, 0});
  library.load(cudnn.get_error_string, "cudnnGetErrorString");
  library.load(cudnn.get_last_error_string, "cudnnGetLastErrorString");
  library.load(cudnn.create, "cudnnCreate");
  library.load(cudnn.destroy, "cudnnDestroy");
  library.load(cudnn.set_stream, "cudnnSetStream");
  library.load(cudnn.create_descriptor, "cudnnBackendCreateDescriptor");
  library.load(cudnn.destroy_descriptor, "cudnnBackendDestroyDescriptor");
  library.load(cudnn.set_attribute, "cudnnBackendSetAttribute");
  library.load(cudnn.get_attribute, "cudnnBackendGetAttribute");
  library.load(cudnn.finalize, "cudnnBackendFinalize");
  library.load(cudnn.execute, "cudnnBackendExecute");
  return cudnn;
}

}  // namespace

const Cudnn& cudnn() {
  static const Cudnn loaded = load_cudnn();
  return loaded;
}

void check_cudnn(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> buffer = {};
  cudnn().get_last_error_string(buffer.data(), buffer.size());
  std::string detail(buffer.data());
  std::replace(detail.begin(), detail.end(), '\n', ' ');
  fail(ExitCode::device, "cuDNN {}: {}: {} {}", cudnn().version.text(), what,
       cudnn().get_error_string(status), detail);
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check_cudnn(cudnn().create_descriptor(type, &raw_), "making a descriptor");
}

Descriptor::~Descriptor() {
  if (raw_ != nullptr) cudnn().destroy_descriptor(raw_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(raw_, other.raw_);
  return *this;
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                     const void* values) {
  check_cudnn(cudnn().set_attribute(raw_, name, type, count, values),
              fmt::format("setting attribute {}", static_cast<int>(name)).c_str());
}

void Descriptor::set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values) {
  set(name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
}

void Descriptor::set(cudnnBackendAttributeName_t name, std::int64_t value) {
  set(name, CUDNN_TYPE_INT64, 1, &value);
}

void Descriptor::set(cudnnBackendAttributeName_t name, float value) {
  set(name, CUDNN_TYPE_FLOAT, 1, &value);
}

void Descriptor::set(cudnnBackendAttributeName_t name, bool value) {
  set(name, CUDNN_TYPE_BOOLEAN, 1, &value);
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
  set(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnPointwiseMode_t value) {
  set(name, CUDNN_TYPE_POINTWISE_MODE, 1, &value);
}

void Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  const cudnnBackendDescriptor_t raw = value.raw();
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
}

void Descriptor::finalize(const char* what) {
  check_cudnn(cudnn().finalize(raw_), what);
}

bool Descriptor::try_finalize() {
  // Whatever the reason (unsupported, no driver to compile with), a candidate that cannot be made is none.
  return cudnn().finalize(raw_) == CUDNN_STATUS_SUCCESS;
}

std::int64_t Descriptor::get_int64(cudnnBackendAttributeName_t name) const {
  std::int64_t value = 0;
  std::int64_t count = 0;
  check_cudnn(cudnn().get_attribute(raw_, name, CUDNN_TYPE_INT64, 1, &count, &value), "reading an attribute");
  return value;
}

std::optional<std::int64_t> Descriptor::list_into(cudnnBackendAttributeName_t name,
                                                  cudnnBackendAttributeType_t type, std::int64_t most,
                                                  void* values) const {
  std::int64_t count = 0;
  if (cudnn().get_attribute(raw_, name, type, most, &count, values) != CUDNN_STATUS_SUCCESS) {
    return std::nullopt;
  }
  return std::clamp<std::int64_t>(count, 0, most);
}

std::vector<Descriptor> Descriptor::descriptors(cudnnBackendAttributeName_t name,
                                                cudnnBackendDescriptorType_t element,
                                                std::int64_t most) const {
  std::vector<Descriptor> made;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < most; ++i) raw.push_back(made.emplace_back(element).raw());
  const std::int64_t count = list_into(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, raw.data()).value_or(0);
  made.erase(made.begin() + static_cast<std::ptrdiff_t>(count), made.end());
  return made;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
