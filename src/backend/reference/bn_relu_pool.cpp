#include <algorithm>
#include <vector>

#include "backend/reference/batch_norm.h"
#include "backend/reference/reference_ops.h"

namespace dpll::reference {
namespace {

class ReferenceBnReluPool final : public BnReluPool {
 public:
  explicit ReferenceBnReluPool(const BnReluPoolSpec& spec)
      : spec_(spec),
        bn_(bn_geometry(spec.views, spec.batch, std::int64_t{spec.height} * spec.width, spec.channels,
                        spec.share)) {
    check_spec(spec);
  }

  std::size_t saved_bytes() const override { return 0; }
  // z and d_z of the shape of x, and bn_s(s).
  std::size_t workspace_bytes() const override {
    return 3 * static_cast<std::size_t>(in_elements()) * sizeof(double);
  }

  void forward(const BnReluPoolForward& call) override {
    auto* z = static_cast<double*>(call.workspace);
    Stats stats, shortcut_stats;
    if (spec_.batch_norm) {
      stats = normalising_stats(spec_.mode, call.bn, call.x_stats, bn_);
      if (spec_.mode == Mode::train) update_running_stats(call.bn, stats, bn_);
    }
    if (spec_.shortcut == Shortcut::normalised) {
      shortcut_stats = normalising_stats(spec_.mode, call.shortcut_bn, call.shortcut_stats, bn_);
      if (spec_.mode == Mode::train) update_running_stats(call.shortcut_bn, shortcut_stats, bn_);
    }
    pre_activations(z, call, stats, shortcut_stats);

    auto* y = call.y.as<double>();
    for_each_output([&](int n, int oh, int ow, int c) {
      double& out = y[out_at(n, oh, ow, c)];
      switch (spec_.pool) {
        case Pool::none:
          out = activation(z[in_at(n, oh, ow, c)]);
          break;
        case Pool::max2:
          out = activation(z[window_maximum(z, n, oh, ow, c)]);
          break;
        case Pool::global_average:
          out = 0;
          for (int h = 0; h < spec_.height; ++h) {
            for (int w = 0; w < spec_.width; ++w) out += activation(z[in_at(n, h, w, c)]);
          }
          out /= spec_.height * spec_.width;
          break;
      }
    });
  }

  void backward(const BnReluPoolBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "bn_relu_pool has no backward in evaluation");
    auto* z = static_cast<double*>(call.workspace);
    double* d_z = z + in_elements();
    Stats stats, shortcut_stats;
    if (spec_.batch_norm) stats = normalising_stats(Mode::train, call.bn, call.x_stats, bn_);
    if (spec_.shortcut == Shortcut::normalised) {
      shortcut_stats = normalising_stats(Mode::train, call.shortcut_bn, call.shortcut_stats, bn_);
    }
    if (spec_.relu) pre_activations(z, call, stats, shortcut_stats);

    const auto* d_y = call.d_y.as<double>();
    std::fill_n(d_z, in_elements(), 0.0);
    const auto pass = [&](std::int64_t i, double gradient) {
      d_z[i] = !spec_.relu || z[i] > 0 ? gradient : 0.0;
    };
    for_each_output([&](int n, int oh, int ow, int c) {
      const double gradient = d_y[out_at(n, oh, ow, c)];
      switch (spec_.pool) {
        case Pool::none:
          pass(in_at(n, oh, ow, c), gradient);
          break;
        case Pool::max2:
          pass(window_maximum(z, n, oh, ow, c), gradient);
          break;
        case Pool::global_average:
          for (int h = 0; h < spec_.height; ++h) {
            for (int w = 0; w < spec_.width; ++w) {
              pass(in_at(n, h, w, c), gradient / (spec_.height * spec_.width));
            }
          }
          break;
      }
    });
    auto* const d_x = call.d_x.as<double>();
    if (spec_.batch_norm) {
      batch_norm_backward(d_x, Accumulate::no, call.bn, d_z, call.x.as<double>(), stats, bn_);
    } else {
      std::copy_n(d_z, in_elements(), d_x);
    }
    shortcut_backward(call, d_z, shortcut_stats);
  }

 private:
  using Stats = std::vector<double>;

  double activation(double z) const { return spec_.relu ? relu(z) : z; }

