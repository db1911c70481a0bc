#include "support/op_tolerances.h"

#include <algorithm>
#include <cmath>

#include "support/encode.h"

namespace dpll::test {
namespace {

// The article's constant is 1 + 1e-6 in the compute type, which is 1 + 2^-20 in float32. So log(c - p) is off
// by at most this much, for all labels outside of the sets of the batch together.
double effect_of_constant(const PllObjectiveCase& c, const Tensors& inputs) {
  const Plcr* const plcr = std::get_if<Plcr>(&c.spec.method);
  if (plcr == nullptr || plcr->variant != ObjectiveVariant::article) return 0;
  const HostTensor &logits = inputs.at("logits"), &candidates = inputs.at("candidates");
  const std::int64_t classes = c.spec.classes;
  double sum = 0;
  for (std::int64_t r = 0; r < c.spec.batch; ++r) {
    const std::int64_t position = std::int64_t{test_step().first} + r;
    const auto sample = c.ordered ? static_cast<std::int64_t>(inputs.at("order")[position]) : position;
    for (std::int64_t j = 0; j < classes; ++j) {
      if (candidates[sample * classes + j] != 0) continue;
      double others = 0;  // relative to exp(logit j): 1 - p = others / (1 + others)
      for (std::int64_t k = 0; k < classes; ++k) {
        if (k != j) others += std::exp(logits[r * classes + k] - logits[r * classes + j]);
      }
      const double rest = std::isinf(others) ? 1 : others / (1 + others);
      sum += (1e-6 - 0x1p-20) / (0x1p-20 + rest);
    }
  }
  return sum;
}

HostTensor field(const HostTensor& metrics, std::int64_t i) {
  HostTensor one({1});
  one[0] = metrics[i];
  return one;
}

}  // namespace

Tolerance rounding_of_sum(double length, double term) {
  return {kSafety * kEpsilon * std::sqrt(length), kSafety * kEpsilon * length * term};
}

Tolerance operator+(const Tolerance& a, const Tolerance& b) {
  return {a.relative + b.relative, a.absolute + b.absolute};
}

Conditioning conditioning_of(const Tensors& inputs, Mode mode, int views, const std::string& of,
                             const std::string& bn) {
  const HostTensor &x = inputs.at(of), &gamma = inputs.at(bn + ".gamma");
  const HostTensor stats = view_stats(x, views);
  const std::int64_t channels = gamma.elements(), per_view = x.elements() / views;
  Conditioning result;
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    const std::int64_t c = i % channels, v = i / per_view;
    const double var =
        mode == Mode::train ? stats[(v * 2 + 1) * channels + c] : inputs.at(bn + ".running_var")[c];
    const double sigma = std::sqrt(var + kBatchNormEpsilon);
    result.gain = std::max(result.gain, std::abs(gamma[c]) / sigma);
    result.offset = std::max(result.offset, std::abs(x[i]) / sigma);
    result.value = std::max(result.value, std::abs(gamma[c] * x[i]) / sigma);
  }
  return result;
}

Tolerance stored_in(DType type) {
  return {type == DType::f32 ? 0 : unit_roundoff(type), 0};
}

double largest(const HostTensor& tensor) {
  double result = 0;
  for (const double value : tensor.values) {
    if (std::isfinite(value)) result = std::max(result, std::abs(value));
  }
  return result;
}

Tolerance of_statistics(const HostTensor& stats, double error) {
  // The variances are among the statistics, and the mean of |value - mean| is at most their root.
  return {0, error + 2 * std::sqrt(largest(stats)) * error + error * error};
}

OpResult with_own_statistics(OpResult result, int views) {
  const auto found = result.outputs.find("y_stats");
  if (found == result.outputs.end()) return result;
  HostTensor difference = found->second;
  const HostTensor stats = view_stats(result.outputs.at("y"), views);
  for (std::int64_t i = 0; i < difference.elements(); ++i) difference[i] -= stats[i];
  result.outputs["y_stats, own"] = difference;
  return result;
}

Tolerance of_own_statistics(const Tensors& want) {
  const double y = largest(want.at("y"));
  return {0, kSafety * kEpsilon * (y + y * y)};
}

