// Channels that the CUDA backend adds in its memory, so that they are whole vectors: which, that nothing of
// them is seen outside, and that they stay zero whatever a run does.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "backend/host_copy.h"
#include "backend/observed_backend.h"
#include "dpll/candidates.h"
#include "dpll/core/philox.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "emulation/emulated_backend.h"
#include "emulation/emulator.h"
#include "support/doctest.h"
#include "support/temp_dir.h"
#include "support/tiny_network.h"
#include "train/run_folder.h"
#include "train/schedule.h"
#include "train/trainer.h"
#include "train/training_step.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

// "in to out" of the layers that a network asks its backend for.
class Asked final : public ObservedBackend {
 public:
  using ObservedBackend::ObservedBackend;
  std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec) override {
    layers.push_back(fmt::format("{} to {}", spec.in_channels, spec.out_channels));
    return ObservedBackend::make_preact_conv(spec);
  }
  std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec) override {
    layers.push_back(fmt::format("{}", spec.channels));
    return ObservedBackend::make_bn_relu_pool(spec);
  }
  std::unique_ptr<Linear> make_linear(const LinearSpec& spec) override {
    layers.push_back(fmt::format("{} to {}", spec.in_features, spec.out_features));
    return ObservedBackend::make_linear(spec);
  }
  std::vector<std::string> layers;
};

std::vector<std::string> layers_of(std::unique_ptr<Backend> backend, const RunConfig::Model& model,
                                   const InputShape& input) {
  Asked asked(*backend);
  make_network(asked, model, input, false)->make_program({Mode::train, 2, 3});
  return asked.layers;
}

std::vector<float> noise(std::size_t count, std::uint32_t seed) {
  PhiloxStream draw(seed, Purpose::split, 1, 2, 3);
  std::vector<float> values(count);
  for (float& value : values) value = draw.next_float() - 0.5F;
  return values;
}

std::size_t elements_of(const ParameterSpec& spec) {
  std::size_t size = 1;
  for (const std::int64_t dim : spec.dims) size *= static_cast<std::size_t>(dim);
  return size;
}

RunConfig::Model resnet18() {
  RunConfig::Model model = tiny_resnet18(Architecture::resnet18);
  model.channels = 3;  // 3, 6, 12 and 24: padded in every precision
  return model;
}

// What the update reads and writes, by name.
std::map<std::string, Tensor> arrays_of(const ModelState& state) {
  const SgdCall call = state.update_call();
  std::map<std::string, Tensor> tensors = {{"value", call.value},    {"velocity", call.velocity},
                                           {"square", call.square},  {"average", call.average},
                                           {"weight", call.weight},  {"d_weight", call.d_weight},
                                           {"d_value", call.d_value}};
  std::erase_if(tensors, [](const auto& named) { return !named.second.defined(); });
  return tensors;
}

// Which elements of ModelState's flat arrays are a parameter's: those that a network with ones in all of them
// has.
std::vector<float> taken_elements(Backend& backend, const RunConfig::Model& model, const InputShape& input) {
  const auto network = make_network(backend, model, input, false);
  ModelState& state = network->state();
  for (int i = 0; i < state.parameters(); ++i) {
    state.write(ModelState::Array::value, i, std::vector<float>(elements_of(state.spec(i)), 1.0F));
  }
  return read_floats(backend, state.update_call().value);
}

constexpr InputShape kInput{8, 8, 3, 3};
constexpr int kSamples = 11;

DataSet noise_images() {
  DataSet data;
  data.classes = kInput.classes;
  data.train = {.count = kSamples, .height = 8, .width = 8, .channels = 3, .pixels = {}, .labels = {}};
  PhiloxStream draw(3, Purpose::split, 0, 0, 0);
  for (std::int64_t i = 0; i < kSamples * data.train.image_bytes(); ++i) {
    data.train.pixels.push_back(static_cast<std::uint8_t>(draw.next_below(256)));
  }
  for (int i = 0; i < kSamples; ++i) data.train.labels.push_back(i % kInput.classes);
  return data;
}

