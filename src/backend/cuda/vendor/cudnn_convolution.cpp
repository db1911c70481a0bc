#include "backend/cuda/vendor/cudnn_convolution.h"

#include <algorithm>

#include "backend/cuda/vendor/cudnn_graph.h"
#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr std::int64_t kMostConfigurations = 64, kMostKnobs = CUDNN_KNOB_TYPE_COUNTS;

bool has(const std::vector<cudnnBackendNumericalNote_t>& notes, cudnnBackendNumericalNote_t note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

// `notes`: what the engine says of itself. Those of fused passes for sm_90 say nothing at all, so that for
// them the autotuner's comparison of two runs is all that vouches for equal bits.
bool allowed(const std::vector<cudnnBackendNumericalNote_t>& notes, DType type, const EngineRules& rules) {
  if (rules.deterministic && has(notes, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  if (has(notes, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return false;
  if (type != DType::f32 || rules.tf32) return true;
  return !has(notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
         !has(notes, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
}

std::string name_of_configuration(const Descriptor& engine, const Descriptor& configuration) {
  std::vector<std::pair<int, std::int64_t>> knobs;
  for (const Descriptor& choice : configuration.descriptors(
           CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, kMostKnobs)) {
    const auto types =
        choice.list<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1);
    if (!types || types->empty()) continue;
    knobs.emplace_back(static_cast<int>(types->front()), choice.get_int64(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  std::sort(knobs.begin(), knobs.end());
  std::string text;
  for (const auto& [type, value] : knobs)
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", type, value);
  const std::int64_t index = engine.get_int64(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  return text.empty() ? fmt::format("engine {}", index) : fmt::format("engine {} {{{}}}", index, text);
}

class CudnnWay final : public ConvolutionWay {
 public:
  CudnnWay(std::shared_ptr<const CudnnDevice> device, ConvolutionPass pass, const ConvolutionShape& shape,
           std::string name, EnginePlan plan)
      : device_(std::move(device)),
        pass_(pass),
        shape_(shape),
        name_(std::move(name)),
        plan_(std::move(plan)) {}

  const std::string& name() const override { return name_; }
  std::size_t workspace_bytes() const override { return plan_.workspace_bytes; }
  void run(const ConvolutionTensors& tensors, void* workspace, Stream stream) const override {
    const Descriptor pack = variant_pack(pass_, tensors, workspace, shape_.in_channels);
    const cudnnStatus_t status = cudnn().execute(device_->handle(stream), plan_.plan.raw(), pack.raw());
    if (status == CUDNN_STATUS_SUCCESS) return;
    check_cudnn(status, fmt::format("starting {} of {}, {}", DPLL_CUDA_NAMESPACE::name_of(pass_),
                                    shape_.text(), name_)
                            .c_str());
  }

 private:
  std::shared_ptr<const CudnnDevice> device_;
  ConvolutionPass pass_;
  ConvolutionShape shape_;
  std::string name_;
  EnginePlan plan_;
};

}  // namespace

std::vector<EngineConfiguration> engine_configurations(const CudnnDevice& device,
                                                       const ConvolutionShape& shape, ConvolutionPass pass,
                                                       const EngineRules& rules) {
  std::vector<EngineConfiguration> found;
  // cuDNN has no fused engine in another type. Where channels fill 16 bytes all vectors and views are
  // aligned.
  const bool aligned = shape.in_channels % 8 == 0 && shape.out_channels % 8 == 0;
  if (!is_plain(pass) && (shape.type != DType::f16 || !aligned)) return found;
  const Descriptor graph = operation_graph(device, shape, pass);
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (device.described()) {
      device.apply(heuristics, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
    }
    if (!heuristics.try_finalize()) continue;
    for (Descriptor& configuration : heuristics.descriptors(
             CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, kMostConfigurations)) {
      const std::vector<Descriptor> engines =
          configuration.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
      if (engines.empty()) continue;
      const auto notes = engines.front().list<cudnnBackendNumericalNote_t>(
          CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
      if (notes && !allowed(*notes, shape.type, rules)) continue;
      std::string name = name_of_configuration(engines.front(), configuration);
      if (!notes) name += " (its numerical notes cannot be read)";
      // Both modes may return it.
      const bool known = std::any_of(found.begin(), found.end(),
                                     [&](const EngineConfiguration& other) { return other.name == name; });
      if (!known) found.push_back({std::move(name), std::move(configuration), !notes.has_value()});
    }
  }
  return found;
}

std::optional<EnginePlan> make_plan(const CudnnDevice& device, const EngineConfiguration& configuration) {
  if (configuration.unknown_arithmetic) return std::nullopt;
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  device.apply(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration.descriptor);
  if (!plan.try_finalize()) return std::nullopt;
  const auto bytes = static_cast<std::size_t>(plan.get_int64(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
  if (bytes > kMostWorkspace) return std::nullopt;
  return EnginePlan{std::move(plan), bytes};
}

std::vector<ConvolutionOffer> cudnn_offers(const std::shared_ptr<const CudnnDevice>& device,
                                           const ConvolutionShape& shape, ConvolutionPass pass,
                                           const EngineRules& rules) {
  std::vector<ConvolutionOffer> offers;
  for (EngineConfiguration& found : engine_configurations(*device, shape, pass, rules)) {
    const auto shared = std::make_shared<const EngineConfiguration>(std::move(found));
    offers.push_back({shared->name, [=]() -> std::shared_ptr<const ConvolutionWay> {
                        std::optional<EnginePlan> plan = make_plan(*device, *shared);
                        if (!plan) return nullptr;
                        return std::make_shared<CudnnWay>(device, pass, shape, shared->name,
                                                          std::move(*plan));
                      }});
  }
  return offers;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