OpResult with_own_weight(OpResult result, std::int64_t weights, DType type) {
  for (const auto& [copy, of] : {std::pair{"weight", "value"}, std::pair{"average_weight", "average"}}) {
    HostTensor difference({weights});
    const auto found = result.outputs.find(copy);
    if (found != result.outputs.end()) {
      std::copy_n(result.outputs.at(of).values.begin(), weights, difference.values.begin());
      difference = rounded(type, difference);
      for (std::int64_t i = 0; i < weights; ++i) difference[i] -= found->second[i];
      result.outputs.erase(found);
    }
    result.outputs[copy + std::string(", own")] = difference;
  }
  return result;
}

// Everything between x, d_y and what is stored is float32.
Tolerances bn_relu_pool_tolerances(const BnReluPoolCase& c, const Tensors& inputs, DType type) {
  const BnReluPoolSpec& s = c.spec;
  const double rows = double(s.rows()) * s.height * s.width;
  Tolerances t;
  if (!s.batch_norm) {  // y is x, or an average of some
    t["y"] = Tolerance{kEpsilon, s.relu ? 0 : kSafety * kEpsilon * largest(inputs.at("x"))} + stored_in(type);
    t["d_x"] = Tolerance{kEpsilon, 0} + stored_in(type);
    return t;
  }
  const Conditioning bn = conditioning_of(inputs, s.mode, s.views);
  constexpr double kDy = 4;  // of about the largest |d_y|
  const auto of_gradients = [&](const Conditioning& of, const std::string& x, const std::string& norm) {
    t["d_" + x] =
        Tolerance{kSafety * kEpsilon, kSafety * kEpsilon * of.gain * kDy * (1 + of.offset)} + stored_in(type);
    t["d_" + norm + ".beta"] = rounding_of_sum(rows, 1);
    t["d_" + norm + ".gamma"] =
        t["d_" + norm + ".beta"] + Tolerance{0, std::sqrt(rows) * kSafety * kEpsilon * of.offset};
    t[norm + ".running_mean"] = t[norm + ".running_var"] = {kSafety * kEpsilon, 0};
  };
  of_gradients(bn, "x", "bn");
  double value = bn.value;
  if (s.shortcut == Shortcut::normalised) {
    const Conditioning of = conditioning_of(inputs, s.mode, s.views, "shortcut", "shortcut_bn");
    of_gradients(of, "shortcut", "shortcut_bn");
    value += of.value;
  } else if (s.shortcut != Shortcut::none) {
    t["d_shortcut"] = {};  // d_y, or 0
    value += largest(inputs.at("shortcut"));
  }
  if (s.shortcut != Shortcut::none) value += largest(inputs.at("bn.beta"));
  t["y"] = Tolerance{kSafety * kEpsilon, kSafety * kEpsilon * value} + stored_in(type);
  return t;
}

Tolerances linear_tolerances(const LinearCase& c) {
  constexpr double kX = 2;  // root mean square of x
  const LinearSpec& s = c.spec;
  const double weight = 1 / std::sqrt(s.in_features);
  Tolerances t;
  t["y"] = rounding_of_sum(s.in_features, kX * weight);
  // The mean of y, and the variance: its change is the mean of 2 |y - mean| times y's,
  // and y's standard deviation is at most 4 here.
  t["y_stats"] = {8 * t["y"].relative, 8 * t["y"].absolute};
  t["d_x"] = rounding_of_sum(s.out_features, weight);
  t["d_weight"] = rounding_of_sum(s.rows(), kX);
  t["d_bias"] = rounding_of_sum(s.rows(), 1);
  return t;
}

// y is stored twice: the product, and with its bias.
Tolerances linear_tolerances_in_16_bits(const LinearCase& c, DType type, const Tensors& inputs,
                                        const Tensors& want) {
  const double of_y = stored_in(type).relative * (2 * largest(want.at("y")) + largest(inputs.at("bias")));
  Tolerances t = linear_tolerances(c);
  t["y"] = t["y"] + Tolerance{0, of_y};
  if (c.spec.stats) {
    t["y_stats"] = t["y_stats"] + of_statistics(want.at("y_stats"), of_y);
    t["y_stats, own"] = of_own_statistics(want);
  }
  t["d_x"] = t["d_x"] + stored_in(type);
  t["d_weight"] = t["d_weight"] + stored_in(type);
  return t;
}

