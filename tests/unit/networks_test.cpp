// The published networks: sizes, work, names and initial values; and the published number of steps.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/model/network.h"
#include "support/doctest.h"
#include "train/training_step.h"

using namespace dpll;

namespace {

std::unique_ptr<Network> network_of(Backend& backend, Architecture architecture, int depth, int width,
                                    const InputShape& input) {
  RunConfig::Model model;
  model.architecture = architecture;
  model.depth = depth;
  model.width = width;
  return make_network(backend, model, input, false);
}

const ParameterSpec& spec_named(const ModelState& state, const std::string& name) {
  for (int i = 0; i < state.parameters(); ++i) {
    if (state.spec(i).name == name) return state.spec(i);
  }
  FAIL("no parameter " << name);
  return state.spec(0);
}

struct Moments {
  double mean = 0, variance = 0, smallest = 0, largest = 0, n = 0;
};

Moments moments_of(const std::vector<float>& values) {
  Moments m{.smallest = values[0], .largest = values[0], .n = static_cast<double>(values.size())};
  for (const float x : values) {
    m.mean += x / m.n;
    m.smallest = std::min(m.smallest, double{x});
    m.largest = std::max(m.largest, double{x});
  }
  for (const float x : values) m.variance += (x - m.mean) * (x - m.mean) / m.n;
  return m;
}

// Five standard deviations of the sample's mean and variance; kurtosis 3 for normal, 1.8 for uniform numbers.
void check_moments(const Moments& m, double variance, double kurtosis) {
  CHECK(std::abs(m.mean) < 5 * std::sqrt(variance / m.n));
  CHECK(std::abs(m.variance - variance) < 5 * variance * std::sqrt((kurtosis - 1) / m.n));
}

}  // namespace

TEST_CASE("networks: parameters and multiply-accumulates are those of the published modules") {
  const auto backend = make_cpu_backend({});
  struct Case {
    Architecture architecture;
    InputShape input;
    std::int64_t parameters;
  };
  for (const Case& c : {Case{Architecture::wide_resnet, {32, 32, 3, 10}, 46160474},
                        Case{Architecture::wide_resnet, {32, 32, 3, 100}, 46218164},
                        Case{Architecture::lenet, {28, 28, 1, 10}, 1257220},
                        Case{Architecture::resnet18, {32, 32, 3, 10}, 11173962},
                        Case{Architecture::preact_resnet18, {32, 32, 3, 10}, 11171146}}) {
    const auto network = network_of(*backend, c.architecture, 34, 10, c.input);
    CHECK(network->state().parameter_count() == c.parameters);
    if (c.architecture == Architecture::wide_resnet) {
      CHECK(network->name() == "WRN-34-10");
      CHECK(network->forward_macs() == doctest::Approx(6.66e9).epsilon(1e-3));
    }
  }
}

TEST_CASE("networks: residual networks for CIFAR have the published numbers of parameters") {
  const auto backend = make_cpu_backend({});
  struct Case {
    int depth;
    ShortcutKind shortcut;
    std::int64_t parameters;
  };
  // He et al. 2016, table 6: 0.27, 0.46, 0.66 and 0.85 million, with option A; option B has 2752 more.
  for (const Case& c : {Case{20, ShortcutKind::identity, 269722}, Case{32, ShortcutKind::identity, 464154},
                        Case{44, ShortcutKind::identity, 658586}, Case{56, ShortcutKind::identity, 853018},
                        Case{20, ShortcutKind::projection, 272474}}) {
    RunConfig::Model model;
    model.architecture = Architecture::resnet;
    model.depth = c.depth;
    model.shortcut = c.shortcut;
    const auto network = make_network(*backend, model, {32, 32, 3, 10}, false);
    CHECK(network->state().parameter_count() == c.parameters);
    CHECK(network->name().starts_with("ResNet-" + std::to_string(c.depth)));
  }
  RunConfig::Model model;
  model.architecture = Architecture::resnet;
  CHECK(make_network(*backend, model, {32, 32, 3, 10}, false)->name() == "ResNet-32");
}

