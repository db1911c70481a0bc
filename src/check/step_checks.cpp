// The operations around the network: views, objective and update. The CPU backend computes each of them from
// the same numbers; each value may differ by a few roundings.
#include <array>
#include <cmath>

#include "check/operation_checks.h"
#include "core/half.h"

namespace dpll::check {
namespace {

constexpr std::array<const char*, kObjectiveMetricsFields> kMetricNames = {
    "samples", "total",          "supervised", "consistency", "labelled",  "correct",      "pseudo_correct",
    "covered", "target_entropy", "max",        "changed",     "nonfinite", "of_method[0]", "of_method[1]"};

Floats fields_of(const ObjectiveMetrics& metrics) {
  std::array<double, kObjectiveMetricsFields> fields;
  std::memcpy(fields.data(), &metrics, sizeof(fields));
  return {fields.begin(), fields.end()};
}

// Samples whose two largest new targets differ only by rounding, so that either may be the largest.
double near_ties(const CheckContext& context, const PllObjectiveSpec& s, const Floats& targets) {
  double ties = 0;
  const auto classes = static_cast<std::size_t>(s.classes);
  for (int row = 0; row < s.batch; ++row) {
    float largest = 0, second = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      const float target = targets[context.rows.sample(row) * classes + k];
      second = std::max(second, std::min(largest, target));
      largest = std::max(largest, target);
    }
    if (largest - second <= 4 * static_cast<float>(kFloatRoundoff) * largest) ties += 1;
  }
  return ties;
}

void check_metrics(const CheckContext& context, const std::string& name, const ObjectiveMetrics& got,
                   const ObjectiveMetrics& want, double ties) {
  const Floats values = fields_of(want);
  const Shape shape{kObjectiveMetricsFields};
  Outcome outcome = compare_elements(fields_of(got), values, shape, [&](std::int64_t i) {
    const std::string field = kMetricNames[static_cast<std::size_t>(i)];
    if (field == "pseudo_correct" || field == "changed") return ties;
    const bool sum = field == "total" || field == "supervised" || field == "consistency" ||
                     field == "target_entropy" || field == "max" || field.starts_with("of_method");
    const double largest = std::max({1.0, std::abs(want.total), want.consistency, want.supervised});
    return sum ? 8 * kFloatRoundoff * std::max(largest, want.target_entropy) : 0.0;
  });
  for (std::size_t i = 0; i < kMetricNames.size(); ++i) {
    if (outcome.where == fmt::format("[{}]", i)) outcome.where = kMetricNames[i];
  }
  context.report(name, shape, outcome);
}

Floats rounded(DType type, Floats values) {
  for (float& value : values) {
    value = type == DType::f16    ? f16_to_float(float_to_f16(value))
            : type == DType::bf16 ? bf16_to_float(float_to_bf16(value))
                                  : value;
  }
  return values;
}

Floats joined(const Floats& first, const Floats& second) {
  Floats result = first;
  result.insert(result.end(), second.begin(), second.end());
  return result;
}

}  // namespace

void check_call(const CheckContext& context, const RecordedCall<PllObjectiveSpec, PllObjectiveCall>& call) {
  const PllObjectiveSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const std::unique_ptr<PllObjective> op = context.cpu.make_pll_objective(s);
  CpuTensors make(context.cpu);
  PllObjectiveCall mine;
  const Shape logits{std::int64_t{s.views} * s.batch, s.classes}, table = before.shape("targets");
  mine.d_logits = make.empty(DType::f32, logits);
  mine.targets = make.of(before["targets"], table);
  mine.last = make.place(ObjectiveMetrics{});
  mine.total = make.place(before.as<ObjectiveMetrics>("total"));
  mine.logits = make.of(before["logits"], logits);
  mine.candidates = make.of(before, "candidates", DType::u64);
  if (before.has("labels")) mine.labels = make.of(before, "labels", DType::i32);
  if (before.has("kept")) mine.kept = make.of(before["kept"], before.shape("kept"));
  if (before.has("class_values")) mine.class_values = make.of(before["class_values"], {s.classes});
  mine.rows = make.rows(context.rows);
  mine.workspace = make.bytes(op->workspace_bytes());
  op->run(mine);

  const Floats d_logits = make.values(mine.d_logits), targets = make.values(mine.targets);
  const double of_scale = 1e-12 * static_cast<double>(context.rows.step.loss_scale) / s.batch;
  context.report("d_logits", logits,
                 compare_elements(after["d_logits"], d_logits, logits, [&](std::int64_t i) {
                   const double value = static_cast<double>(d_logits[static_cast<std::size_t>(i)]);
                   return 2 * context.arithmetic.of_storing(std::abs(value)) + of_scale;
                 }));
  context.report("targets", table, compare_elements(after["targets"], targets, table, [&](std::int64_t i) {
                   return 4 * kFloatRoundoff * static_cast<double>(targets[static_cast<std::size_t>(i)]) +
                          1e-30;
                 }));
  if (before.has("kept")) {
    const Floats kept = make.values(mine.kept);
    const Shape& shape = before.shape("kept");
    context.report("kept", shape, compare_elements(after["kept"], kept, shape, [&](std::int64_t i) {
                     return 4 * kFloatRoundoff *
                                std::abs(static_cast<double>(kept[static_cast<std::size_t>(i)])) +
                            1e-30;
                   }));
  }
  const double ties = near_ties(context, s, targets);
  check_metrics(context, "last", after.as<ObjectiveMetrics>("last"), *mine.last, ties);
  check_metrics(context, "total", after.as<ObjectiveMetrics>("total"), *mine.total, ties);
}

