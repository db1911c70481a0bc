// The objective and the update against PyTorch in float64.
#include <optional>

#include "selftest/golden_checks.h"

namespace dpll::selftest {
namespace {

// u8 [N, classes] to u64 [N, words]; see CandidateSets.
std::vector<std::uint64_t> packed(const std::vector<std::uint8_t>& mask, int classes) {
  const std::size_t words = (static_cast<std::size_t>(classes) + 63) / 64;
  const std::size_t samples = mask.size() / static_cast<std::size_t>(classes);
  std::vector<std::uint64_t> sets(samples * words);
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const std::size_t sample = i / static_cast<std::size_t>(classes),
                      j = i % static_cast<std::size_t>(classes);
    sets[sample * words + j / 64] |= std::uint64_t{mask[i]} << (j % 64);
  }
  return sets;
}

// What a method's keys() calls: takes the values of a golden case.
struct KeysOfCase {
  const nlohmann::json& values;

  void choice(const char* name, ObjectiveVariant& member, const char* /*doc*/) const {
    if (!values.contains(name)) return;
    member = values.at(name) == "published" ? ObjectiveVariant::published : ObjectiveVariant::article;
  }
  // A case has the scalars themselves, so it does not matter how they grow.
  void choice(const char* /*name*/, RampUnit& /*member*/, const char* /*doc*/) const {}
  void real(const char* name, double& member, double /*low*/, double /*high*/, const char* /*doc*/) const {
    member = values.value(name, member);
  }
  void integer(const char* name, int& member, int /*low*/, int /*high*/, const char* /*doc*/) const {
    member = values.value(name, member);
  }
};

}  // namespace

Method golden_method(const std::string& name, const nlohmann::json& keys) {
  std::optional<Method> chosen;
  Methods methods;
  for_each_method(methods, [&](auto& method) {
    if (name != method.about.name) return;
    method.keys(KeysOfCase{keys});
    chosen = method;
  });
  if (!chosen.has_value()) fail(ExitCode::internal, "golden values of an unknown method '{}'", name);
  return *chosen;
}

void check_objective(Backend& backend, GoldenCase& c) {
  // The article's constant is rounded to the compute type; this matters if a probability is near 1.
  const auto compute = c.value<std::string>("compute");
  if (compute != "any" && compute != name_of(backend.compute_dtype())) return;
  const int classes = c.value<int>("classes");
  const std::int64_t samples = c.value<int>("samples");
  const PllObjectiveSpec spec{
      .views = c.value<int>("views"),
      .batch = c.value<int>("batch"),
      .classes = classes,
      .method = golden_method(c.value<std::string>("method"), c.value<nlohmann::json>("keys"))};
  const auto op = backend.make_pll_objective(spec);
  const std::vector<std::uint64_t> sets = packed(c.file().get<std::uint8_t>(c.name() + "/mask"), classes);
  const Tensor candidates{
      c.memory(sets.size() * 8), DType::u64, {samples, std::int64_t{(classes + 63) / 64}}};
  backend.copy_in(candidates, sets.data());
  auto* last = static_cast<ObjectiveMetrics*>(c.memory(sizeof(ObjectiveMetrics)));
  auto* total = static_cast<ObjectiveMetrics*>(c.memory(sizeof(ObjectiveMetrics)));

  const MethodFacts facts = facts_of(spec.method);
  const PllObjectiveCall call{
      .d_logits = c.compute_output("d_logits"),
      .targets = c.master_input("targets"),
      .kept = facts.kept_rows > 0 ? c.master_input("kept") : Tensor{},
      .last = last,
      .total = total,
      .logits = c.compute_input("logits"),
      .teacher_logits = facts.has_teacher ? c.compute_input("teacher_logits") : Tensor{},
      .candidates = candidates,
      .labels = c.put_int32(c.file().get<std::int32_t>(c.name() + "/labels")),
      .class_values = facts.has_class_values ? c.master_input("class_values") : Tensor{},
      .rows = {.step = c.put_step({.first = c.value<std::uint32_t>("first"),
                                   .scalars = {c.value<float>("lambda")},
                                   .loss_scale = c.value<float>("loss_scale")}),
               .order = c.put_int32(c.file().get<std::int32_t>(c.name() + "/order"))},
      .workspace = c.memory(op->workspace_bytes())};
  op->run(call);
  // The golden values themselves are rounded: PyTorch's gradient of a softmax is off by 2^-52 of a
  // probability.
  c.check("d_logits", call.d_logits, 0x1p-50 * static_cast<double>(c.value<float>("loss_scale")));
  c.check("targets_after", call.targets);
  if (call.kept.defined()) c.check("kept_after", call.kept);
  const Tensor metrics{last, DType::f64, {kObjectiveMetricsFields}};
  c.check("metrics", metrics);

  // A second step, from the new targets, adds to the totals.
  const HostTensor first = c.take(metrics);
  op->run(call);
  HostTensor sum = c.take(metrics);
  for (std::int64_t i = 0; i < sum.elements(); ++i) sum[i] += first[i];
  c.check_equal("total", c.take({total, DType::f64, {kObjectiveMetricsFields}}), sum);
}

void check_sgd(Backend& backend, GoldenCase& c) {
  const HostTensor gradients = c.stored("gradients"), rates = c.stored("learning_rates");
  const HostTensor values = c.stored("values");
  const std::int64_t steps = gradients.shape[0], elements = gradients.shape[1];
  const auto kind = c.value<std::string>("kind", "sgd");
  const SgdSpec spec{.kind = kind == "adam"    ? OptimiserKind::adam
                             : kind == "adamw" ? OptimiserKind::adamw
                                               : OptimiserKind::sgd,
                     .elements = elements,
                     .momentum = c.value<double>("momentum"),
                     .weight_decay = c.value<double>("weight_decay"),
                     .nesterov = c.value<bool>("nesterov"),
                     .beta1 = c.value<double>("beta1", 0.9),
                     .beta2 = c.value<double>("beta2", 0.999),
                     .epsilon = c.value<double>("epsilon", 1e-8),
                     .ema = c.value<double>("ema")};
  const auto op = backend.make_sgd(spec);
  SgdCall call{.value = c.master_input("value"),
               .velocity = c.put(HostTensor({elements}), backend.master_dtype()),
               .health = static_cast<UpdateHealth*>(c.memory(sizeof(UpdateHealth)))};
  if (kind != "sgd") call.square = c.put(HostTensor({elements}), backend.master_dtype());
  if (spec.ema > 0) call.average = c.master_input("value");
  HostTensor got_values(values.shape), got_averages(values.shape);
  for (std::int64_t step = 0; step < steps; ++step) {
    HostTensor gradient({elements});
    for (std::int64_t i = 0; i < elements; ++i) gradient[i] = gradients[step * elements + i];
    call.d_value = c.put(gradient, backend.master_dtype());
    call.step = c.put_step(
        {.learning_rate = static_cast<float>(rates[step]), .loss_scale = c.value<float>("loss_scale")});
    op->run(call);
    const HostTensor value = c.take(call.value);
    for (std::int64_t i = 0; i < elements; ++i) got_values[step * elements + i] = value[i];
    if (spec.ema > 0) {
      const HostTensor average = c.take(call.average);
      for (std::int64_t i = 0; i < elements; ++i) got_averages[step * elements + i] = average[i];
    }
  }
  c.check("values", got_values);
  if (spec.momentum > 0) c.check("velocity", call.velocity);
  if (kind != "sgd") c.check("square", call.square);
  if (spec.ema > 0) c.check("averages", got_averages);
}

}  // namespace dpll::selftest