OpResult with_metric_fields(OpResult result) {
  const std::vector<std::string> names = {
      "samples", "total",          "supervised", "consistency", "labelled",  "correct",      "pseudo_correct",
      "covered", "target_entropy", "max",        "changed",     "nonfinite", "of_method[0]", "of_method[1]"};
  DPLL_CHECK(names.size() == kObjectiveMetricsFields, "{} names of metrics", names.size());
  for (const std::string table : {"last", "total"}) {
    const HostTensor metrics = result.outputs.at(table);
    result.outputs.erase(table);
    for (std::size_t i = 0; i < names.size(); ++i) {
      result.outputs[table + "." + names[i]] = field(metrics, static_cast<std::int64_t>(i));
    }
  }
  return result;
}

// Gradients may be smaller than float16's normal numbers.
constexpr double kHalfOfSmallestHalf = 0x1p-25;

// Everything but d_logits is computed and stored as in float32.
Tolerances pll_objective_tolerances(const PllObjectiveCase& c, const Tensors& inputs, DType type) {
  const double constant = effect_of_constant(c, inputs);
  Tolerances t;
  // Its derivative p (1 - p) / (c - p) changes by no more than log(c - p) itself. Terms of order 1 may
  // cancel, and double's rounding stays.
  t["d_logits"] = Tolerance{kEpsilon, (constant + 1e-14) * static_cast<double>(c.loss_scale) / c.spec.batch} +
                  stored_in(type) + Tolerance{0, type == DType::f16 ? kHalfOfSmallestHalf : 0};
  t["targets"] = t["kept"] = {0, kEpsilon / 2};
  for (const std::string table : {"last", "total"}) {
    for (const char* count :
         {"samples", "labelled", "correct", "pseudo_correct", "covered", "changed", "nonfinite"}) {
      t[table + "." + count] = {};
    }
    for (const char* loss :
         {"total", "supervised", "consistency", "target_entropy", "of_method[0]", "of_method[1]"}) {
      t[table + "." + loss] = {1e-12, 1e-11 + constant};
    }
    t[table + ".max"] = {1e-12, c.spec.batch * kEpsilon / 2};
  }
  return t;
}

Tolerances cross_entropy_tolerances() {
  return {{"sums", {1e-12, 0}}, {"predictions", {}}, {"confidences", {0, kEpsilon / 2}}};
}

Tolerances sgd_tolerances() {
  const Tolerance few_roundings = {4 * kEpsilon, 0};  // of values of order 1
  return {{"value", few_roundings},
          {"velocity", few_roundings},
          {"square", few_roundings},
          {"average", few_roundings},
          {"health", {}},
          {"weight, own", {}},
          {"average_weight, own", {}}};
}

Tolerances augment_tolerances(DType type) {
  // (pixel / 255 - mean) / std: three roundings of values of at most 1, divided by the smallest std.
  return {{"images", Tolerance{kEpsilon, 2 * kEpsilon / 0.224} + stored_in(type)}};
}

Tolerances feature_views_tolerances(DType type) {
  // x of at most 4 and noise * z of at most 0.5 * 5.8 (u is at least 2^-24): rounding of their sum, and of z
  // through log, sqrt, the angle (2 pi in float32 is off by 1.7e-7) and cos, a few units each.
  return {{"views", Tolerance{0, kSafety * kEpsilon * 4 + 8 * kEpsilon * 2.9} + stored_in(type)}};
}

std::string complaint_about(const std::string& what, std::uint64_t seed, const OpResult& got,
                            const OpResult& want, const Tolerances& tolerances) {
  if (!got.violations.empty()) return what + ": " + got.violations;
  if (got.outputs.size() != want.outputs.size()) return what + ": other outputs than the reference";
  for (const auto& [name, tensor] : want.outputs) {
    const std::string label = fmt::format("{}: {}", what, name);
    if (tolerances.count(name) != 1) return label + " has no tolerance";
    std::string wrong = difference(label, seed, got.outputs.at(name), tensor, tolerances.at(name));
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace dpll::test