void check_call(const CheckContext& context, const RecordedCall<SgdSpec, SgdCall>& call) {
  const SgdSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const std::unique_ptr<Sgd> op = context.cpu.make_sgd(s);
  CpuTensors make(context.cpu);
  const Shape all{s.elements};
  SgdCall mine;
  mine.value = make.of(before["value"], all);
  mine.velocity = make.of(before["velocity"], all);
  const bool adam = s.kind != OptimiserKind::sgd;
  if (adam) mine.square = make.of(before["square"], all);
  if (s.ema > 0) mine.average = make.of(before["average"], all);
  mine.health = make.place(before.as<UpdateHealth>("health"));
  mine.step = make.place(before.as<StepState>("step"));
  mine.d_weight = make.of(before["d_weight"], {s.weights});
  mine.d_value = make.of(before["d_value"], {s.elements - s.weights});
  op->run(mine);

  // The size of the summands of each value, before they cancel.
  const Floats gradient = joined(before["d_weight"], before["d_value"]);
  const Floats &value = before["value"], &velocity = before["velocity"];
  const auto step = before.as<StepState>("step");
  const double rate = static_cast<double>(step.learning_rate), scale = static_cast<double>(step.loss_scale);
  const auto of_gradient = [&](std::size_t i) {
    return std::abs(static_cast<double>(gradient[i])) / scale +
           s.weight_decay * std::abs(static_cast<double>(value[i]));
  };
  const auto of_velocity = [&](std::size_t i) {
    return (adam ? 1 : s.momentum) * std::abs(static_cast<double>(velocity[i])) + of_gradient(i);
  };
  const AdamCorrection correction = adam_correction(s, mine.health->updates);
  const auto of_value = [&](std::size_t i) {
    if (adam) {
      const double root = std::sqrt(static_cast<double>(mine.square.as<float>()[i]));
      const double moment = std::abs(static_cast<double>(velocity[i])) + of_gradient(i);
      return std::abs(static_cast<double>(value[i])) * (1 + rate * s.weight_decay) +
             rate / correction.first * moment / (root / correction.second_root + s.epsilon);
    }
    const double update = s.nesterov ? of_gradient(i) + s.momentum * of_velocity(i) : of_velocity(i);
    return std::abs(static_cast<double>(value[i])) + rate * update;
  };
  const auto report = [&](const char* name, const Tensor& want, const auto& scale_of) {
    context.report(name, all, compare_elements(after[name], make.values(want), all, [&](std::int64_t i) {
                     const double terms = scale_of(static_cast<std::size_t>(i));
                     // If a gradient is not finite, nothing changes.
                     return std::isfinite(terms) ? 8 * kFloatRoundoff * terms : 0.0;
                   }));
  };
  report("value", mine.value, of_value);
  report("velocity", mine.velocity, of_velocity);
  if (adam) {
    report("square", mine.square, [&](std::size_t i) {
      return std::abs(static_cast<double>(before["square"][i])) + of_gradient(i) * of_gradient(i);
    });
  }
  if (s.ema > 0) {
    report("average", mine.average,
           [&](std::size_t i) { return std::abs(static_cast<double>(before["average"][i])) + of_value(i); });
  }
  const auto health = [](const UpdateHealth& h, const StepState& of_step) {
    return Floats{static_cast<float>(h.nonfinite),
                  static_cast<float>(h.skipped),
                  static_cast<float>(h.good_steps),
                  static_cast<float>(h.halted),
                  of_step.loss_scale,
                  static_cast<float>(h.updates)};
  };
  const Shape fields{6};
  context.report(
      "health and loss scale", fields,
      compare_elements(health(after.as<UpdateHealth>("health"), after.as<StepState>("step")),
                       health(*mine.health, *mine.step), fields, [](std::int64_t) { return 0.0; }));
  if (!after.has("weight")) return;
  Floats masters = after["value"];
  masters.resize(static_cast<std::size_t>(s.weights));
  context.report("weight", {s.weights},
                 compare_elements(after["weight"], rounded(context.arithmetic.type, masters), {s.weights},
                                  [](std::int64_t) { return 0.0; }));
}