RunConfig plcr_run(const RunConfig::Model& model, OptimiserKind kind) {
  RunConfig config;
  config.data.dataset = "cifar10";
  config.model = model;
  config.optimiser.kind = kind;
  config.optimiser.batch = 4;  // 4, 4, 3
  config.optimiser.lr = 0.01;
  config.optimiser.ema = 0.5;
  config.optimiser.weight_decay = 0.01;
  return config;
}

// How many of LeNet's channels of these numbers are its own.
const std::map<std::int64_t, std::ptrdiff_t> kOwnOfLenet = {{20, 20}, {24, 20},   {52, 50},
                                                            {56, 50}, {500, 500}, {504, 500}};

void check_padding_of_training(DType type, const RunConfig::Model& model, OptimiserKind kind) {
  CAPTURE(static_cast<int>(kind));
  const auto backend = make_emulated_cuda_backend(type);
  const std::vector<float> taken = taken_elements(*backend, model, kInput);
  ObservedBackend observed(*backend);
  const RunConfig config = plcr_run(model, kind);
  const DataSet data = noise_images();
  const CandidateSets candidates = uniform_candidates(data.train.labels, data.classes, 0.3, 1, 1);
  const auto network = make_network(observed, config, kInput);
  const ModelState& state = network->state();
  TrainingStep step(observed, *network, config, resolve_views(config, 8, 8, 3), data, candidates);
  const Buffer arena = observed.allocate(step.arena_bytes(), "the activations");
  step.attach(arena.data());
  network->state().initialise(1);

  // Running statistics lie in no array of the update: they are those of the calls.
  std::map<void*, Tensor> running;
  step.begin_epoch(0, 0, plans_of_epoch(config, 0, step.steps_per_epoch()));
  observed.observe([&](const AnyCall& any) {
    std::visit(
        [&](const auto& call) {
          call.run(call.call);
          if constexpr (requires { call.call.bn.running_var; }) {
            for (const Tensor& tensor : {call.call.bn.running_mean, call.call.bn.running_var}) {
              if (tensor.defined()) running[tensor.data] = tensor;
            }
          }
        },
        any);
  });
  for (const auto& [name, phase] : step.phases()) phase();
  observed.observe({});
  for (int epoch = 0; epoch < 2; ++epoch) {
    const auto plans = plans_of_epoch(config, epoch, step.steps_per_epoch());
    for (std::size_t i = 0; i < plans.size(); ++i) step.run(epoch, static_cast<std::int64_t>(i), plans[i]);
  }
  CHECK(step.health().updates > 0);

  for (const auto& [name, tensor] : arrays_of(state)) {
    CAPTURE(name);
    const std::vector<float> values = read_floats(*backend, tensor);
    const auto first = static_cast<std::size_t>(name == "d_value" ? state.flat_weights() : 0);
    std::size_t padding = 0, wrong = 0, nonzero = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool own = taken[first + i] != 0, zero = values[i] == 0;  // NaN is not
      padding += own ? 0 : 1;
      wrong += !own && !zero ? 1 : 0;
      nonzero += own && !zero ? 1 : 0;
    }
    CHECK(padding > 0);
    CHECK(wrong == 0);
    CHECK(nonzero > values.size() / 8);
  }
  CHECK(!running.empty());
  if (model.architecture != Architecture::lenet) return;
  std::set<std::int64_t> sizes;
  for (const auto& [at, tensor] : running) {
    sizes.insert(tensor.elements());
    const std::vector<float> values = read_floats(*backend, tensor);
    const auto end_of_own = values.begin() + kOwnOfLenet.at(tensor.elements());
    CHECK(std::any_of(values.begin(), end_of_own, [](float x) { return x != 0; }));
    CHECK(std::all_of(end_of_own, values.end(), [](float x) { return x == 0; }));
  }
  CHECK(sizes ==
        (type == DType::f32 ? std::set<std::int64_t>{20, 52, 500} : std::set<std::int64_t>{24, 56, 504}));
}

}  // namespace

