// The operations around the network: objective, evaluation, update, augmentation.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "support/guarded_memory.h"
#include "support/op_runner.h"
#include "support/random.h"

namespace dpll::test {
namespace {

constexpr int kSpareSamples = 5;  // tables have that many rows more than the batch
constexpr std::uint32_t kFirst = 2;

template <typename T>
std::vector<T> converted(const HostTensor& tensor) {
  std::vector<T> result;
  for (const double value : tensor.values) result.push_back(static_cast<T>(value));
  return result;
}

template <typename Struct>
HostTensor fields_of(const Struct& doubles) {
  return host_tensor(reinterpret_cast<const double*>(&doubles),
                     {static_cast<std::int64_t>(sizeof(Struct) / sizeof(double))});
}

template <typename Struct>
Struct struct_of(const HostTensor& fields) {
  DPLL_CHECK(fields.elements() * static_cast<std::int64_t>(sizeof(double)) ==
                 static_cast<std::int64_t>(sizeof(Struct)),
             "{} fields", fields.elements());
  Struct result;
  std::copy(fields.values.begin(), fields.values.end(), reinterpret_cast<double*>(&result));
  return result;
}

HostTensor permutation(Random& random, std::int64_t n) {
  HostTensor order({n});
  std::iota(order.values.begin(), order.values.end(), 0.0);
  for (std::int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[random.below(static_cast<int>(i) + 1)]);
  return order;
}

Tensor place_integers(GuardedMemory& memory, const Tensors& inputs, const std::string& name) {
  if (inputs.count(name) == 0) return {};
  return memory.input(name, converted<std::int32_t>(inputs.at(name)), inputs.at(name).shape);
}

BatchRows place_rows(GuardedMemory& memory, const Tensors& inputs, const StepState& step) {
  return {memory.input_struct("step", step), place_integers(memory, inputs, "order")};
}

// [N, classes] of 0 and 1 to bits, as CandidateSets has them.
std::vector<std::uint64_t> packed(const HostTensor& table) {
  const std::int64_t classes = table.shape[1], words = (classes + 63) / 64;
  std::vector<std::uint64_t> bits(static_cast<std::size_t>(table.shape[0] * words), 0);
  for (std::int64_t i = 0; i < table.elements(); ++i) {
    const std::int64_t c = i % classes;
    if (table[i] != 0) bits[static_cast<std::size_t>(i / classes * words + c / 64)] |= 1ull << (c % 64);
  }
  return bits;
}

// A random distribution on the candidates: multiples of 2^-20, so that it sums to exactly 1 in float32 too.
// Every other row is uniform as after initialisation where that is such a multiple, and some entries are 0.
void fill_target(HostTensor& targets, const HostTensor& candidates, std::int64_t row, Random& random) {
  const std::int64_t classes = targets.shape[1];
  std::vector<std::int64_t> members;
  for (std::int64_t j = 0; j < classes; ++j) {
    if (candidates[row * classes + j] != 0) members.push_back(row * classes + j);
  }
  std::int64_t left = 1 << 20;
  const std::int64_t share = left / static_cast<std::int64_t>(members.size());
  for (std::size_t k = 1; k < members.size(); ++k) {
    const std::int64_t part = row % 2 == 0         ? share
                              : random.chance(0.2) ? 0
                                                   : random.below(static_cast<int>(share) + 1);
    targets[members[k]] = static_cast<double>(part) / 0x1p20;
    left -= part;
  }
  targets[members[0]] = static_cast<double>(left) / 0x1p20;
}

double random_logit(Random& random, Logits kind) {
  switch (kind) {
    case Logits::moderate:
      return random.normal(0, 2);
    case Logits::large:
      return random.normal(0, 30);
    case Logits::extreme:
      // Not all alike: equal mean probabilities would be told apart by rounding alone.
      return as_float((random.chance(0.5) ? 1 : -1) * (1e4 - random.uniform(0, 100)));
  }
  fail(ExitCode::internal, "unknown kind of logits");
}

}  // namespace

StepState test_step(float lambda, float loss_scale) {
  StepState step;
  step.seed = 0x9E3779B97F4A7C15ull;
  step.epoch = 3;
  step.first = kFirst;
  step.learning_rate = 0.05F;
  step.scalars[0] = lambda;
  step.loss_scale = loss_scale;
  return step;
}

Tensors pll_objective_inputs(const PllObjectiveCase& c, std::uint64_t seed, DType type) {
  const std::int64_t classes = c.spec.classes, samples = c.spec.batch + kSpareSamples;
  Random random(seed);
  Tensors inputs;
  HostTensor candidates({samples, classes}), targets({samples, classes}), labels({samples});
  for (std::int64_t i = 0; i < samples; ++i) {
    const int truth = random.below(c.spec.classes);
    for (std::int64_t j = 0; j < classes; ++j) {
      const bool candidate = j == truth || c.candidates == Candidates::all ||
                             (c.candidates == Candidates::some && random.chance(0.4));
      candidates[i * classes + j] = candidate ? 1 : 0;
    }
    fill_target(targets, candidates, i, random);
    labels[i] = random.chance(0.25) ? -1 : truth;
  }
  HostTensor logits({std::int64_t{c.spec.views} * c.spec.batch, classes});
  for (double& value : logits.values) value = random_logit(random, c.logits);
  inputs["logits"] = rounded(type, logits);
  inputs["targets"] = targets;
  inputs["candidates"] = candidates;
  if (c.labels) inputs["labels"] = labels;
  if (c.ordered) inputs["order"] = permutation(random, samples);
  inputs["total"] = random.uniform_tensor({kObjectiveMetricsFields}, 1, 2);
  const MethodFacts facts = facts_of(c.spec.method);
  if (facts.has_teacher) {
    HostTensor teacher(logits.shape);
    for (double& value : teacher.values) value = random_logit(random, c.logits);
    inputs["teacher_logits"] = rounded(type, teacher);
  }
  if (facts.kept_rows > 0) inputs["kept"] = random.uniform_tensor({samples, facts.kept_rows, classes}, 0, 1);
  if (facts.has_class_values)
    inputs["class_values"] = random.uniform_tensor({classes}, 0.5 / double(classes), 1.5 / double(classes));
  return inputs;
}

OpResult run_pll_objective(Backend& backend, const PllObjectiveCase& c, const Tensors& inputs, int times) {
  const DType compute = backend.compute_dtype();
  const std::unique_ptr<PllObjective> op = backend.make_pll_objective(c.spec);
  GuardedMemory memory(backend);
  const HostTensor& table = inputs.at("candidates");
  PllObjectiveCall call;
  call.part = c.part;
  call.adds = c.adds;
  call.logits = memory.input("logits", compute, inputs.at("logits"));
  // Rows alone leave the gradient as it is.
  call.d_logits = c.part == ObjectivePart::rows
                      ? memory.in_out("d_logits", compute, HostTensor(call.logits.shape))
                      : memory.output("d_logits", compute, call.logits.shape);
  if (inputs.contains("teacher_logits")) {
    call.teacher_logits = memory.input("teacher_logits", compute, inputs.at("teacher_logits"));
  }
  call.targets = memory.in_out("targets", backend.master_dtype(), inputs.at("targets"));
  if (inputs.contains("kept")) call.kept = memory.in_out("kept", backend.master_dtype(), inputs.at("kept"));
  if (inputs.contains("class_values")) {
    call.class_values = memory.input("class_values", backend.master_dtype(), inputs.at("class_values"));
  }
  // `last` is overwritten whatever it held.
  call.last = memory.in_out_struct("last", struct_of<ObjectiveMetrics>(inputs.at("total")));
  call.total = memory.in_out_struct("total", struct_of<ObjectiveMetrics>(inputs.at("total")));
  call.candidates = memory.input("candidates", packed(table), {table.shape[0], (table.shape[1] + 63) / 64});
  call.labels = place_integers(memory, inputs, "labels");
  call.rows = place_rows(memory, inputs, test_step(c.lambda, c.loss_scale));
  call.workspace = memory.scratch("workspace", op->workspace_bytes());
  for (int i = 0; i < times; ++i) op->run(call);
  OpResult result;
  result.outputs["d_logits"] = memory.read(call.d_logits);
  result.outputs["targets"] = memory.read(call.targets);
  if (call.kept.defined()) result.outputs["kept"] = memory.read(call.kept);
  result.outputs["last"] = fields_of(memory.read_struct(call.last));
  result.outputs["total"] = fields_of(memory.read_struct(call.total));
  result.violations = memory.check();
  return result;
}

OpResult run_cross_entropy(Backend& backend, const Tensors& inputs) {
  GuardedMemory memory(backend);
  CrossEntropyCall call;
  const HostTensor& logits = inputs.at("logits");
  const std::int64_t samples = logits.shape[0] + kSpareSamples;
  call.logits = memory.input("logits", backend.compute_dtype(), logits);
  call.sums = memory.in_out_struct("sums", struct_of<EvaluationSums>(inputs.at("sums")));
  call.predictions = memory.output("predictions", DType::i32, {samples});
  call.confidences = memory.output("confidences", DType::f32, {samples});
  call.labels = place_integers(memory, inputs, "labels");
  call.rows = place_rows(memory, inputs, test_step());
  backend.cross_entropy(call);
  OpResult result;
  result.outputs["sums"] = fields_of(memory.read_struct(call.sums));
  result.outputs["predictions"] = memory.read(call.predictions);
  result.outputs["confidences"] = memory.read(call.confidences);
  result.violations = memory.check();
  return result;
}

Tensors sgd_inputs(const SgdCase& c, std::uint64_t seed, DType type) {
  Random random(seed);
  Tensors inputs;
  for (const char* name : {"value", "velocity", "average", "d_value"}) {
    inputs[name] = random.normal_tensor({c.spec.elements});
  }
  inputs["square"] = random.uniform_tensor({c.spec.elements}, 0.25, 1.25);
  HostTensor& gradients = inputs["d_value"];
  for (double& gradient : gradients.values) gradient *= static_cast<double>(c.loss_scale);
  // Those of weights are of the type.
  const HostTensor of_weights = rounded(type, gradients);
  std::copy_n(of_weights.values.begin(), c.spec.weights, gradients.values.begin());
  inputs["health"] = HostTensor({4});
  inputs["health"].values = {17, 3, static_cast<double>(c.good_steps), 0};
  return inputs;
}

OpResult run_sgd(Backend& backend, const SgdCase& c, const Tensors& inputs) {
  const DType master = backend.master_dtype();
  const std::unique_ptr<Sgd> op = backend.make_sgd(c.spec);
  GuardedMemory memory(backend);
  SgdCall call;
  call.value = memory.in_out("value", master, inputs.at("value"));
  call.velocity = memory.in_out("velocity", master, inputs.at("velocity"));
  const bool adam = c.spec.kind != OptimiserKind::sgd;
  if (adam) call.square = memory.in_out("square", master, inputs.at("square"));
  if (c.spec.ema > 0) call.average = memory.in_out("average", master, inputs.at("average"));
  const HostTensor& before = inputs.at("health");
  call.health = memory.in_out_struct(
      "health",
      UpdateHealth{static_cast<std::uint64_t>(before[0]), static_cast<std::uint64_t>(before[1]),
                   static_cast<std::uint32_t>(before[2]), static_cast<std::uint32_t>(before[3]), 4});
  const std::vector<double>& gradients = inputs.at("d_value").values;
  const auto part = [&](std::int64_t begin, std::int64_t end) {
    HostTensor values({end - begin});
    std::copy(gradients.begin() + begin, gradients.begin() + end, values.values.begin());
    return values;
  };
  const std::int64_t weights = c.spec.weights;
  if (weights > 0) call.d_weight = memory.input("d_weight", backend.weight_dtype(), part(0, weights));
  if (weights > 0 && backend.weight_dtype() != master) {
    call.weight = memory.output("weight", backend.weight_dtype(), {weights});
    if (c.spec.ema > 0) {
      call.average_weight = memory.output("average_weight", backend.weight_dtype(), {weights});
    }
  }
  if (weights < c.spec.elements)
    call.d_value = memory.input("d_value", master, part(weights, c.spec.elements));
  call.step = memory.in_out_struct("step", test_step(1, c.loss_scale));
  op->run(call);
  OpResult result;
  result.outputs["value"] = memory.read(call.value);
  result.outputs["velocity"] = memory.read(call.velocity);
  if (adam) result.outputs["square"] = memory.read(call.square);
  if (c.spec.ema > 0) result.outputs["average"] = memory.read(call.average);
  if (call.weight.defined()) result.outputs["weight"] = memory.read(call.weight);
  if (call.average_weight.defined()) result.outputs["average_weight"] = memory.read(call.average_weight);
  const UpdateHealth health = memory.read_struct(call.health);
  result.outputs["health"] = HostTensor({6});
  result.outputs["health"].values = {
      static_cast<double>(health.nonfinite),  static_cast<double>(health.skipped),
      static_cast<double>(health.good_steps), static_cast<double>(health.halted),
      static_cast<double>(health.updates),    static_cast<double>(memory.read_struct(call.step).loss_scale)};
  result.violations = memory.check();
  return result;
}

Tensors augment_inputs(const AugmentCase& c, std::uint64_t seed) {
  const AugmentSpec& s = c.spec;
  const std::int64_t samples = s.batch + kSpareSamples;
  Random random(seed);
  Tensors inputs;
  inputs["pixels"] = HostTensor({samples, s.height, s.width, s.channels});
  for (double& pixel : inputs["pixels"].values) pixel = random.below(256);
  if (c.ordered) inputs["order"] = permutation(random, samples);
  return inputs;
}

OpResult run_augment(Backend& backend, const AugmentCase& c, const Tensors& inputs) {
  const AugmentSpec& s = c.spec;
  const std::unique_ptr<Augment> op = backend.make_augment(s);
  GuardedMemory memory(backend);
  const HostTensor& pixels = inputs.at("pixels");
  AugmentCall call;
  call.images = memory.output("images", backend.compute_dtype(),
                              {std::int64_t{s.views} * s.batch, s.height, s.width, s.channels});
  call.pixels = memory.input("pixels", converted<std::uint8_t>(pixels), pixels.shape);
  call.rows = place_rows(memory, inputs, test_step());
  op->run(call);
  OpResult result;
  result.outputs["images"] = memory.read(call.images);
  result.violations = memory.check();
  return result;
}

Tensors feature_views_inputs(const FeatureViewsCase& c, std::uint64_t seed) {
  const std::int64_t samples = c.spec.batch + kSpareSamples;
  Random random(seed);
  Tensors inputs;
  inputs["features"] = HostTensor({samples, c.spec.features});
  for (double& x : inputs["features"].values) x = static_cast<float>(random.uniform(-4, 4));
  if (c.ordered) inputs["order"] = permutation(random, samples);
  return inputs;
}

OpResult run_feature_views(Backend& backend, const FeatureViewsCase& c, const Tensors& inputs) {
  const FeatureViewsSpec& s = c.spec;
  const std::unique_ptr<FeatureViews> op = backend.make_feature_views(s);
  GuardedMemory memory(backend);
  const HostTensor& features = inputs.at("features");
  FeatureViewsCall call;
  call.views =
      memory.output("views", backend.compute_dtype(), {std::int64_t{s.views} * s.batch, 1, 1, s.features});
  call.features = memory.input("features", converted<float>(features), features.shape);
  call.rows = place_rows(memory, inputs, test_step());
  op->run(call);
  OpResult result;
  result.outputs["views"] = memory.read(call.views);
  result.violations = memory.check();
  return result;
}

}  // namespace dpll::test
