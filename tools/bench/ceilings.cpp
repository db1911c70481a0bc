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
    times.reserve(static_cast<std::size_t>(calls));
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

// n x n x n, through the operation whose products are of Backend::product_dtype().
Measurement measure_product(Backend& backend, int n, double seconds) {
  std::vector<Buffer> memory;
  const auto take = [&](std::size_t bytes) -> const Buffer& {
    memory.push_back(backend.allocate(bytes, "the matrix product benchmark"));
    return memory.back();
  };
  const auto matrix = [&](DType dtype, const Shape& shape) {
    const Tensor tensor = take(Tensor{nullptr, dtype, shape}.bytes()).tensor(dtype, shape);
    fill_with_small_numbers(backend, tensor);
    return tensor;
  };
  const DType compute = backend.compute_dtype();
  if (backend.product_dtype() == compute) {
    const auto op =
        backend.make_linear({.mode = Mode::eval, .batch = n, .in_features = n, .out_features = n});
    const LinearForward call{.y = matrix(compute, {n, n}),
                             .x = matrix(compute, {n, n}),
                             .weight = matrix(backend.weight_dtype(), {n, n}),
                             .bias = matrix(backend.master_dtype(), {n}),
                             .workspace = take(op->workspace_bytes()).data()};
    return measure(backend, seconds, [&] { op->forward(call); });
  }
  // Only factors of convolutions are of another type: rows as pixels, in images of a good size for a core.
  constexpr int kSide = 16;
  const int images = n / (kSide * kSide);
  const Shape rows{images, kSide, kSide, n};
  const auto op = backend.make_preact_conv({.mode = Mode::eval,
                                            .batch = images,
                                            .height = kSide,
                                            .width = kSide,
                                            .in_channels = n,
                                            .out_channels = n,
                                            .kernel = 1,
                                            .pad = 0,
                                            .preact = false});
  const PreactConvForward call{.y = matrix(compute, rows),
                               .x = matrix(compute, rows),
                               .weight = matrix(backend.weight_dtype(), {n, n, 1, 1}),
                               .workspace = take(op->workspace_bytes()).data()};
  return measure(backend, seconds, [&] { op->forward(call); });
}

}  // namespace

Ceilings measure_ceilings(Backend& backend, double seconds) {
  Ceilings result;
  const bool gpu = backend.is_gpu();
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
  const Measurement product = measure_product(backend, n, seconds);
  result.product_operations_per_second = 2.0 * n * n * n / product.seconds.least;
  result.product_spread = product.spread;
  return result;
}

double kernel_gap_seconds(Backend& backend) {
  constexpr int kFew = 100, kMany = 1100;
  const Buffer memory = backend.allocate(sizeof(StepState), "the kernel gap benchmark");
  const AdvanceCall call{.step = static_cast<StepState*>(memory.data())};
  const auto seconds_of = [&](int calls) {
    const std::function<void()> replay = backend.record([&backend, &call, calls] {
      for (int i = 0; i < calls; ++i) backend.advance(call);
    });
    return measure(backend, 0.02, replay).seconds.least;
  };
  // The difference leaves out what starting the sequence takes.
  return std::max(0.0, seconds_of(kMany) - seconds_of(kFew)) / (kMany - kFew);
}

}  // namespace dpll::bench
