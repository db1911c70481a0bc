// linear: y = x weight^T + bias, and optionally the per-view statistics of y for a batch norm over features.
// Backward: d_x = d_y weight, d_weight = d_y^T x, d_bias = column sums of d_y.
#pragma once

#include <cstddef>

#include "dpll/ops/common.h"

namespace dpll {

struct LinearSpec {
  Mode mode = Mode::train;
  int views = 1, batch = 1;
  int in_features = 1, out_features = 1;
  bool stats = false;  // only in Mode::train
  bool input_gradient = true;
  BatchShare share = {};  // of the batch norm's statistics

  int rows() const { return views * batch; }
};

struct LinearForward {
  Tensor y = {};        // compute [V*B, out]; any shape with this number of elements, as x
  Tensor y_stats = {};  // master [V, 2, out], with spec.stats
  Tensor x = {};        // compute [V*B, in]; any shape with this number of elements
  Tensor weight = {};   // weight [out, in]
  Tensor bias = {};     // master [out]
  void* workspace = nullptr;
};

struct LinearBackward {
  Tensor d_x = {};       // compute, shape of x
  Tensor d_weight = {};  // weight
  Tensor d_bias = {};    // master; undefined: not computed
  Tensor d_y = {};
  Tensor x = {};
  Tensor weight = {};
  void* workspace = nullptr;
  SideQueue side = {};
};

class Linear {
 public:
  virtual ~Linear() = default;
  virtual std::size_t workspace_bytes() const = 0;
  virtual std::size_t side_workspace_bytes() const { return 0; }  // of a SideQueue
  virtual void forward(const LinearForward& call) = 0;
  virtual void backward(const LinearBackward& call) = 0;
};

}  // namespace dpll
