// Source of the patterns: cuDNN's developer guide, "Graph API", the specialised pre-compiled engines
// (ConvBNfprop, ConvBNwgrad, DgradDreluBNBwdWeight). What cuDNN 9.19 takes of their variants was found by
// asking it for plans (tools/cudnn_plans):
//   - scale and bias in f16, not float32 (but for sm_100, which takes both)
//   - the results between the operations before a convolution in f16 (sm_80 and 90 take float32, too), those
//     behind it in float32
//   - the mean subtracted, by CUDNN_POINTWISE_SUB
#include "backend/cuda/vendor/cudnn_graph.h"

#include <array>

#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// Names of the tensors in a variant pack.
enum Id : std::int64_t {
  kX = 1,
  kWeight,
  kY,
  kScale,
  kBias,
  kSum,
  kSquares,
  kMean,
  kInverseDeviation,
  kGamma,
  kBeta,
  kDZ,
  kDGamma,
  kDBeta,
  kUnused,                      // three
  kFirstVirtual = kUnused + 3,  // virtual tensors have no memory
};
constexpr std::int64_t kAlignment = 16;  // bytes, of every tensor

using Dimensions = std::array<std::int64_t, 4>;  // images, channels, height, width: cuDNN's order

cudnnDataType_t cudnn_type(DType type) {
  switch (type) {
    case DType::f32:
      return CUDNN_DATA_FLOAT;
    case DType::f16:
      return CUDNN_DATA_HALF;
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    default:
      fail(ExitCode::internal, "no convolution in {}", dpll::name_of(type));
  }
}

// Attribute names of a convolution's operation.
struct Names {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, weight, y, convolution, alpha, beta;
};

constexpr Names kForward = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
constexpr Names kDataGradient = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
constexpr Names kWeightGradient = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};

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

// Collects the operations of one graph.
class GraphBuilder {
 public:
  GraphBuilder(const CudnnDevice& device, const ConvolutionShape& shape)
      : device_(device),
        shape_(shape),
        x_{shape.images, shape.in_channels, shape.height, shape.width},
        y_{shape.images, shape.out_channels, shape.out_height(), shape.out_width()},
        weight_{shape.out_channels, shape.in_channels, shape.kernel, shape.kernel} {}

  Descriptor x() const { return tensor(kX, cudnn_type(shape_.type), x_, false); }
  Descriptor y() const { return tensor(kY, cudnn_type(shape_.type), y_, false); }
  Descriptor weight() const { return tensor(kWeight, cudnn_type(shape_.type), weight_, false); }
  Descriptor like_x(std::int64_t id) const { return tensor(id, cudnn_type(shape_.type), x_, false); }
  Descriptor per_channel(std::int64_t id, int channels, cudnnDataType_t type) const {
    return tensor(id, type, {1, channels, 1, 1}, false);
  }
  Descriptor virtual_x(cudnnDataType_t type) { return tensor(next_virtual_++, type, x_, true); }

  void convolve(const Names& names, const Descriptor& x, const Descriptor& weight, const Descriptor& y) {
    const Descriptor how = convolution(shape_);
    Descriptor operation(names.operation);
    operation.set(names.x, x);
    operation.set(names.weight, weight);
    operation.set(names.y, y);
    operation.set(names.convolution, how);
    operation.set(names.alpha, 1.0F);
    operation.set(names.beta, 0.0F);
    add(std::move(operation));
  }

  // to = x (mode) b; b null where the mode takes one operand.
  void pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* b, const Descriptor& to) {
    Descriptor operation = pointwise_operation(mode);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b != nullptr) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, to);
    add(std::move(operation));
  }

  // d_x = x > 0 ? d_y : 0
  void relu_backward(const Descriptor& d_x, const Descriptor& d_y, const Descriptor& x) {
    Descriptor operation = pointwise_operation(CUDNN_POINTWISE_RELU_BWD);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, d_y);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, d_x);
    add(std::move(operation));
  }

  void add(Descriptor&& operation) {
    operation.finalize("describing an operation");
    operations_.push_back(std::move(operation));
  }

  Descriptor finish() const {
    std::vector<cudnnBackendDescriptor_t> raw;
    for (const Descriptor& operation : operations_) raw.push_back(operation.raw());
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              static_cast<std::int64_t>(raw.size()), raw.data());
    device_.apply(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, std::nullopt);
    graph.finalize("describing a graph");
    return graph;
  }

 private:
  // Channels last in memory.
  static Descriptor tensor(std::int64_t id, cudnnDataType_t type, const Dimensions& d, bool is_virtual) {
    Descriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const Dimensions strides = {d[1] * d[2] * d[3], 1, d[3] * d[1], d[1]};
    made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
    made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
    made.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignment);
    made.set(CUDNN_ATTR_TENSOR_DIMENSIONS, d);
    made.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
    if (is_virtual) made.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
    made.finalize("describing a tensor");
    return made;
  }

  static Descriptor pointwise_operation(cudnnPointwiseMode_t mode) {
    Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, mode);
    how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    how.finalize("describing a pointwise operation");
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    return operation;
  }

  const CudnnDevice& device_;
  ConvolutionShape shape_;
  Dimensions x_, y_, weight_;
  std::int64_t next_virtual_ = kFirstVirtual;
  std::vector<Descriptor> operations_;
};

