#include "backend/cuda/vendor/cudnn_convolution.h"

#include <algorithm>
#include <array>

#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// Names of the tensors in a variant pack.
constexpr std::int64_t kX = 1, kWeight = 2, kY = 3;
constexpr std::int64_t kAlignment = 16;  // bytes, of every tensor
constexpr std::int64_t kMostConfigurations = 64;

cudnnDataType_t cudnn_type(DType type) {
  switch (type) {
    case DType::f32:
      return CUDNN_DATA_FLOAT;
    case DType::f16:
      return CUDNN_DATA_HALF;
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    default:
      fail(ExitCode::internal, "no convolution in {}", name_of(type));
  }
}

std::string text(const ConvolutionShape& s) {
  return fmt::format("{} images of {} x {} x {} to {} channels, {} x {}, stride {}, {}", s.images, s.height,
                     s.width, s.in_channels, s.out_channels, s.kernel, s.kernel, s.stride,
                     dpll::name_of(s.type));
}

// `count` x `channels` x `height` x `width` in cuDNN's order of dimensions, channels last in memory.
Descriptor tensor(std::int64_t id, DType type, std::int64_t count, std::int64_t channels, std::int64_t height,
                  std::int64_t width) {
  Descriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const std::array<std::int64_t, 4> dimensions = {count, channels, height, width};
  const std::array<std::int64_t, 4> strides = {height * width * channels, 1, width * channels, channels};
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, cudnn_type(type));
  made.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignment);
  made.set(CUDNN_ATTR_TENSOR_DIMENSIONS, dimensions);
  made.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  made.finalize("describing a tensor");
  return made;
}

Descriptor convolution(const ConvolutionShape& shape) {
  Descriptor made(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const std::array<std::int64_t, 2> pads = {shape.pad, shape.pad}, strides = {shape.stride, shape.stride},
                                    ones = {1, 1};
  made.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  made.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  made.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  made.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, pads);
  made.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, pads);
  made.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, strides);
  made.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, ones);
  made.finalize("describing a convolution");
  return made;
}

// Attribute names of an operation.
struct Names {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, weight, y, convolution, alpha, beta;
};

Names names_of(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case ConvolutionPass::data_gradient:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvolutionPass::weight_gradient:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
  fail(ExitCode::internal, "no such pass");
}

Descriptor operation_graph(const CudnnDevice& device, const ConvolutionShape& s, ConvolutionPass pass) {
  const Descriptor x = tensor(kX, s.type, s.images, s.in_channels, s.height, s.width);
  const Descriptor weight = tensor(kWeight, s.type, s.out_channels, s.in_channels, s.kernel, s.kernel);
  const Descriptor y = tensor(kY, s.type, s.images, s.out_channels, s.out_height(), s.out_width());
  const Descriptor how = convolution(s);
  const Names names = names_of(pass);
  Descriptor operation(names.operation);
  operation.set(names.x, x);
  operation.set(names.weight, weight);
  operation.set(names.y, y);
  operation.set(names.convolution, how);
  operation.set(names.alpha, 1.0F);
  operation.set(names.beta, 0.0F);
  operation.finalize("describing an operation");
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  device.apply(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, std::nullopt);
  graph.finalize("describing a graph");
  return graph;
}

