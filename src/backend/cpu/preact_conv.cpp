// preact_conv on the CPU. A pass over an activation that comes from memory costs up to a third of the
// convolution, one that comes from the cache next to nothing. So the unit of work is a chunk of a few images
// that stays in a core's second-level cache, and one thread takes it through everything: batch norm and ReLU,
// convolutions, residual and statistics, or their gradients. Convolutions are as fast on one thread and a
// chunk as on the whole batch with all threads. d_weight, a sum over all images, is added up by each thread
// for the chunks that it takes, or computed for the whole batch at once where its sums are too large.
#include <algorithm>
#include <limits>
#include <optional>

#include "backend/cpu/batch_norm.h"
#include "backend/cpu/batch_norm_parts.h"
#include "backend/cpu/batch_rows.h"
#include "backend/cpu/column_sums.h"
#include "backend/cpu/convolution.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/dropout.h"
#include "backend/cpu/elementwise.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/preact_conv_parts.h"
#include "backend/memory_plan.h"

namespace dpll::cpu {
namespace {

// Both gradients of a chunk are taken in one pass where the filters of one and the sums of the other fit into
// that cache together.
constexpr std::size_t kFusedBytes = std::size_t{1} << 20;

// A batch norm as z = x * scale + shift.
struct Affine {
  void plan(MemoryPlan& memory, const BnGeometry& geometry) {
    scale = memory.add<float>(std::int64_t{geometry.views} * geometry.channels);
    shift = memory.add<float>(std::int64_t{geometry.views} * geometry.channels);
  }
  Piece<float> scale, shift;  // [V, in]
};

// What backward needs of a forward pass in training. To compute a chunk's a again from x costs less than to
// write it to memory and read it back; where the whole batch's is needed at once, and where dropout would
// have to be drawn again, it is kept. It is positive exactly where ReLU and dropout let x through.
struct Saved {
  explicit Saved(const CpuConvSpec& spec)
      : keeps_a(spec.preact && (spec.dropout > 0 || !WeightGradients::need_no_batch(spec))) {}
  bool keeps_a;
  MemoryPlan plan;
  Piece<float> a;  // [V*B, H, W, in]
  Affine bn;
};

class ForwardPass {
 public:
  // Plans `saved` in training.
  ForwardPass(const CpuConvSpec& spec, const Cut& cut, Saved& saved)
      : spec_(spec),
        cut_(cut),
        conv_(make_conv_forward(main_geometry(spec, cut.images), spec.bias, cut.lanes)) {
    if (spec.projection)
      projection_ = make_conv_forward(projection_geometry(spec, cut.images), false, cut.lanes);
    const bool train = spec.mode == Mode::train;
    if (spec.preact) {
      keeps_a_ = train && saved.keeps_a;
      a_ = keeps_a_ ? saved.plan.add<float>(cut.chunks * cut.in_elements)
                    : plan_.add<float>(cut.in_elements, cut.lanes);
      bn_.plan(train ? saved.plan : plan_, cut.x);
      saved.a = a_;
      saved.bn = bn_;
    }
    if (spec.residual) sum_ = plan_.add<float>(cut.out_elements, cut.lanes);
    if (spec.stats) parts_ = plan_.add<double>(std::int64_t{cut.chunks} * 2 * spec.out_channels);
    packed_ = plan_.add_bytes<float>(conv_->packed_bytes());
    std::size_t scratch = conv_->scratch_bytes();
    if (projection_) {
      packed_projection_ = plan_.add_bytes<float>(projection_->packed_bytes());
      scratch = std::max(scratch, projection_->scratch_bytes());
    }
    scratch_ = plan_.add_bytes(scratch, cut.lanes);
  }

  std::size_t workspace_bytes() const { return plan_.bytes(); }