// relu(scale x + bias)
Descriptor add_activation(GraphBuilder& graph, const ConvolutionShape& shape, const Descriptor& x) {
  const cudnnDataType_t type = cudnn_type(shape.type);
  const Descriptor scale = graph.per_channel(kScale, shape.in_channels, type),
                   bias = graph.per_channel(kBias, shape.in_channels, type), scaled = graph.virtual_x(type),
                   shifted = graph.virtual_x(type);
  Descriptor activation = graph.virtual_x(type);
  graph.pointwise(CUDNN_POINTWISE_MUL, x, &scale, scaled);
  graph.pointwise(CUDNN_POINTWISE_ADD, scaled, &bias, shifted);
  graph.pointwise(CUDNN_POINTWISE_RELU_FWD, shifted, nullptr, activation);
  return activation;
}

void add_statistics(GraphBuilder& graph, const ConvolutionShape& shape, const Descriptor& y) {
  const Descriptor sum = graph.per_channel(kSum, shape.out_channels, CUDNN_DATA_FLOAT),
                   squares = graph.per_channel(kSquares, shape.out_channels, CUDNN_DATA_FLOAT);
  const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
  Descriptor operation(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_DATA_FLOAT);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, y);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sum);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, squares);
  graph.add(std::move(operation));
}

void add_data_gradient_reductions(GraphBuilder& graph, const ConvolutionShape& shape) {
  const auto vector = [&](std::int64_t id) {
    return graph.per_channel(id, shape.in_channels, CUDNN_DATA_FLOAT);
  };
  const auto between = [&] { return graph.virtual_x(CUDNN_DATA_FLOAT); };
  const Descriptor x = graph.x(), mean = vector(kMean), inverse_deviation = vector(kInverseDeviation),
                   gamma = vector(kGamma), beta = vector(kBeta), d_z = graph.like_x(kDZ);
  const Descriptor d_a = between(), centred = between(), normalised = between(), scaled = between(),
                   z = between();
  graph.convolve(kDataGradient, d_a, graph.weight(), graph.y());
  graph.pointwise(CUDNN_POINTWISE_SUB, x, &mean, centred);
  graph.pointwise(CUDNN_POINTWISE_MUL, centred, &inverse_deviation, normalised);
  graph.pointwise(CUDNN_POINTWISE_MUL, normalised, &gamma, scaled);
  graph.pointwise(CUDNN_POINTWISE_ADD, scaled, &beta, z);
  graph.relu_backward(d_z, d_a, z);
  const Descriptor d_gamma = vector(kDGamma), d_beta = vector(kDBeta);
  const std::array<Descriptor, 3> unused = {vector(kUnused), vector(kUnused + 1), vector(kUnused + 2)};
  Descriptor reductions(CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_DATA_FLOAT);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, d_z);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, mean);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, inverse_deviation);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, gamma);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, d_gamma);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, d_beta);
  // A, B and C of d_x = A d_z + B x + C, which cancels where |mean| is large beside the deviation. Our
  // kernel computes d_x from d_gamma and d_beta instead.
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, unused[0]);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, unused[1]);
  reductions.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, unused[2]);
  graph.add(std::move(reductions));
}

}  // namespace

Descriptor operation_graph(const CudnnDevice& device, const ConvolutionShape& shape, ConvolutionPass pass) {
  GraphBuilder graph(device, shape);
  const Descriptor x = graph.x(), weight = graph.weight(), y = graph.y();
  switch (pass) {
    case ConvolutionPass::forward:
      graph.convolve(kForward, x, weight, y);
      break;
    case ConvolutionPass::data_gradient:
      graph.convolve(kDataGradient, x, weight, y);
      break;
    case ConvolutionPass::weight_gradient:
      graph.convolve(kWeightGradient, x, weight, y);
      break;
    case ConvolutionPass::forward_statistics:
      graph.convolve(kForward, x, weight, y);
      add_statistics(graph, shape, y);
      break;
    case ConvolutionPass::activated_forward_statistics:
      graph.convolve(kForward, add_activation(graph, shape, x), weight, y);
      add_statistics(graph, shape, y);
      break;
    case ConvolutionPass::activated_weight_gradient:
      graph.convolve(kWeightGradient, add_activation(graph, shape, x), weight, y);
      break;
    case ConvolutionPass::data_gradient_reductions:
      add_data_gradient_reductions(graph, shape);
      break;
  }
  return graph.finish();
}

Descriptor variant_pack(ConvolutionPass pass, const ConvolutionTensors& t, void* workspace, int in_channels) {
  std::vector<std::int64_t> ids = {kX, kWeight, kY};
  std::vector<const void*> pointers = {t.x, t.weight, t.y};
  const auto bind = [&](std::int64_t id, const void* pointer) {
    ids.push_back(id);
    pointers.push_back(pointer);
  };
  if (pass == ConvolutionPass::activated_forward_statistics ||
      pass == ConvolutionPass::activated_weight_gradient) {
    bind(kScale, t.scale);
    bind(kBias, t.bias);
  }
  if (pass == ConvolutionPass::activated_forward_statistics || pass == ConvolutionPass::forward_statistics) {
    bind(kSum, t.sum);
    bind(kSquares, t.squares);
  }
  if (pass == ConvolutionPass::data_gradient_reductions) {
    bind(kMean, t.mean);
    bind(kInverseDeviation, t.inverse_deviation);
    bind(kGamma, t.gamma);
    bind(kBeta, t.beta);
    bind(kDZ, t.d_z);
    bind(kDGamma, t.d_gamma);
    bind(kDBeta, t.d_beta);
    for (int i = 0; i < 3; ++i) bind(kUnused + i, t.unused + std::int64_t{i} * in_channels);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
           static_cast<std::int64_t>(pointers.size()), pointers.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finalize("naming a convolution's tensors");
  return pack;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