bool has(const std::vector<cudnnBackendNumericalNote_t>& notes, cudnnBackendNumericalNote_t note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

// What the engine of a configuration says of itself.
std::vector<cudnnBackendNumericalNote_t> notes_of(const Descriptor& configuration) {
  const std::vector<Descriptor> engines =
      configuration.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
  if (engines.empty()) return {};
  return engines.front().list<cudnnBackendNumericalNote_t>(
      CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
}

bool allowed(const std::vector<cudnnBackendNumericalNote_t>& notes, DType type, const EngineRules& rules) {
  if (rules.deterministic && has(notes, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  if (has(notes, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return false;
  if (type != DType::f32 || rules.tf32) return true;
  return !has(notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
         !has(notes, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
}

class CudnnConvolution final : public Convolution {
 public:
  CudnnConvolution(std::shared_ptr<const CudnnDevice> device, const ConvolutionShape& shape,
                   const EngineRules& rules)
      : device_(std::move(device)),
        forward_(best(shape, ConvolutionPass::forward, rules)),
        data_(best(shape, ConvolutionPass::data_gradient, rules)),
        weight_(best(shape, ConvolutionPass::weight_gradient, rules)) {}

  std::size_t workspace_bytes() const override {
    return std::max({forward_.workspace_bytes, data_.workspace_bytes, weight_.workspace_bytes});
  }
  void forward(void* y, const void* x, const void* weight, void* workspace) override {
    execute(forward_, x, weight, y, workspace);
  }
  void data_gradient(void* d_x, const void* d_y, const void* weight, void* workspace) override {
    execute(data_, d_x, weight, d_y, workspace);
  }
  void weight_gradient(void* d_weight, const void* d_y, const void* x, void* workspace) override {
    execute(weight_, x, d_weight, d_y, workspace);
  }

 private:
  ConvolutionPlan best(const ConvolutionShape& shape, ConvolutionPass pass, const EngineRules& rules) const {
    std::vector<ConvolutionPlan> plans = convolution_plans(*device_, shape, pass, rules, 1);
    if (plans.empty()) {
      fail(ExitCode::device, "cuDNN {} has no engine for the {} of {}", cudnn().version.text(), name_of(pass),
           text(shape));
    }
    return std::move(plans.front());
  }

  void execute(const ConvolutionPlan& plan, const void* x, const void* weight, const void* y,
               void* workspace) const {
    const std::array<const void*, 3> pointers = {x, weight, y};
    const std::array<std::int64_t, 3> ids = {kX, kWeight, kY};
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers.data());
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    pack.finalize("naming a convolution's tensors");
    check_cudnn(cudnn().execute(device_->handle(), plan.plan.raw(), pack.raw()), "starting a convolution");
  }

  std::shared_ptr<const CudnnDevice> device_;
  ConvolutionPlan forward_, data_, weight_;
};

}  // namespace

const char* name_of(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return "forward";
    case ConvolutionPass::data_gradient:
      return "data_gradient";
    case ConvolutionPass::weight_gradient:
      return "weight_gradient";
  }
  return "?";
}

CudnnDevice::CudnnDevice(Stream stream) {
  check_cudnn(cudnn().create(&handle_), "starting");
  check_cudnn(cudnn().set_stream(handle_, stream), "taking the stream");
}

CudnnDevice::CudnnDevice(const std::string& description) {
  if (cudnn().version < LibraryVersion{9, 8, 0}) {
    fail(ExitCode::device, "cuDNN {} cannot plan for a described GPU: 9.8.0 or newer can",
         cudnn().version.text());
  }
  description_.emplace(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  description_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                    static_cast<std::int64_t>(description.size()), description.data());
  description_->finalize("reading the description of a GPU");
}

CudnnDevice::~CudnnDevice() {
  if (handle_ != nullptr) cudnn().destroy(handle_);
}

void CudnnDevice::apply(Descriptor& descriptor, cudnnBackendAttributeName_t handle_name,
                        std::optional<cudnnBackendAttributeName_t> description_name) const {
  if (handle_ != nullptr) {
    descriptor.set(handle_name, CUDNN_TYPE_HANDLE, 1, &handle_);
  } else if (description_name) {
    descriptor.set(*description_name, *description_);
  }
}

std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice& device, const ConvolutionShape& shape,
                                               ConvolutionPass pass, const EngineRules& rules, int most) {
  const Descriptor graph = operation_graph(device, shape, pass);
  std::vector<ConvolutionPlan> plans;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (device.handle() == nullptr) {
      device.apply(heuristics, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
    }
    if (!heuristics.try_finalize()) continue;
    for (Descriptor& configuration : heuristics.descriptors(
             CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, kMostConfigurations)) {
      if (static_cast<int>(plans.size()) == most) return plans;
      const std::vector<cudnnBackendNumericalNote_t> notes = notes_of(configuration);
      if (!allowed(notes, shape.type, rules)) continue;
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      device.apply(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      if (!plan.try_finalize()) continue;
      const std::int64_t bytes = plan.get_int64(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
      plans.push_back({std::move(configuration), std::move(plan), static_cast<std::size_t>(bytes),
                       has(notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE)});
    }
  }
  return plans;
}

std::unique_ptr<Convolution> make_cudnn_convolution(std::shared_ptr<const CudnnDevice> device,
                                                    const ConvolutionShape& shape, const EngineRules& rules) {
  return std::make_unique<CudnnConvolution>(std::move(device), shape, rules);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
