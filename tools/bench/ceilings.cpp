#include "bench/ceilings.h"

#include <algorithm>

#include "backend/host_copy.h"

namespace dpll::bench {
namespace {

constexpr int kRepetitions = 5;

// Medians of repetitions of about seconds / kRepetitions each, at least one call.
Measurement measure(Backend& backend, double seconds, const std::function<void()>& call) {
  call();
  const double once = std::max(backend.seconds_of(call), 1e-9);
  const int calls = std::max(1, static_cast<int>(seconds / kRepetitions / once));
  std::vector<std::vector<double>> repetitions;
  for (int r = 0; r < kRepetitions; ++r) {
    std::vector<double> times;
    for (int i = 0; i < calls; ++i) times.push_back(backend.seconds_of(call));
    repetitions.push_back(std::move(times));
  }
  return measurement_of(repetitions);
}

// Any numbers but 0, which some hardware multiplies faster.
void fill_with_small_numbers(Backend& backend, const Tensor& tensor) {
  std::vector<float> row(static_cast<std::size_t>(tensor.elements()));
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(i % 251) / 251.0F - 0.5F;
  write_floats(backend, tensor, row);
}

}  // namespace

Ceilings measure_ceilings(Backend& backend, double seconds) {
  Ceilings result;
  const bool gpu = !backend.host_addressable();
  // Far beyond the caches.
  result.copied_bytes = std::size_t{1} << (gpu ? 30 : 29);
  const Shape bytes{static_cast<std::int64_t>(result.copied_bytes)};
  {
    const Buffer from = backend.allocate(result.copied_bytes, "the copy benchmark");
    const Buffer to = backend.allocate(result.copied_bytes, "the copy benchmark");
    const Tensor source = from.tensor(DType::u8, bytes), target = to.tensor(DType::u8, bytes);
    const Measurement copy = measure(backend, seconds, [&] { backend.copy(target, source); });
    result.copy_bytes_per_second = 2 * static_cast<double>(result.copied_bytes) / copy.seconds.least;
    result.copy_spread = copy.spread;
  }
  result.product_size = gpu ? 8192 : 2048;
  const int n = result.product_size;
  const LinearSpec spec{.mode = Mode::eval, .batch = n, .in_features = n, .out_features = n};
  const auto op = backend.make_linear(spec);
  std::vector<Buffer> memory;
  const auto matrix = [&](DType dtype, const Shape& shape) {
    memory.push_back(backend.allocate(Tensor{nullptr, dtype, shape}.bytes(), "the matrix product benchmark"));
    const Tensor tensor = memory.back().tensor(dtype, shape);
    fill_with_small_numbers(backend, tensor);
    return tensor;
  };
  memory.push_back(backend.allocate(op->workspace_bytes(), "the matrix product benchmark"));
  const LinearForward call{.y = matrix(backend.compute_dtype(), {n, n}),
                           .x = matrix(backend.compute_dtype(), {n, n}),
                           .weight = matrix(backend.weight_dtype(), {n, n}),
                           .bias = matrix(backend.master_dtype(), {n}),
                           .workspace = memory.front().data()};
  const Measurement product = measure(backend, seconds, [&] { op->forward(call); });
  result.product_operations_per_second = 2.0 * n * n * n / product.seconds.least;
  result.product_spread = product.spread;
  return result;
}

}  // namespace dpll::bench