  // z = bn(x) + shortcut; `call` is of either pass.
  template <typename Call>
  void pre_activations(double* z, const Call& call, const Stats& stats, const Stats& shortcut_stats) const {
    const auto* x = call.x.template as<double>();
    if (spec_.batch_norm) {
      batch_norm(z, x, stats, call.bn, bn_);
    } else {
      std::copy_n(x, in_elements(), z);
    }
    if (spec_.shortcut == Shortcut::none) return;
    const auto* s = call.shortcut.template as<double>();
    if (spec_.shortcut == Shortcut::subsampled) {
      for_each_subsampled([&](std::int64_t of_x, std::int64_t of_s) { z[of_x] += s[of_s]; });
      return;
    }
    if (spec_.shortcut == Shortcut::normalised) {
      double* const normalised = z + 2 * in_elements();
      batch_norm(normalised, s, shortcut_stats, call.shortcut_bn, bn_);
      s = normalised;
    }
    for (std::int64_t i = 0; i < in_elements(); ++i) z[i] += s[i];
  }

  void shortcut_backward(const BnReluPoolBackward& call, const double* d_z, const Stats& stats) const {
    if (spec_.shortcut == Shortcut::none) return;
    auto* const d_s = call.d_shortcut.as<double>();
    if (spec_.shortcut == Shortcut::identity) {
      std::copy_n(d_z, in_elements(), d_s);
    } else if (spec_.shortcut == Shortcut::subsampled) {
      std::fill_n(d_s, call.d_shortcut.elements(), 0.0);
      for_each_subsampled([&](std::int64_t of_x, std::int64_t of_s) { d_s[of_s] = d_z[of_x]; });
    } else {
      batch_norm_backward(d_s, Accumulate::no, call.shortcut_bn, d_z, call.shortcut.as<double>(), stats, bn_);
    }
  }

  // body(index into x, index into the shortcut) for all that is added.
  template <typename Body>
  void for_each_subsampled(const Body& body) const {
    for (int n = 0; n < spec_.rows(); ++n) {
      for (int h = 0; h < spec_.height; ++h) {
        for (int w = 0; w < spec_.width; ++w) {
          const std::int64_t s =
              ((std::int64_t{n} * spec_.shortcut_height + 2 * h) * spec_.shortcut_width + 2 * w) *
              spec_.shortcut_channels;
          const std::int64_t x = in_at(n, h, w, spec_.shortcut_pad());
          for (int c = 0; c < spec_.shortcut_channels; ++c) body(x + c, s + c);
        }
      }
    }
  }

  std::int64_t in_elements() const { return bn_.views * bn_.rows * bn_.channels; }
  std::int64_t in_at(int n, int h, int w, int c) const {
    return ((std::int64_t{n} * spec_.height + h) * spec_.width + w) * spec_.channels + c;
  }
  std::int64_t out_at(int n, int h, int w, int c) const {
    return ((std::int64_t{n} * spec_.out_height() + h) * spec_.out_width() + w) * spec_.channels + c;
  }

  template <typename Body>
  void for_each_output(const Body& body) const {
    for (int n = 0; n < spec_.rows(); ++n) {
      for (int oh = 0; oh < spec_.out_height(); ++oh) {
        for (int ow = 0; ow < spec_.out_width(); ++ow) {
          for (int c = 0; c < spec_.channels; ++c) body(n, oh, ow, c);
        }
      }
    }
  }

  // Where the 2x2 window of an output has its largest z. Ties go to the first in row order; windows whose
  // ReLU outputs tie at 0 are no exception, as their gradient is 0 wherever it goes.
  std::int64_t window_maximum(const double* z, int n, int oh, int ow, int c) const {
    std::int64_t best = in_at(n, 2 * oh, 2 * ow, c);
    for (int h = 2 * oh; h < 2 * oh + 2; ++h) {
      for (int w = 2 * ow; w < 2 * ow + 2; ++w) {
        if (z[in_at(n, h, w, c)] > z[best]) best = in_at(n, h, w, c);
      }
    }
    return best;
  }

  BnReluPoolSpec spec_;
  BnGeometry bn_;
};

}  // namespace

std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec) {
  return std::make_unique<ReferenceBnReluPool>(spec);
}

}  // namespace dpll::reference