TEST_CASE("padded channels: LeNet has whole vectors on a GPU, and its own channels elsewhere") {
  const InputShape grey{12, 12, 1, 10};
  const std::vector<std::string> own = {"1 to 20", "20", "20 to 50", "50", "450 to 500", "500", "500 to 10"};
  CHECK(layers_of(make_cpu_backend({}), tiny_lenet(), grey) == own);
  CHECK(layers_of(make_reference_backend(), tiny_lenet(), grey) == own);
  CHECK(layers_of(make_emulated_cuda_backend(DType::f32), tiny_lenet(), grey) ==
        std::vector<std::string>{"1 to 20", "20", "20 to 52", "52", "468 to 500", "500", "500 to 10"});
  for (const DType type : {DType::f16, DType::bf16}) {
    CHECK(layers_of(make_emulated_cuda_backend(type), tiny_lenet(), grey) ==
          std::vector<std::string>{"8 to 24", "24", "24 to 56", "56", "504 to 504", "504", "504 to 10"});
  }
}

TEST_CASE("padded channels: none where a layer counts them, nor for images that no convolution reads") {
  // Zeros lie on both sides of the shortcut's channels.
  for (const std::string& layer :
       layers_of(make_emulated_cuda_backend(DType::f16), tiny_resnet(ShortcutKind::identity), {8, 8, 3, 4})) {
    CHECK_MESSAGE(
        (layer == "8 to 4" || layer == "4 to 4" || layer == "4" || layer == "4 to 8" || layer == "8 to 8" ||
         layer == "8" || layer == "8 to 16" || layer == "16 to 16" || layer == "16" || layer == "16 to 4"),
        layer);
  }
  CHECK(layers_of(make_emulated_cuda_backend(DType::f16), tiny_mlp({7}), {1, 1, 9, 4}) ==
        std::vector<std::string>{"9 to 8", "8", "8 to 4"});
}

TEST_CASE("padded channels: parameters and statistics are the CPU's outside, bit for bit") {
  const auto cpu = make_cpu_backend({});
  for (const RunConfig::Model& model : {tiny_lenet(), resnet18(), tiny_mlp({7, 5})}) {
    const InputShape input{12, 12, 1, 10};
    const auto wanted = make_network(*cpu, model, input, true, true);
    wanted->state().initialise(7);
    for (const DType type : kTypes) {
      const std::string precision = name_of(type);
      CAPTURE(precision);
      const auto gpu = make_emulated_cuda_backend(type);
      const auto network = make_network(*gpu, model, input, true, true);
      ModelState &state = network->state(), &want = wanted->state();
      state.initialise(7);
      CHECK(state.parameter_count() == want.parameter_count());
      CHECK(network->forward_macs() == wanted->forward_macs());
      CHECK(network->backward_macs() == wanted->backward_macs());
      CHECK(state.flat_elements() > want.flat_elements());
      const TempDir folder;
      const auto save = [&](const ModelState& of, const char* name) {
        SafetensorsWriter writer;
        of.save(writer, ModelState::Array::value, "");
        of.save_buffers(writer, "");
        writer.write(folder.file(name));
        return read_file(folder.file(name));
      };
      CHECK(save(state, "gpu.safetensors") == save(want, "cpu.safetensors"));

      std::uint32_t seed = 0;
      for (int i = 0; i < state.parameters(); ++i) {
        for (const auto array : {ModelState::Array::value, ModelState::Array::velocity,
                                 ModelState::Array::square, ModelState::Array::average}) {
          const std::vector<float> values = noise(elements_of(state.spec(i)), ++seed);
          state.write(array, i, values);
          REQUIRE(state.read(array, i) == values);
        }
      }
      for (int i = 0; i < state.buffers(); ++i) {
        const std::vector<float> values = noise(static_cast<std::size_t>(state.buffer_channels(i)), ++seed);
        state.write_buffer(i, values);
        REQUIRE(state.read_buffer(i) == values);
      }
      // Into the CPU's network and back by a file.
      save(state, "noise.safetensors");
      const SafetensorsFile file = SafetensorsFile::read(folder.file("noise.safetensors"));
      const auto other = make_network(*cpu, model, input, false);
      other->state().load(file, ModelState::Array::value, "");
      other->state().load_buffers(file, "");
      CHECK(save(other->state(), "back.safetensors") == read_file(folder.file("noise.safetensors")));
      for (int i = 0; i < state.parameters(); ++i) {
        REQUIRE(other->state().read(ModelState::Array::value, i) == state.read(ModelState::Array::value, i));
      }
    }
  }
}