TEST_CASE("networks: names and shapes of residual networks are those of the usual modules") {
  const auto backend = make_cpu_backend({});
  using Dims = std::vector<std::int64_t>;
  struct Case {
    Architecture architecture;
    std::map<std::string, Dims> shapes;
    std::vector<std::string> absent;
  };
  const std::vector<Case> cases = {{Architecture::resnet,
                                    {{"conv1.weight", {16, 3, 3, 3}},
                                     {"bn1.bias", {16}},
                                     {"layer1.4.conv2.weight", {16, 16, 3, 3}},
                                     {"layer2.0.downsample.0.weight", {32, 16, 1, 1}},
                                     {"layer2.0.downsample.1.weight", {32}},
                                     {"layer3.0.bn2.weight", {64}},
                                     {"fc.weight", {10, 64}}},
                                    {"layer1.0.downsample.0.weight", "layer3.1.downsample.0.weight",
                                     "layer4.0.conv1.weight", "layer1.5.conv1.weight", "conv1.bias"}},
                                   {Architecture::resnet18,
                                    {{"conv1.weight", {64, 3, 3, 3}},
                                     {"layer2.0.downsample.0.weight", {128, 64, 1, 1}},
                                     {"layer4.1.conv2.weight", {512, 512, 3, 3}},
                                     {"fc.bias", {10}}},
                                    {"layer1.0.downsample.0.weight", "layer1.2.conv1.weight"}},
                                   {Architecture::preact_resnet18,
                                    {{"conv1.weight", {64, 3, 3, 3}},
                                     {"layer1.0.bn1.weight", {64}},
                                     {"layer2.0.bn1.weight", {64}},
                                     {"layer2.0.shortcut.0.weight", {128, 64, 1, 1}},
                                     {"layer4.1.bn2.bias", {512}},
                                     {"linear.weight", {10, 512}}},
                                    {"bn1.weight", "bn.weight", "layer1.0.shortcut.0.weight"}}};
  for (const Case& c : cases) {
    RunConfig::Model model;
    model.architecture = c.architecture;
    const auto network = make_network(*backend, model, {32, 32, 3, 10}, false);
    for (const auto& [name, dims] : c.shapes) CHECK(spec_named(network->state(), name).dims == dims);
    for (int i = 0; i < network->state().parameters(); ++i) {
      for (const std::string& name : c.absent) CHECK(network->state().spec(i).name != name);
    }
  }
}

TEST_CASE("networks: layers of WRN-34-10 and LeNet have the published shapes") {
  const auto backend = make_cpu_backend({});
  using Dims = std::vector<std::int64_t>;
  const auto wide = network_of(*backend, Architecture::wide_resnet, 34, 10, {32, 32, 3, 10});
  const std::map<std::string, Dims> wide_shapes = {
      {"conv1.weight", {16, 3, 3, 3}},
      {"block1.layer.0.conv1.weight", {160, 16, 3, 3}},
      {"block1.layer.0.convShortcut.weight", {160, 16, 1, 1}},
      {"block2.layer.0.conv1.weight", {320, 160, 3, 3}},
      {"block3.layer.4.conv2.weight", {640, 640, 3, 3}},
      {"bn1.weight", {640}},
      {"fc.weight", {10, 640}},
  };
  for (const auto& [name, dims] : wide_shapes) CHECK(spec_named(wide->state(), name).dims == dims);
  for (int i = 0; i < wide->state().parameters(); ++i) {
    const std::string& name = wide->state().spec(i).name;
    const bool bias = name.ends_with("bias");
    // Convolutions have none.
    if (bias) CHECK((name == "fc.bias" || name.find("bn") != std::string::npos));
    CHECK(name.find("block1.layer.5") == std::string::npos);
  }
  const auto lenet = network_of(*backend, Architecture::lenet, 34, 10, {28, 28, 1, 10});
  const std::map<std::string, Dims> lenet_shapes = {
      {"conv.0.weight", {20, 1, 5, 5}},
      {"conv.0.bias", {20}},
      {"conv.4.weight", {50, 20, 5, 5}},
      {"conv.4.bias", {50}},
      {"last.bias", {10}},
      {"linear.0.weight", {500, 2450}},
      {"linear.0.bias", {500}},
      {"linear.1.weight", {500}},
      {"last.weight", {10, 500}},
  };
  for (const auto& [name, dims] : lenet_shapes) CHECK(spec_named(lenet->state(), name).dims == dims);
}

