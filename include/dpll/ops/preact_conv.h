// preact_conv: batch norm, ReLU and dropout, then a convolution, as one operation. A wide residual network is
// almost only this (Zagoruyko & Komodakis 2016, pre-activation blocks of He et al. 2016).
//
//   a         = dropout(relu(bn(x)))                 a = x without `preact`
//   y         = conv(a, weight) + bias + residual    kernel x kernel, zero padding, square stride
//   projected = conv1x1(a, projection_weight)        same stride, no padding, no bias: the shortcut of a
//   block whose
//                                                    width or resolution changes
//   y_stats   = per-view mean and variance of y, for the next batch norm
//
// Backward, given d_y and d_projected (d_residual is d_y itself; see `accumulate`):
//   d_a = conv^T(d_y) + conv1x1^T(d_projected);  d_x by the derivative of dropout, ReLU and training-mode
//   batch norm, in which every view's statistics depend on that view's x.
//
// Dropout keeps an element when the Philox draw of (seed, Purpose::dropout, epoch, sample, view; block
// (site << 20) + element / 4, word element % 4), element counted over [H,W,C] of the image, is >= p, and
// divides kept elements by 1 - p. Evaluation does not drop.
#pragma once

#include <cstddef>

#include "dpll/ops/common.h"

namespace dpll {

struct PreactConvSpec {
  Mode mode = Mode::train;
  int views = 1, batch = 1;   // batch: samples per view
  int height = 1, width = 1;  // of x
  int in_channels = 1, out_channels = 1;
  int kernel = 3, stride = 1, pad = 1;
  bool preact = true;
  double dropout = 0;              // needs preact
  std::uint32_t dropout_site = 0;  // distinguishes the dropouts of one network; < 4096
  bool bias = false;
  bool projection = false;
  bool residual = false;
  bool stats = false;          // only in Mode::train
  bool input_gradient = true;  // false for the first layer: backward leaves d_x alone
  BatchShare share = {};       // of the batch norm's statistics

  int out_height() const { return (height + 2 * pad - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * pad - kernel) / stride + 1; }
  int rows() const { return views * batch; }
};

struct PreactConvForward {
  Tensor y = {};                  // compute [V*B, OH, OW, out]
  Tensor y_stats = {};            // master [V, 2, out], with spec.stats
  Tensor projected = {};          // compute, shape of y, with spec.projection
  Tensor x = {};                  // compute [V*B, H, W, in]
  Tensor x_stats = {};            // master [V, 2, in], with spec.preact in training
  BatchNorm bn = {};              // with spec.preact
  Tensor weight = {};             // weight [out, in, k, k] in Backend::conv_weight_layout()
  Tensor bias = {};               // master [out], with spec.bias
  Tensor projection_weight = {};  // weight [out, in, 1, 1]
  Tensor residual = {};           // compute, shape of y, with spec.residual; may be the same tensor as y
  BatchRows rows = {};            // for dropout
  void* saved = nullptr;          // written; unused in evaluation
  void* workspace = nullptr;
  SideQueue side = {};
};

struct PreactConvBackward {
  Tensor d_x = {};  // compute, shape of x
  Accumulate accumulate =
      Accumulate::no;    // yes: d_x += …, how a block adds the gradient of its identity shortcut
  Tensor d_weight = {};  // as the weights, and d_projection_weight
  Tensor d_bias = {};    // master, with spec.bias; undefined: not computed
  Tensor d_projection_weight = {};
  BatchNorm bn = {};        // gamma read, d_gamma and d_beta written
  Tensor d_y = {};          // compute, shape of y
  Tensor d_projected = {};  // compute, shape of y; may be the same tensor as d_y
  Tensor x = {};
  Tensor x_stats = {};
  Tensor weight = {};
  Tensor projection_weight = {};
  BatchRows rows = {};
  const void* saved = nullptr;
  void* workspace = nullptr;
  SideQueue side = {};
};

class PreactConv {
 public:
  virtual ~PreactConv() = default;
  virtual std::size_t saved_bytes() const = 0;
  virtual std::size_t workspace_bytes() const = 0;
  virtual std::size_t side_workspace_bytes() const { return 0; }  // of a SideQueue
  virtual void forward(const PreactConvForward& call) = 0;
  virtual void backward(const PreactConvBackward& call) = 0;  // Mode::train only
};

}  // namespace dpll