TEST_CASE("padded channels: they stay zero while PLCR trains, with sgd and with adam, in every precision") {
  for (const DType type : kTypes) {
    const std::string precision = name_of(type);
    CAPTURE(precision);
    check_padding_of_training(type, tiny_lenet(), OptimiserKind::sgd);
    check_padding_of_training(type, tiny_lenet(), OptimiserKind::adam);
    check_padding_of_training(type, resnet18(), OptimiserKind::sgd);
  }
}

// Kernels alone, the library's convolutions and products not among them. Forward: the statistics of three
// layers and the classifier's bias take two launches each at most, batch norm one. Backward: two for each
// batch norm's gradients and one for what it gives on, two for the classifier's bias. None copies weights or
// their gradients to other shapes, none adds up a gradient that is zero.
TEST_CASE("padded channels: LeNet's step has no launches for them") {
  for (const DType type : {DType::f32, DType::f16}) {
    TinyNetwork net(make_emulated_cuda_backend(type), tiny_lenet(), {12, 12, 1, 4}, {Mode::train, 3, 4});
    net.network->state().initialise(1);
    const std::uint64_t before = emulation::counters().launches;
    net.program->forward(net.rows);
    const std::uint64_t between = emulation::counters().launches;
    net.program->backward(net.rows);
    CHECK(between - before <= 10);
    CHECK(emulation::counters().launches - between <= 11);
  }
}

TEST_CASE("padded channels: a run that the CPU began goes on on a GPU, and the reverse") {
  const TempDir folder;
  const DataSet data = noise_images();
  std::vector<std::int32_t> labels(data.train.labels.begin(), data.train.labels.end());
  SafetensorsWriter writer;
  for (const std::string part : {"", "test_"}) {
    writer.add(part + "images", DType::u8, {kSamples, 8, 8, 3}, data.train.pixels.data());
    writer.add(part + "labels", DType::i32, {kSamples}, labels.data());
  }
  writer.write(folder.file("data.safetensors"));
  const auto run = [&](const std::string& name, int epochs, bool on_gpu, bool resume) {
    RunConfig config = plcr_run(tiny_lenet(), OptimiserKind::adam);
    config.run.name = name;
    config.run.device = DeviceChoice::cpu;  // as far as the trainer knows: the maker decides
    config.run.threads = 1;
    config.run.out_dir = folder.file("runs");
    config.run.epochs = epochs;
    config.run.resume = resume ? ResumeMode::require : ResumeMode::never;
    config.data.dataset = "safetensors";
    config.data.path = folder.file("data.safetensors");
    config.views.policy = AugmentPolicy::plcr_cifar;
    config.optimiser.lr = 1e-4;
    config.log.charts = false;
    config.log.progress = false;
    REQUIRE(train(config, [&](const RunConfig::Run&, const Warn&, const std::string&) {
              return on_gpu ? make_emulated_cuda_backend(DType::f32) : make_cpu_backend({.threads = 1});
            }) == 0);
    return SafetensorsFile::read(folder.file("runs/" + name + "/" + run_files::kModel));
  };
  const SafetensorsFile whole = run("cpu", 3, false, false);
  for (const bool gpu_first : {true, false}) {
    CAPTURE(gpu_first);
    const std::string name = gpu_first ? "gpu-cpu" : "cpu-gpu";
    run(name, 1, gpu_first, false);
    const SafetensorsFile mixed = run(name, 3, !gpu_first, true);
    REQUIRE(mixed.entries().size() == whole.entries().size());
    for (const auto& [tensor, entry] : whole.entries()) {
      CAPTURE(tensor);
      REQUIRE(mixed.entry(tensor).shape == entry.shape);
      if (entry.dtype != DType::f32) continue;
      const std::vector<float> got = mixed.get<float>(tensor), want = whole.get<float>(tensor);
      // Nine steps of Adam, whose size hardly depends on the gradient's: one that is rounding moves a value
      // by as much.
      for (std::size_t i = 0; i < want.size(); ++i) {
        REQUIRE(std::abs(got[i] - want[i]) <= 2 * 9 * 1e-4 + 0.02 * std::abs(want[i]));
      }
    }
  }
}