void check_weight_copy(const CheckContext& context, const std::string& name, const Shape& shape,
                       const Floats& copy, const Floats& master) {
  context.report(name, shape,
                 compare_elements(copy, rounded(context.arithmetic.type, master), shape,
                                  [](std::int64_t) { return 0.0; }));
}

void check_call(const CheckContext& context, const RecordedCall<AugmentSpec, AugmentCall>& call) {
  AugmentSpec s = call.spec;
  s.zero_channels = 0;
  const std::unique_ptr<Augment> op = context.cpu.make_augment(s);
  CpuTensors make(context.cpu);
  const AugmentCall mine{
      .images = make.empty(DType::f32, {std::int64_t{s.views} * s.batch, s.height, s.width, s.channels}),
      .pixels = make.of(call.before, "pixels", DType::u8),
      .rows = make.rows(context.rows)};
  op->run(mine);
  const Floats images = make.values(mine.images);
  const auto channels = static_cast<std::size_t>(s.channels),
             zero = static_cast<std::size_t>(call.spec.zero_channels);
  Floats want;
  for (std::size_t at = 0; at < images.size(); at += channels) {
    want.insert(want.end(), images.begin() + static_cast<std::ptrdiff_t>(at),
                images.begin() + static_cast<std::ptrdiff_t>(at + channels));
    want.insert(want.end(), zero, 0.0F);
  }
  double deviation = 1;
  for (std::size_t c = 0; c < channels; ++c) deviation = std::min(deviation, static_cast<double>(s.std[c]));
  const Shape& shape = call.after.shape("images");
  // (pixel / 255 - mean) / std: roundings of values of at most 1, divided by the smallest std.
  context.report("images", shape, compare_elements(call.after["images"], want, shape, [&](std::int64_t i) {
                   const auto at = static_cast<std::size_t>(i);
                   if (at % (channels + zero) >= channels) return 0.0;
                   return 2 * context.arithmetic.of_storing(std::abs(static_cast<double>(want[at]))) +
                          4 * kFloatRoundoff / deviation;
                 }));
}

void check_call(const CheckContext& context, const RecordedCall<FeatureViewsSpec, FeatureViewsCall>& call) {
  const FeatureViewsSpec& s = call.spec;
  const std::unique_ptr<FeatureViews> op = context.cpu.make_feature_views(s);
  CpuTensors make(context.cpu);
  const FeatureViewsCall mine{.views = make.empty(DType::f32, call.after.shape("views")),
                              .features = make.of(call.before["features"], call.before.shape("features")),
                              .rows = make.rows(context.rows)};
  op->run(mine);
  const Floats want = make.values(mine.views);
  // Normal numbers up to 5.8, computed with log, sqrt and cos, have an error of a few units in the last
  // place.
  const double noise = static_cast<double>(std::max(s.weak.noise, s.strong.noise));
  context.report("views", mine.views.shape,
                 compare_elements(call.after["views"], want, mine.views.shape, [&](std::int64_t i) {
                   const double value = std::abs(static_cast<double>(want[static_cast<std::size_t>(i)]));
                   return 2 * context.arithmetic.of_storing(value) +
                          4 * kFloatRoundoff * (value + 16 * noise);
                 }));
}

}  // namespace dpll::check
