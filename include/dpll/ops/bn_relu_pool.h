// bn_relu_pool: y = pool(relu(bn(x) + shortcut)), parts of which may be left out. Its uses:
//   batch norm, ReLU and a pooling  the tail of a wide residual network (global average), both stages of
//   LeNet
//                                   (2x2 maximum, stride 2, odd last rows and columns dropped), batch norm
//                                   over features (no pooling, H = W = 1)
//   batch norm, ReLU, a shortcut    where the two paths of a post-activation block join (He et al. 2016)
//   ReLU alone                      without batch norm, no pooling
//   the global average alone        without batch norm and ReLU
// check_spec() refuses others. In a window with equal maxima the gradient goes to the first one in row order,
// as in PyTorch.
//
// The gradient of the shortcut is that of ReLU's input, d_z = d_y where y > 0, else 0; of
// Shortcut::normalised it goes on through the second batch norm.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dpll/ops/common.h"

namespace dpll {

enum class Pool { none, max2, global_average };

// What is added to bn(x), from a tensor s.
enum class Shortcut {
  none,
  identity,    // s, of the shape of x
  subsampled,  // every second pixel of s, beginning with the first; (C - channels of s) / 2 channels of zeros
               // lie in front of those of s, the others behind (option A of He et al. 2016)
  normalised,  // bn_s(s), with s of the shape of x: batch norm of a projection
};

struct BnReluPoolSpec {
  Mode mode = Mode::train;
  int views = 1, batch = 1;
  int height = 1, width = 1, channels = 1;  // of x
  Pool pool = Pool::none;
  bool batch_norm = true;
  bool relu = true;
  Shortcut shortcut = Shortcut::none;
  int shortcut_height = 0, shortcut_width = 0, shortcut_channels = 0;  // of s, where it is subsampled
  BatchShare share = {};

  int out_height() const { return pool == Pool::none ? height : pool == Pool::max2 ? height / 2 : 1; }
  int out_width() const { return pool == Pool::none ? width : pool == Pool::max2 ? width / 2 : 1; }
  int rows() const { return views * batch; }
  // How many channels of zeros precede those of s.
  int shortcut_pad() const { return (channels - shortcut_channels) / 2; }
  Shape shortcut_shape() const {
    if (shortcut == Shortcut::subsampled) return {rows(), shortcut_height, shortcut_width, shortcut_channels};
    return {rows(), height, width, channels};
  }
};

inline void check_spec(const BnReluPoolSpec& s) {
  DPLL_CHECK(s.out_height() > 0 && s.out_width() > 0, "nothing is left of {} x {} pixels", s.height, s.width);
  if (s.batch_norm) {
    DPLL_CHECK(s.relu && (s.shortcut == Shortcut::none || s.pool == Pool::none),
               "batch norm without ReLU, or a shortcut and a pooling");
  } else {
    DPLL_CHECK(s.shortcut == Shortcut::none && s.pool == (s.relu ? Pool::none : Pool::global_average),
               "no batch norm, and not ReLU alone or the global average alone");
  }
  DPLL_CHECK(s.shortcut != Shortcut::subsampled ||
                 (s.height == (s.shortcut_height + 1) / 2 && s.width == (s.shortcut_width + 1) / 2 &&
                  s.shortcut_channels > 0 && s.shortcut_channels <= s.channels),
             "{}x{}x{} is not every second pixel of {}x{}x{}", s.height, s.width, s.channels,
             s.shortcut_height, s.shortcut_width, s.shortcut_channels);
}

struct BnReluPoolForward {
  Tensor y = {};               // compute [V*B, OH, OW, C]
  Tensor x = {};               // compute [V*B, H, W, C]
  Tensor x_stats = {};         // master [V, 2, C], in training with batch norm
  BatchNorm bn = {};           // with batch norm
  Tensor shortcut = {};        // s: compute, spec.shortcut_shape(), unless Shortcut::none
  Tensor shortcut_stats = {};  // master [V, 2, C], in training, and
  BatchNorm shortcut_bn = {};  // bn_s: of Shortcut::normalised
  void* saved = nullptr;
  void* workspace = nullptr;
};

struct BnReluPoolBackward {
  Tensor d_x = {};         // compute, shape of x
  BatchNorm bn = {};       // gamma, beta read, d_gamma and d_beta written
  Tensor d_shortcut = {};  // of s; identity and normalised: may be the same tensor as d_y
  BatchNorm shortcut_bn = {};
  Tensor d_y = {};  // compute, shape of y
  Tensor x = {};
  Tensor x_stats = {};
  Tensor shortcut = {};
  Tensor shortcut_stats = {};
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
