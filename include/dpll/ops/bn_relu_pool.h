// bn_relu_pool: y = pool(relu(bn(x))). The tail of a wide residual network (global average), both stages of
// LeNet (2x2 maximum, stride 2, odd last rows and columns dropped) and batch norm over features (no pooling,
// H = W = 1). In a window with equal maxima the gradient goes to the first one in row order, as in PyTorch.
#pragma once

#include <cstddef>

#include "dpll/ops/common.h"

namespace dpll {

enum class Pool { none, max2, global_average };

struct BnReluPoolSpec {
  Mode mode = Mode::train;
  int views = 1, batch = 1;
  int height = 1, width = 1, channels = 1;  // of x
  Pool pool = Pool::none;

  int out_height() const { return pool == Pool::none ? height : pool == Pool::max2 ? height / 2 : 1; }
  int out_width() const { return pool == Pool::none ? width : pool == Pool::max2 ? width / 2 : 1; }
  int rows() const { return views * batch; }
};

struct BnReluPoolForward {
  Tensor y = {};        // compute [V*B, OH, OW, C]
  Tensor x = {};        // compute [V*B, H, W, C]
  Tensor x_stats = {};  // master [V, 2, C], in training
  BatchNorm bn = {};
  void* saved = nullptr;
  void* workspace = nullptr;
};

struct BnReluPoolBackward {
  Tensor d_x = {};    // compute, shape of x
  BatchNorm bn = {};  // gamma, beta read, d_gamma and d_beta written
  Tensor d_y = {};    // compute, shape of y
  Tensor x = {};
  Tensor x_stats = {};
  const void* saved = nullptr;
  void* workspace = nullptr;
};

class BnReluPool {
 public:
  virtual ~BnReluPool() = default;
  virtual std::size_t saved_bytes() const = 0;
  virtual std::size_t workspace_bytes() const = 0;
  virtual void forward(const BnReluPoolForward& call) = 0;
  virtual void backward(const BnReluPoolBackward& call) = 0;
};

}  // namespace dpll
