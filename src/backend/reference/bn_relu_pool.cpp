#include <algorithm>

#include "backend/reference/batch_norm.h"
#include "backend/reference/reference_ops.h"

namespace dpll::reference {
namespace {

class ReferenceBnReluPool final : public BnReluPool {
 public:
  explicit ReferenceBnReluPool(const BnReluPoolSpec& spec)
      : spec_(spec), bn_{spec.views, std::int64_t{spec.batch} * spec.height * spec.width, spec.channels} {}

  std::size_t saved_bytes() const override { return 0; }
  // z of the shape of x; in backward also d_z.
  std::size_t workspace_bytes() const override {
    return 2 * static_cast<std::size_t>(in_elements()) * sizeof(double);
  }

  void forward(const BnReluPoolForward& call) override {
    auto* z = static_cast<double*>(call.workspace);
    const std::vector<double> stats = normalising_stats(spec_.mode, call.bn, call.x_stats, bn_);
    if (spec_.mode == Mode::train) update_running_stats(call.bn, stats, bn_);
    batch_norm(z, call.x.as<double>(), stats, call.bn, bn_);

    auto* y = call.y.as<double>();
    for_each_output([&](int n, int oh, int ow, int c) {
      double& out = y[out_at(n, oh, ow, c)];
      switch (spec_.pool) {
        case Pool::none:
          out = relu(z[in_at(n, oh, ow, c)]);
          break;
        case Pool::max2:
          out = relu(z[window_maximum(z, n, oh, ow, c)]);
          break;
        case Pool::global_average:
          out = 0;
          for (int h = 0; h < spec_.height; ++h) {
            for (int w = 0; w < spec_.width; ++w) out += relu(z[in_at(n, h, w, c)]);
          }
          out /= spec_.height * spec_.width;
          break;
      }
    });
  }

  void backward(const BnReluPoolBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "bn_relu_pool has no backward in evaluation");
    const auto* x = call.x.as<double>();
    auto* z = static_cast<double*>(call.workspace);
    double* d_z = z + in_elements();
    const std::vector<double> stats = normalising_stats(Mode::train, call.bn, call.x_stats, bn_);
    batch_norm(z, x, stats, call.bn, bn_);

    const auto* d_y = call.d_y.as<double>();
    std::fill_n(d_z, in_elements(), 0.0);
    const auto pass = [&](std::int64_t i, double gradient) { d_z[i] = z[i] > 0 ? gradient : 0.0; };
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
    batch_norm_backward(call.d_x.as<double>(), Accumulate::no, call.bn, d_z, x, stats, bn_);
  }

 private:
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
