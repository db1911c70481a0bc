// Golden values: a safetensors file per operation with the inputs and outputs of several cases, computed by
// PyTorch in float64 (tools/golden), and the functions that run a case on any backend. Shared by the tests
// and by `dpll_engine selftest`.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dpll/backend.h"
#include "dpll/safetensors.h"
#include "selftest/encode.h"

namespace dpll::selftest {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name);  // "linear": tests/golden/linear.safetensors, in this program

  const SafetensorsFile& file() const { return file_; }
  const nlohmann::json& cases() const { return cases_; }

 private:
  SafetensorsFile file_;
  nlohmann::json cases_;
};

// One case on one backend: puts inputs into backend memory, takes outputs out and compares them.
class GoldenCase {
 public:
  GoldenCase(Backend& backend, const GoldenFile& golden, const nlohmann::json& values);

  const std::string& name() const { return name_; }
  const SafetensorsFile& file() const { return golden_.file(); }
  // A value of the specification of the case.
  template <typename T>
  T value(const std::string& key) const {
    return values_.at(key).get<T>();
  }
  template <typename T>
  T value(const std::string& key, const T& otherwise) const {
    return values_.value(key, otherwise);
  }
  Mode mode() const { return value<std::string>("mode") == "train" ? Mode::train : Mode::eval; }

  bool has(const std::string& key) const;
  HostTensor stored(const std::string& key) const;  // of the file; rank 0 for absent tensors is an error

  // Backend tensors with the values of the file. Convolution weights go through
  // Backend::conv_weight_layout().
  Tensor compute_input(const std::string& key) { return input(key, backend_.compute_dtype()); }
  Tensor master_input(const std::string& key) { return input(key, backend_.master_dtype()); }
  Tensor conv_weight_input(const std::string& key);
  Tensor weight_input(const std::string& key) { return input(key, backend_.weight_dtype()); }
  // A tensor with the shape of `like` in the file, filled with NaN, so that elements that are not overwritten
  // are found.
  Tensor compute_output(const std::string& like) { return output(like, backend_.compute_dtype()); }
  Tensor master_output(const std::string& like) { return output(like, backend_.master_dtype()); }
  Tensor conv_weight_output(const std::string& like);
  Tensor weight_output(const std::string& like) { return output(like, backend_.weight_dtype()); }
  // prefix + gamma, beta and running statistics of the file; d_gamma and d_beta in training.
  BatchNorm batch_norm(const std::string& prefix = "");

  Tensor put(const HostTensor& values, DType dtype);
  void fill(const Tensor& tensor, const HostTensor& values);
  Tensor put_int32(const std::vector<std::int32_t>& values);
  HostTensor take(const Tensor& tensor) const;
  void* memory(std::size_t bytes);  // for example a workspace; null for no bytes
  StepState* put_step(const StepState& step);

  // Adds a complaint unless `got` agrees with `key` of the file: in float64 except for rounding; in float32
  // within a small multiple of the error of PyTorch in float32.
  // `of_golden`: what the golden values themselves may be off by.
  void check(const std::string& key, const Tensor& got, double of_golden = 0) {
    check(key, take(got), of_golden);
  }
  void check(const std::string& key, const HostTensor& got, double of_golden = 0);
  void check_equal(const std::string& what, const HostTensor& got, const HostTensor& want,
                   const Tolerance& tolerance = {});
  // `got` against "probe/<name>" of the file: sum, sum of squares and first elements. The errors that the
  // sums may have follow from that of an element.
  void check_probe(const std::string& name, const std::vector<float>& got);
  void complain(const std::string& problem);
  // The allowed rounding error, 0 for backends that compute in float64: 8 times the error of PyTorch's
  // float32. On LeNet's trajectory, the most sensitive case, the error of the CPU backend is 3 times that of
  // PyTorch. In 16 bits the allowed error grows with the unit roundoff of the type.
  double rounding_allowance(const std::string& key) const;
  // The least precise type that the compared results passed through, if it is not the compute type.
  void set_coarsest(DType dtype) { coarsest_ = dtype; }
  void check_conv_weight(const std::string& key, const Tensor& got);
  // gradients and running statistics; in evaluation that the latter are untouched.
  void check_batch_norm(const BatchNorm& bn, const std::string& prefix = "");
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  Tensor input(const std::string& key, DType dtype) { return put(stored(key), dtype); }
  Tensor output(const std::string& like, DType dtype);
  std::string path(const std::string& key) const { return name_ + "/" + key; }

  Backend& backend_;
  DType coarsest_ = backend_.compute_dtype();
  const GoldenFile& golden_;
  nlohmann::json values_;
  std::string name_;
  std::vector<Buffer> buffers_;
  std::vector<std::string> complaints_;
};

struct GoldenResult {
  int cases = 0;
  std::vector<std::string> complaints;  // one line each; empty if everything agrees
};
// Runs `check` on every case of tests/golden/<operation>.safetensors.
GoldenResult check_golden_cases(Backend& backend, const std::string& operation,
                                const std::function<void(Backend&, GoldenCase&)>& check);

}  // namespace dpll::selftest
