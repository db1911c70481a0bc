// device = check: a right backend passes on every network in every precision, and planted faults are found in
// each.
#include "train/device_check.h"

#include <algorithm>
#include <type_traits>

#include "backend/observed_backend.h"
#include "dpll/core/philox.h"
#include "dpll/safetensors.h"
#include "emulation/emulated_backend.h"
#include "emulation/faults.h"
#include "support/depth.h"
#include "support/doctest.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr int kSamples = 20, kSide = 8, kClasses = 3;

// Noise around a brightness that tells the class, in RGB.
void write_checked_data(const TempDir& folder) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  PhiloxStream draw(3, Purpose::split, 0, 0, 0);
  for (int i = 0; i < kSamples; ++i) {
    labels.push_back(i % kClasses);
    for (int p = 0; p < kSide * kSide * 3; ++p) {
      pixels.push_back(
          static_cast<std::uint8_t>(60 * (i % kClasses) + static_cast<int>(draw.next_below(90))));
    }
  }
  SafetensorsWriter writer;
  for (const std::string part : {"", "test_"}) {
    writer.add(part + "images", DType::u8, {kSamples, kSide, kSide, 3}, pixels.data());
    writer.add(part + "labels", DType::i32, {kSamples}, labels.data());
  }
  writer.write(folder.file("data.safetensors"));
}

RunConfig tiny_check(const TempDir& folder, Architecture architecture) {
  RunConfig config;
  config.run.name = "check";
  config.run.device = DeviceChoice::check;
  config.run.threads = 2;
  config.run.check_steps = 2;
  config.data.dataset = "safetensors";
  config.data.path = folder.file("data.safetensors");
  config.views.policy = AugmentPolicy::plcr_cifar;
  config.model.architecture = architecture;
  config.model.depth = 10;
  config.model.width = 1;
  config.model.hidden = {24, 16};
  std::get<Plcr>(config.methods).ramp_epochs = 0;
  config.optimiser.batch = 8;
  config.optimiser.lr = 0.01;
  return config;
}

struct Kind {
  const char* name;
  Precision precision;
  DType type;
};
constexpr Kind kKinds[] = {{"f32", Precision::f32, DType::f32},
                           {"tf32", Precision::tf32, DType::f32},
                           {"f16", Precision::f16, DType::f16},
                           {"bf16", Precision::bf16, DType::bf16}};

std::string network_of(const RunConfig::Model& model) {
  if (model.architecture != Architecture::wide_resnet) return to_string(model.architecture);
  return fmt::format("WRN-{}-{}{}", depth_of(model), model.width, model.dropout > 0 ? " with dropout" : "");
}

struct Result {
  int code = 0;
  std::vector<std::string> lines;

  bool says(const std::string& text) const {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }
  // The marked lines, or those that hold `text`.
  std::string all(const std::string& text = "!") const {
    std::string result;
    for (const std::string& line : lines) {
      if (text == "!" ? line.starts_with("!") : line.find(text) != std::string::npos) result += line + "\n";
    }
    return result;
  }
};

Result check(RunConfig config, const Kind& kind,
             const std::function<std::unique_ptr<Backend>(const Kind&)>& make) {
  config.run.precision = kind.precision;
  Result result;
  result.code = check_devices(
      config, [&](const RunConfig::Run&, const Warn&, const std::string&) { return make(kind); },
      [&](const std::string& line) { result.lines.push_back(line); });
  return result;
}

// With the arithmetic of the precision.
std::unique_ptr<Backend> right_backend(const Kind& kind) {
  if (kind.precision == Precision::f32) return make_emulated_cuda_backend(kind.type);
  return emulated_cuda::make_tensor_core_backend(kind.type, kEmulatedMemory);
}

// A backend some of whose calls go wrong.
class FaultyBackend final : public ObservedBackend {
 public:
  FaultyBackend(std::unique_ptr<Backend> right, CallObserver fault)
      : ObservedBackend(*right), right_(std::move(right)), fault_(std::move(fault)) {
    observe(fault_);
  }
  // What is recorded is not run by device = check, and a fault looks at numbers.
  std::function<void()> record(std::function<void()> sequence) override {
    observe({});
    std::function<void()> recorded = ObservedBackend::record(std::move(sequence));
    observe(fault_);
    return recorded;
  }

 private:
  std::unique_ptr<Backend> right_;
  CallObserver fault_;
};

// Changes the bytes of a tensor.
template <typename Change>
void change(Backend& backend, const Tensor& tensor, const Change& change_bytes) {
  std::vector<std::byte> bytes(tensor.bytes());
  backend.copy_out(bytes.data(), tensor);
  change_bytes(bytes);
  backend.copy_in(tensor, bytes.data());
}

// A copy of a tensor, changed.
struct Changed {
  template <typename Change>
  Changed(Backend& backend, const Tensor& tensor, const Change& change_bytes)
      : buffer(backend.allocate(tensor.bytes(), "a fault")), copy(buffer.tensor(tensor.dtype, tensor.shape)) {
    backend.copy(copy, tensor);
    change(backend, copy, change_bytes);
  }
  Buffer buffer;
  Tensor copy;
};

