#include "check/recording.h"

#include "backend/host_copy.h"

namespace dpll::check {

void Recording::read(Backend& backend, const std::string& name, const Tensor& tensor) {
  const DType type = tensor.dtype;
  if (type == DType::f16 || type == DType::bf16 || type == DType::f32 || type == DType::f64) {
    fields_[name] = {tensor.shape, read_floats(backend, tensor), {}};
    return;
  }
  Field field{tensor.shape, {}, std::vector<std::uint8_t>(tensor.bytes())};
  backend.copy_out(field.bytes.data(), tensor);
  fields_[name] = std::move(field);
}

void Recording::read_bytes(Backend& backend, const std::string& name, const void* data, std::size_t bytes) {
  read(backend, name, {const_cast<void*>(data), DType::u8, {static_cast<std::int64_t>(bytes)}});
}

const Recording::Field& Recording::field(const std::string& name) const {
  const auto found = fields_.find(name);
  DPLL_CHECK(found != fields_.end(), "{} was not recorded", name);
  return found->second;
}

std::uint32_t HostRows::sample(std::int64_t row) const {
  const std::int64_t position = std::int64_t{step.first} + row;
  return static_cast<std::uint32_t>(order.empty() ? position : order.at(static_cast<std::size_t>(position)));
}

HostRows read_rows(Backend& backend, const BatchRows& rows) {
  HostRows result;
  backend.copy_out(&result.step, {const_cast<StepState*>(rows.step), DType::u8, {sizeof(StepState)}});
  if (rows.order.defined()) {
    result.order.resize(static_cast<std::size_t>(rows.order.elements()));
    backend.copy_out(result.order.data(), rows.order);
  }
  return result;
}

}  // namespace dpll::check