  void run(const PreactConvForward& call) const {
    void* workspace = call.workspace;
    auto* y = call.y.as<float>();
    auto* projected = call.projected.as<float>();
    const auto* residual = call.residual.as<float>();
    const auto* bias = call.bias.as<float>();
    auto* parts = parts_.in(workspace);
    const Activation activation = prepare(call);
    void* scratch = scratch_.in(workspace);
    const float* weight = conv_->pack(packed_.in(workspace), call.weight.as<float>(), scratch);
    const float* projection_weight = nullptr;
    if (projection_) {
      projection_weight =
          projection_->pack(packed_projection_.in(workspace), call.projection_weight.as<float>(), scratch);
    }
    cut_.for_each_chunk([&](int chunk, int lane) {
      const float* a = activate(activation, chunk, lane);
      float* out = y + chunk * cut_.out_elements;
      const float* added = spec_.residual ? residual + chunk * cut_.out_elements : nullptr;
      void* lane_scratch = scratch_.in(workspace, lane);
      if (residual == y) {
        float* conv = sum_.in(workspace, lane);
        conv_->run(lane, conv, a, weight, bias, lane_scratch);
        added = conv;
      } else {
        conv_->run(lane, out, a, weight, bias, lane_scratch);
      }
      if (projection_) {
        projection_->run(lane, projected + chunk * cut_.out_elements, a, projection_weight, nullptr,
                         lane_scratch);
      }
      if (spec_.stats) {
        stats_of_part(parts + std::int64_t{chunk} * 2 * spec_.out_channels, out, added, cut_.out_rows,
                      spec_.out_channels);
      } else if (added != nullptr) {
        add_to(out, added, cut_.out_elements);
      }
    });
    conv_->check();
    if (projection_) projection_->check();
    if (spec_.stats) combine_stats(call.y_stats.as<float>(), parts, cut_.out_rows, cut_.y);
  }

 private:
  // How a chunk's a comes about.
  struct Activation {
    const float* x;
    float *a, *scale, *shift;
    BatchRows rows;
    void* workspace;
  };

  // Batch norm's scale and shift.
  Activation prepare(const PreactConvForward& call) const {
    Activation of{call.x.as<float>(), nullptr, nullptr, nullptr, call.rows, call.workspace};
    if (!spec_.preact) return of;
    void* block = train_ ? call.saved : call.workspace;
    of.a = a_.in(keeps_a_ ? call.saved : call.workspace);
    of.scale = bn_.scale.in(block);
    of.shift = bn_.shift.in(block);
    batch_norm_prepare(of.scale, of.shift, call.bn, train_ ? call.x_stats.as<float>() : nullptr, cut_.x);
    if (drops_) check_rows(call.rows, spec_.batch, std::numeric_limits<std::int64_t>::max());
    return of;
  }

  const float* activate(const Activation& of, int chunk, int lane) const {
    const float* x = of.x + chunk * cut_.in_elements;
    if (!spec_.preact) return x;
    const int view = chunk / cut_.per_view;
    float* a = keeps_a_ ? of.a + chunk * cut_.in_elements : a_.in(of.workspace, lane);
    bn_relu_apply_to_part(a, x, of.scale + view * spec_.in_channels, of.shift + view * spec_.in_channels,
                          cut_.in_rows, spec_.in_channels);
    if (!drops_) return a;
    const std::int64_t image = cut_.in_elements / cut_.images;
    for (int i = 0; i < cut_.images; ++i) {
      const int row = chunk % cut_.per_view * cut_.images + i;
      dropout_apply(a + i * image, image, {spec_.dropout, spec_.dropout_site}, *of.rows.step,
                    static_cast<std::uint32_t>(sample_of(of.rows, row)), static_cast<std::uint32_t>(view));
    }
    return a;
  }

  CpuConvSpec spec_;
  Cut cut_;
  bool train_ = spec_.mode == Mode::train;
  bool drops_ = train_ && spec_.dropout > 0;
  bool keeps_a_ = false;
  std::unique_ptr<Convolution> conv_, projection_;
  MemoryPlan plan_;      // of the workspace
  Piece<float> a_;       // the batch's where it is saved; a chunk's, of each lane
  Affine bn_;            // in training saved
  Piece<float> sum_;     // a chunk's convolution, of each lane, where y holds the residual
  Piece<double> parts_;  // [chunks, 2, out]
  Piece<float> packed_, packed_projection_;
  Piece<std::byte> scratch_;
};

class BackwardPass {
 public:
  BackwardPass(const CpuConvSpec& spec, const Cut& cut, const Saved& saved)
      : spec_(spec), cut_(cut), saved_(saved), weights_(spec, cut, plan_) {
    if (spec.preact && !saved.keeps_a) a_ = plan_.add<float>(cut.in_elements, cut.lanes);
    if (spec.bias) {
      const std::int64_t rows = cut.y.views * cut.y.rows;
      column_sums_ = plan_.add_bytes(column_sums_workspace_bytes(rows, spec.out_channels));
    }
    // Batch norm's own gradients need d_a even where nobody asks for d_x.
    if (spec.input_gradient || spec.preact) {
      to_input_ = make_conv_backward_data(main_geometry(spec, cut.images), cut.lanes);
      std::size_t scratch = to_input_->scratch_bytes(), weights = to_input_->packed_bytes();
      packed_weight_ = plan_.add_bytes<float>(to_input_->packed_bytes());
      if (spec.projection) {
        projection_to_input_ = make_conv_backward_data(projection_geometry(spec, cut.images), cut.lanes);
        scratch = std::max(scratch, projection_to_input_->scratch_bytes());
        weights += projection_to_input_->packed_bytes();
        packed_projection_weight_ = plan_.add_bytes<float>(projection_to_input_->packed_bytes());
      }
      term_ = plan_.add<float>(cut.in_elements, cut.lanes);
      chunk_scratch_ = plan_.add_bytes(scratch, cut.lanes);
      fused_ = weights_.any_by_chunks() && weights_.sums_bytes() + weights <= kFusedBytes;
    }
    if (spec.preact) {
      d_a_ = plan_.add<float>(cut.chunks * cut.in_elements);
      parts_ = plan_.add<double>(std::int64_t{cut.chunks} * 2 * spec.in_channels);
      sums_ = plan_.add<float>(std::int64_t{spec.views} * 2 * spec.in_channels);
    }
  }