// Exchanges the first two views of statistics [V, 2, C].
void swap_views(std::vector<std::byte>& bytes) {
  const auto view = static_cast<std::ptrdiff_t>(bytes.size() / 3);  // of three
  std::swap_ranges(bytes.begin(), bytes.begin() + view, bytes.begin() + view);
}

// Zeroes every `stride`-th run of `run` bytes.
auto zero_runs(std::size_t run, std::size_t stride) {
  return [=](std::vector<std::byte>& bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += stride) {
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), run, std::byte{0});
    }
  };
}

// Runs a call; may change it before and what it left after.
using CallFault = std::function<void(Backend&, const AnyCall&)>;

template <typename Call, typename Body>
CallFault fault_in(const Body& body) {
  return [body](Backend& backend, const AnyCall& any) {
    std::visit(
        [&](const auto& observed) {
          if constexpr (std::is_same_v<std::decay_t<decltype(observed.call)>, Call>) {
            body(backend, observed);
          } else {
            observed.run(observed.call);
          }
        },
        any);
  };
}

// The statistics of two views are exchanged when they have been measured.
const CallFault kSwappedOutput = fault_in<PreactConvForward>([](Backend& backend, const auto& observed) {
  observed.run(observed.call);
  if (observed.spec.stats) change(backend, observed.call.y_stats, swap_views);
});

template <typename Call>
CallFault swapped_input() {
  return fault_in<Call>([](Backend& backend, const auto& observed) {
    Call call = observed.call;
    if (!call.x_stats.defined()) return observed.run(call);
    const Changed stats(backend, call.x_stats, swap_views);
    call.x_stats = stats.copy;
    observed.run(call);
  });
}

// The last input channel of a convolution that has many is left out.
const CallFault kDroppedInput = fault_in<PreactConvForward>([](Backend& backend, const auto& observed) {
  PreactConvForward call = observed.call;
  if (observed.spec.in_channels < 16) return observed.run(call);
  const std::size_t value = size_of(call.weight.dtype);
  const Changed weight(backend, call.weight,
                       zero_runs(value, value * static_cast<std::size_t>(observed.spec.in_channels)));
  call.weight = weight.copy;
  observed.run(call);
});

template <typename Call>
CallFault dropped_output(Tensor Call::*output) {
  return fault_in<Call>([output](Backend& backend, const auto& observed) {
    observed.run(observed.call);
    const Tensor& tensor = observed.call.*output;
    if (!tensor.defined()) return;
    const std::size_t value = size_of(tensor.dtype);
    const auto channels = static_cast<std::size_t>(tensor.shape[tensor.shape.rank() - 1]);
    change(backend, tensor, zero_runs(value, value * channels));
  });
}

// The update leaves the weights that the operations read as they were.
const CallFault kStaleCopy = fault_in<SgdCall>([](Backend& backend, const auto& observed) {
  const Tensor& weights = observed.call.weight.defined() ? observed.call.weight : observed.call.value;
  const Changed before(backend, weights, [](std::vector<std::byte>&) {});
  observed.run(observed.call);
  backend.copy(weights, before.copy);
});

}  // namespace

TEST_CASE("device = check: a right backend passes on every network in every precision") {
  const TempDir folder;
  write_checked_data(folder);
  RunConfig wide = tiny_check(folder, Architecture::wide_resnet);
  wide.model.width = test_depth(10, 2);
  wide.optimiser.batch = 2;
  wide.run.check_steps = 1;
  RunConfig dropout = tiny_check(folder, Architecture::wide_resnet);
  dropout.model.dropout = 0.3;
  dropout.optimiser.nesterov = true;
  dropout.optimiser.ema = 0.9;
  RunConfig projection = tiny_check(folder, Architecture::resnet), identity = projection,
            preact = tiny_check(folder, Architecture::preact_resnet18),
            plain = tiny_check(folder, Architecture::mlp);
  for (RunConfig* config : {&projection, &identity}) config->model.depth = 8;
  identity.model.shortcut = ShortcutKind::identity;
  preact.model.depth.reset();
  for (RunConfig* config : {&projection, &identity, &preact}) {
    config->model.channels = 4;
    config->run.check_steps = 1;
  }
  plain.model.batch_norm = false;
  for (const RunConfig& config :
       {wide, dropout, projection, identity, preact, plain, tiny_check(folder, Architecture::lenet),
        tiny_check(folder, Architecture::mlp)}) {
    for (const Kind& kind : kKinds) {
      const std::string name = fmt::format("{} in {}", network_of(config.model), kind.name);
      CAPTURE(name);
      const Result result = check(config, kind, right_backend);
      CHECK_MESSAGE(result.code == 0, result.all());
    }
  }
}

