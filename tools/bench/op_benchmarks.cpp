#include "bench/op_benchmarks.h"

#include <algorithm>
#include <cmath>

#include "support/preact_conv_tolerances.h"
#include "support/random.h"

namespace dpll::bench {
namespace {

using namespace dpll::test;

constexpr std::uint64_t kSeed = 1;
// Of [V * small, ...] a [V * (small * times), ...] in which every view repeats its rows.
HostTensor rows_repeated(const HostTensor& tensor, int views, int times) {
  const Shape& s = tensor.shape;
  HostTensor result(s.rank() == 2 ? Shape{s[0] * times, s[1]} : Shape{s[0] * times, s[1], s[2], s[3]});
  const auto view = static_cast<std::ptrdiff_t>(tensor.elements() / views);
  auto to = result.values.begin();
  for (int v = 0; v < views; ++v) {
    const auto from = tensor.values.begin() + v * view;
    for (int i = 0; i < times; ++i) to = std::copy(from, from + view, to);
  }
  return result;
}

HostTensor multiplied(HostTensor tensor, double factor) {
  for (double& value : tensor.values) value *= factor;
  return tensor;
}

// Running variances hold the unbiased variance of each view, n / (n - 1) times the biased one, and n differs;
// 1 counts as 2.
HostTensor running_var_of_more(const HostTensor& small, const HostTensor& before, int views, double small_n,
                               double n) {
  const double kept = std::pow(1 - kBatchNormMomentum, views);
  const auto unbiased = [](double count) { return std::max(count, 2.0) / (std::max(count, 2.0) - 1); };
  const double factor = unbiased(n) / unbiased(small_n);
  HostTensor result = small;
  for (std::int64_t i = 0; i < result.elements(); ++i) {
    result[i] = (small[i] - kept * before[i]) * factor + kept * before[i];
  }
  return result;
}

double forward_macs(const PreactConvSpec& s) {
  return double(s.rows()) * s.out_height() * s.out_width() * s.out_channels * s.in_channels * s.kernel *
         s.kernel;
}

// The case with as few samples a view as the reference can compute and the real number is a multiple of.
PreactConvCase cut_down(PreactConvCase c, double most_macs) {
  const double macs_of_sample = forward_macs(c.spec) / c.spec.batch;
  const int batch = c.spec.batch;
  while (c.spec.batch > 1 && (batch % c.spec.batch != 0 || macs_of_sample * c.spec.batch > most_macs)) {
    --c.spec.batch;
  }
  return c;
}

// What is rounded on the way is rounded in the same way in every copy of a sample, so the errors of a sum
// over all rows are multiples as well.
Tolerance of_copies(const Tolerance& sum, const Tolerance& small_sum, int times) {
  return {sum.relative, std::max(sum.absolute, times * small_sum.absolute)};
}

OpBenchmark::Prepared prepare_preact_conv(const PreactConvCase& c, DType type,
                                          const ReferenceLimits& limits) {
  const PreactConvCase small = cut_down(c, limits.macs);
  DPLL_CHECK(c.spec.dropout == 0, "samples are repeated, but dropout is another one for each");
  const int views = c.spec.views, times = c.spec.batch / small.spec.batch;
  const bool wide = type == DType::f32;
  const auto run = [wide](Backend& backend, const PreactConvCase& of, const Tensors& inputs) {
    OpResult result = run_preact_conv(backend, of, inputs, Passes::forward_and_backward);
    return wide ? result : with_own_statistics(std::move(result), of.spec.views);
  };
  const Tensors small_inputs = preact_conv_inputs(small, kSeed, type);
  OpBenchmark::Prepared result;
  result.want = run(*make_reference_backend(), small, small_inputs);
  Tensors& want = result.want.outputs;
  const auto tolerances_of = [&](const PreactConvCase& of) {
    return wide ? preact_conv_tolerances(of, small_inputs, kEpsilon)
                : preact_conv_tolerances_in_16_bits(of, type, small_inputs, want);
  };
  result.tolerances = tolerances_of(c);
  const Tolerances small_tolerances = tolerances_of(small);
  Tensors inputs = small_inputs;
  for (const char* rows : {"x", "residual", "d_y", "d_projected", "d_x"}) {
    if (inputs.count(rows) != 0) inputs[rows] = rows_repeated(inputs[rows], views, times);
  }
  for (const char* rows : {"y", "projected", "d_x"}) {
    if (want.count(rows) != 0) want[rows] = rows_repeated(want[rows], views, times);
  }
  for (const char* sum : {"d_weight", "d_bias", "d_projection_weight", "d_bn.gamma", "d_bn.beta"}) {
    if (want.count(sum) == 0) continue;
    want[sum] = multiplied(want[sum], times);
    result.tolerances[sum] = of_copies(result.tolerances.at(sum), small_tolerances.at(sum), times);
  }
  if (want.count("bn.running_var") != 0 && c.spec.mode == Mode::train) {
    const double n = double(small.spec.batch) * c.spec.height * c.spec.width;
    want["bn.running_var"] =
        running_var_of_more(want["bn.running_var"], small_inputs.at("bn.running_var"), views, n, n * times);
  }
  result.run = [c, run, inputs = std::move(inputs)](Backend& backend) { return run(backend, c, inputs); };
  return result;
}

HostTensor repeated_to(const HostTensor& tensor, std::int64_t elements) {
  HostTensor result({elements});
  for (std::int64_t i = 0; i < elements; ++i) result[i] = tensor[i % tensor.elements()];
  return result;
}

OpBenchmark::Prepared prepare_sgd(const SgdCase& c, DType type, const ReferenceLimits& limits) {
  SgdCase small = c;
  small.spec.elements = std::min(c.spec.elements, limits.parameters);
  small.spec.weights = std::min(c.spec.weights, small.spec.elements);
  const auto run = [](Backend& backend, const SgdCase& of, const Tensors& inputs) {
    return with_own_weight(run_sgd(backend, of, inputs), of.spec.weights, backend.weight_dtype());
  };
  Tensors inputs = sgd_inputs(small, kSeed, type);
  OpBenchmark::Prepared result;
  result.tolerances = sgd_tolerances();
  result.want = run(*make_reference_backend(), small, inputs);
  for (Tensors* tensors : {&inputs, &result.want.outputs}) {
    for (auto& [name, tensor] : *tensors) {
      if (name == "value" || name == "velocity" || name == "square" || name == "average" ||
          name == "d_value") {
        tensor = repeated_to(tensor, c.spec.elements);
      }
    }
  }
  for (const char* copy : {"weight, own", "average_weight, own"}) {
    result.want.outputs[copy] = HostTensor({c.spec.weights});  // no difference
  }
  result.run = [c, run, inputs = std::move(inputs)](Backend& backend) { return run(backend, c, inputs); };
  return result;
}

// Where the reference computes the case itself.
template <typename Run>
OpBenchmark::Prepared prepared(Run run, Tolerances tolerances) {
  return {run, run(*make_reference_backend()), std::move(tolerances)};
}

OpBenchmark::Prepared prepare_linear(const LinearCase& c, DType type) {
  const bool wide = type == DType::f32;
  const Tensors inputs = linear_inputs(c, kSeed, type);
  const auto run = [c, wide, inputs](Backend& backend) {
    OpResult result = run_linear(backend, c, inputs, Passes::forward_and_backward);
    return wide ? result : with_own_statistics(std::move(result), c.spec.views);
  };
  const OpResult want = run(*make_reference_backend());
  return {run, want,
          wide ? linear_tolerances(c) : linear_tolerances_in_16_bits(c, type, inputs, want.outputs)};
}

std::vector<std::string> both_passes(Mode mode) {
  return mode == Mode::train ? std::vector<std::string>{"forward", "backward"}
                             : std::vector<std::string>{"forward"};
}

struct Cases {
  std::vector<PreactConvCase> preact_conv;
  std::vector<BnReluPoolCase> bn_relu_pool;
  std::vector<LinearCase> linear;
  std::vector<PllObjectiveCase> pll_objective;
  std::vector<SgdCase> sgd;
  std::vector<AugmentCase> augment;
  std::vector<FeatureViewsCase> feature_views;
  struct Evaluation {
    const char* name;
    int rows, classes;
  };
  std::vector<Evaluation> cross_entropy;
};

OpBenchmark::Prepared prepare_cross_entropy(const Cases::Evaluation& c, DType type) {
  Random random(kSeed);
  Tensors inputs;
  inputs["logits"] = rounded(type, random.normal_tensor({c.rows, c.classes}, 0, 2));
  inputs["labels"] = HostTensor({c.rows + 5});  // run_cross_entropy()'s tables have as many rows
  for (double& label : inputs["labels"].values) label = random.below(c.classes);
  inputs["sums"] = HostTensor({3});
  return prepared([inputs](Backend& backend) { return run_cross_entropy(backend, inputs); },
                  cross_entropy_tolerances());
}

std::vector<OpBenchmark> benchmarks_of(const Cases& cases, const ReferenceLimits& limits) {
  std::vector<OpBenchmark> all;
  for (const PreactConvCase& c : cases.preact_conv) {
    all.push_back({"preact_conv", c.name, both_passes(c.spec.mode),
                   [c, limits](DType type) { return prepare_preact_conv(c, type, limits); }});
  }
  for (const BnReluPoolCase& c : cases.bn_relu_pool) {
    all.push_back({"bn_relu_pool", c.name, both_passes(c.spec.mode), [c](DType type) {
                     const Tensors inputs = bn_relu_pool_inputs(c, kSeed, type);
                     return prepared(
                         [c, inputs](Backend& backend) {
                           return run_bn_relu_pool(backend, c, inputs, Passes::forward_and_backward);
                         },
                         bn_relu_pool_tolerances(c, inputs, type));
                   }});
  }
  for (const LinearCase& c : cases.linear) {
    all.push_back(
        {"linear", c.name, both_passes(c.spec.mode), [c](DType type) { return prepare_linear(c, type); }});
  }
  for (const PllObjectiveCase& c : cases.pll_objective) {
    all.push_back({"pll_objective", c.name, {"run"}, [c](DType type) {
                     const Tensors inputs = pll_objective_inputs(c, kSeed, type);
                     return prepared(
                         [c, inputs](Backend& backend) {
                           return with_metric_fields(run_pll_objective(backend, c, inputs));
                         },
                         pll_objective_tolerances(c, inputs, type));
                   }});
  }
  for (const Cases::Evaluation& c : cases.cross_entropy) {
    all.push_back(
        {"cross_entropy", c.name, {"run"}, [c](DType type) { return prepare_cross_entropy(c, type); }});
  }
  for (const SgdCase& c : cases.sgd) {
    all.push_back({"sgd", c.name, {"run"}, [c, limits](DType type) { return prepare_sgd(c, type, limits); }});
  }
  for (const AugmentCase& c : cases.augment) {
    all.push_back({"augment", c.name, {"run"}, [c](DType type) {
                     return prepared([c, inputs = augment_inputs(c, kSeed)](
                                         Backend& backend) { return run_augment(backend, c, inputs); },
                                     augment_tolerances(type));
                   }});
  }
  for (const FeatureViewsCase& c : cases.feature_views) {
    all.push_back({"feature_views", c.name, {"run"}, [c](DType type) {
                     return prepared([c, inputs = feature_views_inputs(c, kSeed)](
                                         Backend& backend) { return run_feature_views(backend, c, inputs); },
                                     feature_views_tolerances(type));
                   }});
  }
  return all;
}

}  // namespace

std::vector<OpBenchmark> op_benchmarks() {
  return benchmarks_of({.preact_conv = benchmark_preact_conv_cases(),
                        .bn_relu_pool = benchmark_bn_relu_pool_cases(),
                        .linear = benchmark_linear_cases(),
                        .pll_objective = benchmark_pll_objective_cases(),
                        .sgd = benchmark_sgd_cases(),
                        .augment = benchmark_augment_cases(),
                        .feature_views = benchmark_feature_views_cases(),
                        .cross_entropy = {{"250 c10", 250, 10}, {"250 c100", 250, 100}}},
                       {});
}

std::vector<OpBenchmark> small_op_benchmarks(const ReferenceLimits& limits) {
  Cases cases{.preact_conv = {},
              .bn_relu_pool = small_bn_relu_pool_cases(),
              .linear = small_linear_cases(),
              .pll_objective = small_pll_objective_cases(),
              .sgd = small_sgd_cases(),
              .augment = small_augment_cases(),
              .feature_views = small_feature_views_cases(),
              .cross_entropy = {{"small", 7, 3}}};
  for (const PreactConvCase& c : small_preact_conv_cases()) {
    if (c.spec.dropout == 0) cases.preact_conv.push_back(c);
  }
  return benchmarks_of(cases, limits);
}

std::string complaint_about(const OpBenchmark& benchmark, const OpBenchmark::Prepared& prepared,
                            Backend& backend) {
  return test::complaint_about(benchmark.op + " " + benchmark.name, kSeed, prepared.run(backend),
                               prepared.want, prepared.tolerances);
}

}  // namespace dpll::bench
