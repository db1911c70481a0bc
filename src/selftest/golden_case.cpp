#include "selftest/golden_case.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "selftest/embedded_goldens.h"

namespace dpll::selftest {
namespace {

Shape shape_of(const std::vector<std::int64_t>& dims) {
  switch (dims.size()) {
    case 1:
      return {dims[0]};
    case 2:
      return {dims[0], dims[1]};
    case 3:
      return {dims[0], dims[1], dims[2]};
    case 4:
      return {dims[0], dims[1], dims[2], dims[3]};
    default:
      return {};
  }
}

// [O,I,H,W] -> [O,H,W,I], or back with the shape of the result given as [O,I,H,W] and `back`.
HostTensor permute_weight(const HostTensor& from, const Shape& oihw, bool back) {
  HostTensor to(back ? oihw : Shape{oihw[0], oihw[2], oihw[3], oihw[1]});
  const std::int64_t in = oihw[1], pixels = oihw[2] * oihw[3];
  for (std::int64_t o = 0; o < oihw[0]; ++o) {
    for (std::int64_t c = 0; c < in; ++c) {
      for (std::int64_t p = 0; p < pixels; ++p) {
        const std::int64_t i = (o * in + c) * pixels + p, h = (o * pixels + p) * in + c;
        to[back ? i : h] = from[back ? h : i];
      }
    }
  }
  return to;
}

}  // namespace

GoldenFile::GoldenFile(const std::string& name)
    : file_(SafetensorsFile::parse(embedded_golden(name), "golden values of " + name)),
      cases_(nlohmann::json::parse(file_.metadata().at("cases"))) {}

GoldenCase::GoldenCase(Backend& backend, const GoldenFile& golden, const nlohmann::json& values)
    : backend_(backend), golden_(golden), values_(values), name_(value<std::string>("name")) {}

bool GoldenCase::has(const std::string& key) const {
  return golden_.file().contains(path(key));
}

HostTensor GoldenCase::stored(const std::string& key) const {
  HostTensor tensor(shape_of(golden_.file().entry(path(key)).shape));
  tensor.values = golden_.file().get_as_double(path(key));
  return tensor;
}

Tensor GoldenCase::put(const HostTensor& values, DType dtype) {
  const auto bytes = static_cast<std::size_t>(values.elements()) * size_of(dtype);
  buffers_.push_back(backend_.allocate(bytes, "golden values"));
  const Tensor tensor = buffers_.back().tensor(dtype, values.shape);
  fill(tensor, values);
  return tensor;
}

void GoldenCase::fill(const Tensor& tensor, const HostTensor& values) {
  DPLL_CHECK(tensor.elements() == values.elements(), "{} values for {}", values.elements(),
             tensor.shape.to_string());
  backend_.copy_in(tensor, encode(tensor.dtype, values).data());
}

Tensor GoldenCase::put_int32(const std::vector<std::int32_t>& values) {
  buffers_.push_back(backend_.allocate(values.size() * sizeof(std::int32_t), "golden values"));
  const Tensor tensor = buffers_.back().tensor(DType::i32, {static_cast<std::int64_t>(values.size())});
  backend_.copy_in(tensor, values.data());
  return tensor;
}

HostTensor GoldenCase::take(const Tensor& tensor) const {
  std::vector<std::uint8_t> bytes(tensor.bytes());
  backend_.synchronize();
  backend_.copy_out(bytes.data(), tensor);
  return decode(tensor.dtype, bytes, tensor.shape);
}

void* GoldenCase::memory(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  buffers_.push_back(backend_.allocate(bytes, "golden case"));
  return buffers_.back().data();
}

StepState* GoldenCase::put_step(const StepState& step) {
  void* data = memory(sizeof step);
  backend_.copy_in({data, DType::u8, {static_cast<std::int64_t>(sizeof step)}}, &step);
  return static_cast<StepState*>(data);
}

Tensor GoldenCase::output(const std::string& like, DType dtype) {
  return put(HostTensor(stored(like).shape, std::numeric_limits<double>::quiet_NaN()), dtype);
}

Tensor GoldenCase::conv_weight_input(const std::string& key) {
  const HostTensor weight = stored(key);
  const Shape shape = weight.shape;
  const bool permute = backend_.conv_weight_layout() == ConvWeightLayout::ohwi;
  Tensor tensor = put(permute ? permute_weight(weight, shape, false) : weight, backend_.weight_dtype());
  tensor.shape = shape;
  return tensor;
}

Tensor GoldenCase::conv_weight_output(const std::string& like) {
  return output(like, backend_.weight_dtype());
}

BatchNorm GoldenCase::batch_norm(const std::string& prefix) {
  BatchNorm bn;
  bn.gamma = master_input(prefix + "gamma");
  bn.beta = master_input(prefix + "beta");
  bn.running_mean = master_input(prefix + "running_mean");
  bn.running_var = master_input(prefix + "running_var");
  if (mode() == Mode::train) {
    bn.d_gamma = master_output(prefix + "d_gamma");
    bn.d_beta = master_output(prefix + "d_beta");
  }
  return bn;
}

void GoldenCase::check_probe(const std::string& name, const std::vector<float>& got) {
  constexpr std::int64_t kProbe = 16;  // first elements of every parameter in the file
  const HostTensor want = stored("probe/" + name);
  double sum = 0, squares = 0, largest = 0;
  for (const double x : got) {
    sum += x;
    squares += x * x;
    largest = std::max(largest, std::abs(x));
  }
  const auto n = static_cast<double>(got.size());
  // ModelState hands values out in float32.
  const double allowed = 1e-10 + 0x1p-24 * largest + rounding_allowance(name);
  const auto check_number = [&](const char* what, double got_number, double wanted, double bound) {
    // Not >, so that NaN is also an error.
    if (std::abs(got_number - wanted) <= bound) return;
    complain(
        fmt::format("{} of {}: got {}, want {}, off by more than {}", what, name, got_number, wanted, bound));
  };
  check_number("sum", sum, want[0], n * allowed);
  check_number("sum of squares", squares, want[1], allowed * (2 * std::sqrt(n * squares) + n * allowed));
  const std::int64_t count = std::min(kProbe, static_cast<std::int64_t>(got.size()));
  DPLL_CHECK(want.elements() == 2 + count, "a probe of {} for {}", want.elements(), name);
  HostTensor first({count});
  for (std::int64_t i = 0; i < count; ++i) first[i] = want[2 + i];
  check_equal(name, host_tensor(got.data(), {count}), first, {.absolute = allowed});
}

double GoldenCase::rounding_allowance(const std::string& key) const {
  if (coarsest_ == DType::f64) return 0;
  const double coarser = unit_roundoff(coarsest_) / unit_roundoff(DType::f32);
  return 8 * coarser * values_.at("float32_deviation").at(key).get<double>();
}

void GoldenCase::check(const std::string& key, const HostTensor& got, double of_golden) {
  const bool exact = coarsest_ == DType::f64;
  check_equal(key, got, stored(key),
              {.relative = exact ? 1e-12 : 4 * unit_roundoff(coarsest_),
               .absolute = of_golden + rounding_allowance(key)});
}

void GoldenCase::check_equal(const std::string& what, const HostTensor& got, const HostTensor& want,
                             const Tolerance& tolerance) {
  const std::string found = difference(what, 0, got, want, tolerance);
  if (!found.empty()) complain(found);
}

void GoldenCase::complain(const std::string& problem) {
  complaints_.push_back(fmt::format("{} in {}, {}: {}", backend_.name(), name_of(coarsest_), name_, problem));
}

void GoldenCase::check_conv_weight(const std::string& key, const Tensor& got) {
  const HostTensor values = take(got);
  const bool permuted = backend_.conv_weight_layout() == ConvWeightLayout::ohwi;
  check(key, permuted ? permute_weight(values, stored(key).shape, true) : values);
}

void GoldenCase::check_batch_norm(const BatchNorm& bn, const std::string& prefix) {
  if (mode() == Mode::train) {
    check(prefix + "d_gamma", bn.d_gamma);
    check(prefix + "d_beta", bn.d_beta);
    check(prefix + "running_mean_after", bn.running_mean);
    check(prefix + "running_var_after", bn.running_var);
  } else {
    for (const auto& [name, running] :
         {std::pair{"running_mean", bn.running_mean}, std::pair{"running_var", bn.running_var}}) {
      check_equal(prefix + name, take(running), stored(prefix + name));
    }
  }
}

GoldenResult check_golden_cases(Backend& backend, const std::string& operation,
                                const std::function<void(Backend&, GoldenCase&)>& check) {
  const GoldenFile golden(operation);
  GoldenResult result;
  for (const auto& values : golden.cases()) {
    GoldenCase c(backend, golden, values);
    check(backend, c);
    ++result.cases;
    result.complaints.insert(result.complaints.end(), c.complaints().begin(), c.complaints().end());
  }
  if (result.cases == 0) result.complaints.push_back("no golden cases of " + operation);
  return result;
}

}  // namespace dpll::selftest