TEST_CASE("device = check: data without images passes") {
  const TempDir folder;
  RunConfig config = tiny_check(folder, Architecture::mlp);
  config.data.dataset = "tabular";
  config.data.path = std::string(DPLL_TEST_FIXTURES) + "/tabular/dense.mat";
  config.candidates.mode = CandidateMode::dataset;
  config.views.policy.reset();
  for (const Kind& kind : kKinds) {
    const Result result = check(config, kind, right_backend);
    CHECK_MESSAGE(result.code == 0, result.all());
    CHECK(result.says("feature_views views"));
  }
}

TEST_CASE("device = check: convolutions that apply batch norm themselves pass") {
  const TempDir folder;
  write_checked_data(folder);
  // Tuning runs every way some dozens of times, by plain loops.
  RunConfig config = tiny_check(folder, Architecture::wide_resnet);
  config.optimiser.batch = 4;
  config.run.check_steps = 1;
  for (const Kind& kind : kKinds) {
    if (kind.precision == Precision::tf32) continue;
    if (kind.precision != Precision::f16 && test_depth(1, 0) == 0) continue;
    const std::string name = kind.name;
    CAPTURE(name);
    const int before = emulated_cuda::fused_passes_run();
    const Result result = check(config, kind, [](const Kind& of) {
      return emulated_cuda::make_tuned_backend(of.type, emulated_cuda::FusedLoops::right,
                                               [](const std::string&) {});
    });
    CHECK(emulated_cuda::fused_passes_run() > before);
    CHECK_MESSAGE(result.code == 0, result.all());
  }
}

TEST_CASE("device = check: planted faults are found in every precision, where they are") {
  const TempDir folder;
  write_checked_data(folder);
  struct Planted {
    const char* name;
    CallFault fault;
    Architecture architecture;
    std::string marked;  // in one of the marked lines
  };
  const auto wrn = Architecture::wide_resnet;
  const Planted planted[] = {
      {"measured statistics of two views", kSwappedOutput, wrn, "preact_conv y_stats"},
      {"statistics of two views", swapped_input<PreactConvForward>(), wrn, "preact_conv y "},
      {"statistics of two views, backward", swapped_input<PreactConvBackward>(), wrn, "preact_conv d_x "},
      {"statistics of two views, pooled", swapped_input<BnReluPoolForward>(), wrn, "bn_relu_pool y "},
      {"an input channel", kDroppedInput, wrn, "preact_conv y "},
      {"an output channel", dropped_output(&PreactConvForward::y), wrn, "preact_conv y "},
      {"a channel of d_x", dropped_output(&PreactConvBackward::d_x), wrn, "preact_conv d_x "},
      {"a channel of d_weight", dropped_output(&PreactConvBackward::d_weight), wrn, "preact_conv d_weight "},
      {"a feature of d_weight", dropped_output(&LinearBackward::d_weight), Architecture::mlp,
       "linear d_weight "},
      {"a feature", dropped_output(&LinearForward::y), Architecture::mlp, "linear y "},
      {"weights", kStaleCopy, wrn, "sgd "},
      {"weights of layers", kStaleCopy, Architecture::mlp, "sgd "},
      {"a class", dropped_output(&PllObjectiveCall::d_logits), wrn, "pll_objective d_logits"},
      {"a colour", dropped_output(&AugmentCall::images), wrn, "augment images"},
  };
  for (const Planted& p : planted) {
    for (const Kind& kind : kKinds) {
      const std::string name = fmt::format("{}, {}", p.name, kind.name);
      CAPTURE(name);
      const Result result = check(tiny_check(folder, p.architecture), kind, [&](const Kind& of) {
        auto right = right_backend(of);
        Backend& inner = *right;
        return std::make_unique<FaultyBackend>(std::move(right),
                                               [&p, &inner](const AnyCall& call) { p.fault(inner, call); });
      });
      CHECK(result.code == static_cast<int>(ExitCode::device));
      CHECK_MESSAGE(result.all().find(p.marked) != std::string::npos, result.all());
      if (kind.type == DType::f32 || p.marked != "sgd ") continue;
      // The layers of the second step read what the first one's update left.
      CHECK_MESSAGE(result.all().find("weight that is read") != std::string::npos, result.all());
    }
  }
}

TEST_CASE("device = check: a kernel that is broken is marked, and what is printed says where") {
  const TempDir folder;
  write_checked_data(folder);
  const emulation::ActiveFault fault(emulation::Fault::sums_last_block);
  const Result result = check(tiny_check(folder, Architecture::wide_resnet), kKinds[0],
                              [](const Kind& kind) { return make_mutant_cuda_backend(kind.type); });
  CHECK(result.code == static_cast<int>(ExitCode::device));
  for (const char* text :
       {"against cpu", "largest errors of 2 steps", " augment: augment images [24,8,8,3]",
        " forward conv1: preact_conv y [24,8,8,16]", " backward fc: linear d_bias [3]", "! ",
        " backward fc: linear d_bias [3], step 1, channel 1: 0 instead of ", " instead of ",
        "objective: pll_objective d_logits [24,3]", " update: sgd value ", "distances of whole steps",
        "gradients, at most: ", "results have a larger error than their arithmetic explains"}) {
    CAPTURE(std::string(text));
    CHECK_MESSAGE(result.says(text), result.all());
  }
}