  std::size_t workspace_bytes() const { return plan_.bytes(); }

  void run(const PreactConvBackward& call) const {
    weights_.run(call, spec_.preact ? saved_.a.in(call.saved) : call.x.as<float>());
    if (call.d_bias.defined()) {
      column_sums(call.d_bias.as<float>(), call.d_y.as<float>(), cut_.y.views * cut_.y.rows,
                  spec_.out_channels, column_sums_.in(call.workspace));
    }
    if (weights_.any_by_chunks() && !fused_) {
      cut_.for_each_lane(
          [&](int lane) { weights_.begin(call.workspace, lane); },
          [&](int chunk, int lane) { weights_.add(call, activation(call, chunk, lane), chunk, lane); });
    }
    if (to_input_) input_gradients(call);
    weights_.finish(call);
  }

 private:
  void input_gradients(const PreactConvBackward& call) const {
    auto* d_x = spec_.input_gradient ? call.d_x.as<float>() : nullptr;
    const bool accumulate = d_x != nullptr && call.accumulate == Accumulate::yes;
    if (!spec_.preact) {
      chunk_gradients(call, d_x, accumulate, nullptr);
      return;
    }
    // d_a becomes d_x in place where nothing is to be kept there.
    float* d_a = d_x == nullptr || accumulate ? d_a_.in(call.workspace) : d_x;
    auto* parts = parts_.in(call.workspace);
    auto* sums = sums_.in(call.workspace);
    const auto* x = call.x.as<float>();
    const auto* stats = call.x_stats.as<float>();
    chunk_gradients(call, d_a, false, parts);
    combine_backward_sums(sums, call.bn.d_gamma.as<float>(), call.bn.d_beta.as<float>(), parts, cut_.in_rows,
                          stats, cut_.x);
    if (d_x == nullptr) return;
    bn_relu_backward_apply(d_x, call.accumulate, d_a, x, stats, saved_.bn.scale.in(call.saved),
                           saved_.bn.shift.in(call.saved), sums, cut_.x);
  }

  const float* activation(const PreactConvBackward& call, int chunk, int lane) const {
    const float* x = call.x.as<float>() + chunk * cut_.in_elements;
    if (!spec_.preact) return x;
    if (saved_.keeps_a) return saved_.a.in(call.saved) + chunk * cut_.in_elements;
    const std::int64_t channel = std::int64_t{chunk / cut_.per_view} * spec_.in_channels;
    float* a = a_.in(call.workspace, lane);
    bn_relu_apply_to_part(a, x, saved_.bn.scale.in(call.saved) + channel,
                          saved_.bn.shift.in(call.saved) + channel, cut_.in_rows, spec_.in_channels);
    return a;
  }