TEST_CASE("networks: initial values have the published distributions") {
  const auto backend = make_cpu_backend({});
  struct Case {
    Architecture architecture;
    int depth;
  };
  for (const auto& [architecture, depth] :
       {Case{Architecture::wide_resnet, 16}, Case{Architecture::lenet, 0}, Case{Architecture::resnet, 14},
        Case{Architecture::resnet18, 18}, Case{Architecture::preact_resnet18, 18}}) {
    const bool lenet = architecture == Architecture::lenet;
    const bool kaiming = !lenet && architecture != Architecture::preact_resnet18;
    const auto network = network_of(*backend, architecture, depth, 4,
                                    lenet ? InputShape{28, 28, 1, 10} : InputShape{32, 32, 3, 10});
    ModelState& state = network->state();
    state.initialise(3);
    for (int i = 0; i < state.parameters(); ++i) {
      const ParameterSpec& spec = state.spec(i);
      const std::vector<float> values = state.read(ModelState::Array::value, i);
      CAPTURE(spec.name);
      const Moments m = moments_of(values);
      const bool batch_norm = spec.name.find("bn") != std::string::npos ||
                              spec.name.find("downsample.1") != std::string::npos ||
                              (lenet && (spec.name.starts_with("conv.1") || spec.name.starts_with("conv.5") ||
                                         spec.name.starts_with("linear.1")));
      const double gamma = spec.name.ends_with("weight") ? 1 : 0;
      if (batch_norm || (architecture == Architecture::wide_resnet && spec.name == "fc.bias")) {
        // Scales 1, shifts 0; the published WRN sets its last bias to 0.
        const double constant = batch_norm ? gamma : 0;
        CHECK(m.smallest == constant);
        CHECK(m.largest == constant);
      } else if (kaiming && spec.dims.size() == 4) {
        // Kaiming normal, fan_out = out * k * k.
        check_moments(m, 2.0 / static_cast<double>(spec.dims[0] * spec.dims[2] * spec.dims[3]), 3);
      } else {
        // PyTorch's default: U(+-1/sqrt(fan_in)), biases too; a bias has its weight's fan_in.
        const std::string weight = spec.name.substr(0, spec.name.rfind('.')) + ".weight";
        const std::vector<std::int64_t>& dims = spec_named(state, weight).dims;
        double fan_in = 1;
        for (std::size_t d = 1; d < dims.size(); ++d) fan_in *= static_cast<double>(dims[d]);
        const double bound = 1 / std::sqrt(fan_in);
        CHECK(m.largest <= bound * (1 + 1e-6));
        CHECK(m.smallest >= -bound * (1 + 1e-6));
        check_moments(m, bound * bound / 3, 1.8);
        // Close to both ends, as n uniform numbers are (but for a chance of e^-14).
        CHECK(m.largest > bound * (1 - 28 / m.n));
        CHECK(m.smallest < -bound * (1 - 28 / m.n));
      }
    }
    for (int i = 0; i < state.buffers(); ++i) {
      const Moments m = moments_of(state.read_buffer(i));
      const double constant = state.buffer_name(i).ends_with("running_var") ? 1 : 0;
      CHECK(m.smallest == constant);
      CHECK(m.largest == constant);
    }
  }
}

TEST_CASE("an epoch has the published number of steps, its last batch the rest") {
  struct Case {
    std::int64_t samples, steps;
    std::size_t last;
  };
  // CIFAR, SVHN, Fashion-MNIST and Kuzushiji-MNIST, by their sizes alone.
  for (const Case& c : {Case{50000, 782, 16}, Case{73257, 1145, 41}, Case{60000, 938, 32}}) {
    const auto backend = make_cpu_backend({});
    DataSet data;
    data.kind = DatasetKind::tabular;
    data.classes = 2;
    data.train = {.count = c.samples, .height = 1, .width = 1, .channels = 1, .pixels = {}, .labels = {}};
    data.train.features.assign(static_cast<std::size_t>(c.samples), 0.5F);
    CandidateSets sets(c.samples, 2);
    for (std::int64_t i = 0; i < c.samples; ++i) sets.insert(i, 0);
    RunConfig config;
    config.model.architecture = Architecture::mlp;
    config.model.hidden.clear();
    const auto network = make_network(*backend, config.model, {1, 1, 1, 2}, false);
    const TrainingStep step(*backend, *network, config, {}, data, sets);
    CHECK(step.steps_per_epoch() == c.steps);
    CHECK(step.batch_samples(0).size() == 64);
    CHECK(step.batch_samples(c.steps - 1).size() == c.last);
    config.optimiser.drop_last = true;
    CHECK(TrainingStep(*backend, *network, config, {}, data, sets).steps_per_epoch() == c.steps - 1);
  }
}
