// cuDNN's functions, found at run time, and its backend descriptors as C++ values.
// Source: cuDNN's "Backend API" reference; headers cudnn_graph.h.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/cuda/vendor/libraries.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct Cudnn {
  LibraryVersion version;
  decltype(&cudnnGetErrorString) get_error_string = nullptr;
  decltype(&cudnnGetLastErrorString) get_last_error_string = nullptr;
  decltype(&cudnnCreate) create = nullptr;
  decltype(&cudnnDestroy) destroy = nullptr;
  decltype(&cudnnSetStream) set_stream = nullptr;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&cudnnBackendGetAttribute) get_attribute = nullptr;
  decltype(&cudnnBackendFinalize) finalize = nullptr;
  decltype(&cudnnBackendExecute) execute = nullptr;
};

// Opens cuDNN at the first call. Error(device) where there is none or it is not a cuDNN 9.
const Cudnn& cudnn();

// Error(device) in one line with cuDNN's reason unless `status` is success.
void check_cudnn(cudnnStatus_t status, const char* what);

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  cudnnBackendDescriptor_t raw() const { return raw_; }

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
           const void* values);
  void set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values);
  void set(cudnnBackendAttributeName_t name, std::int64_t value);
  void set(cudnnBackendAttributeName_t name, float value);
  void set(cudnnBackendAttributeName_t name, bool value);
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t value);
  void set(cudnnBackendAttributeName_t name, cudnnPointwiseMode_t value);
  void set(cudnnBackendAttributeName_t name, const Descriptor& value);

  void finalize(const char* what);
  // False: this cuDNN, GPU or driver cannot.
  bool try_finalize();

  std::int64_t get_int64(cudnnBackendAttributeName_t name) const;
  // Values of an attribute that is a list, at most `most`; empty when cuDNN knows none, nothing when it does
  // not say.
  template <typename Value>
  std::optional<std::vector<Value>> list(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                         std::int64_t most) const {
    std::vector<Value> values(static_cast<std::size_t>(most));
    const std::optional<std::int64_t> count = list_into(name, type, most, values.data());
    if (!count) return std::nullopt;
    values.resize(static_cast<std::size_t>(*count));
    return values;
  }
  // Descriptors of `element` type; `most` of them at most.
  std::vector<Descriptor> descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t element,
                                      std::int64_t most) const;

 private:
  std::optional<std::int64_t> list_into(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                        std::int64_t most, void* values) const;

  cudnnBackendDescriptor_t raw_ = nullptr;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