  // d_a (+)= conv^T(d_y) + conv1x1^T(d_projected) and, with preact, its part sums for batch norm.
  void chunk_gradients(const PreactConvBackward& call, float* d_a, bool accumulate, double* parts) const {
    void* workspace = call.workspace;
    const auto* d_y = call.d_y.as<float>();
    const auto* d_projected = call.d_projected.as<float>();
    const auto* x = call.x.as<float>();
    const auto* stats = call.x_stats.as<float>();
    const float* weight =
        to_input_->pack(packed_weight_.in(workspace), call.weight.as<float>(), chunk_scratch_.in(workspace));
    const float* projection_weight = nullptr;
    if (projection_to_input_) {
      projection_weight =
          projection_to_input_->pack(packed_projection_weight_.in(workspace),
                                     call.projection_weight.as<float>(), chunk_scratch_.in(workspace));
    }
    const std::int64_t channels = spec_.in_channels;
    const auto gradients = [&](int chunk, int lane) {
      if (fused_) weights_.add(call, activation(call, chunk, lane), chunk, lane);
      float* sum = d_a + chunk * cut_.in_elements;
      give_term(*to_input_, workspace, lane, sum, d_y + chunk * cut_.out_elements, weight, accumulate);
      if (projection_to_input_) {
        give_term(*projection_to_input_, workspace, lane, sum, d_projected + chunk * cut_.out_elements,
                  projection_weight, true);
      }
      if (spec_.dropout > 0) {
        dropout_backward(sum, saved_.a.in(call.saved) + chunk * cut_.in_elements, cut_.in_elements,
                         {spec_.dropout, spec_.dropout_site});
      }
      if (parts != nullptr) {
        const std::int64_t view = chunk / cut_.per_view;
        bn_relu_backward_sums_of_part(
            parts + chunk * 2 * channels, sum, x + chunk * cut_.in_elements, stats + view * 2 * channels,
            saved_.bn.scale.in(call.saved) + view * channels,
            saved_.bn.shift.in(call.saved) + view * channels, cut_.in_rows, spec_.in_channels);
      }
    };
    if (fused_) {
      cut_.for_each_lane([&](int lane) { weights_.begin(workspace, lane); }, gradients);
    } else {
      cut_.for_each_chunk(gradients);
    }
    to_input_->check();
    if (projection_to_input_) projection_to_input_->check();
  }

  // sum (+)= what a convolution makes of a chunk.
  void give_term(const Convolution& conv, void* workspace, int lane, float* sum, const float* from,
                 const float* weight, bool add) const {
    void* scratch = chunk_scratch_.in(workspace, lane);
    float* term = term_.in(workspace, lane);
    if (add && conv.can_add()) {
      conv.add(lane, sum, from, weight, scratch);
      return;
    }
    conv.run(lane, add ? term : sum, from, weight, nullptr, scratch);
    if (add) add_to(sum, term, cut_.in_elements);
  }

  CpuConvSpec spec_;
  Cut cut_;
  Saved saved_;
  MemoryPlan plan_;  // of the workspace
  WeightGradients weights_;
  std::unique_ptr<Convolution> to_input_, projection_to_input_;
  bool fused_ = false;   // d_weight in the pass over the chunks that d_a needs
  Piece<float> a_;       // a chunk's, of each lane, where it is not saved
  Piece<float> d_a_;     // [V*B, H, W, in]
  Piece<float> term_;    // a chunk's term of d_a, of each lane
  Piece<double> parts_;  // [chunks, 2, in]
  Piece<float> sums_;    // [V, 2, in]
  Piece<float> packed_weight_, packed_projection_weight_;
  Piece<std::byte> column_sums_, chunk_scratch_;
};

class CpuPreactConv final : public PreactConv {
 public:
  explicit CpuPreactConv(const CpuConvSpec& spec) : saved_(spec), forward_(spec, Cut(spec), saved_) {
    if (spec.mode == Mode::train) backward_.emplace(spec, Cut(spec), saved_);
  }

  std::size_t saved_bytes() const override { return saved_.plan.bytes(); }
  std::size_t workspace_bytes() const override {
    return std::max(forward_.workspace_bytes(), backward_ ? backward_->workspace_bytes() : 0);
  }
  void forward(const PreactConvForward& call) override { forward_.run(call); }
  void backward(const PreactConvBackward& call) override {
    DPLL_CHECK(backward_, "preact_conv has no backward in evaluation");
    backward_->run(call);
  }

 private:
  Saved saved_;
  ForwardPass forward_;
  std::optional<BackwardPass> backward_;
};

void check_spec(const PreactConvSpec& spec) {
  DPLL_CHECK(spec.out_height() > 0 && spec.out_width() > 0, "kernel {} on {}x{} images", spec.kernel,
             spec.height, spec.width);
  DPLL_CHECK(spec.dropout == 0 || spec.preact, "dropout {} without preact", spec.dropout);
  DPLL_CHECK(spec.dropout_site < 4096, "dropout site {} is above 4095", spec.dropout_site);
  DPLL_CHECK(spec.mode == Mode::train || !spec.stats, "statistics in evaluation");
}

}  // namespace

std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec, DType products) {
  check_spec(spec);
  return std::make_unique<CpuPreactConv>(CpuConvSpec{spec, products});
}

}  // namespace dpll::cpu
