// What both passes of the CPU's preact_conv are cut into, and its gradients to the weights.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "backend/cpu/batch_norm.h"
#include "backend/cpu/convolution.h"
#include "backend/memory_plan.h"
#include "dpll/ops/preact_conv.h"

namespace dpll::cpu {

// Input and output of a chunk together, unless a single image has more.
inline constexpr std::int64_t kChunkBytes = std::int64_t{1} << 18;

// What an op is made of: the contract's side of it, and the backend's.
struct CpuConvSpec : PreactConvSpec {
  DType products = DType::f32;
};

// The batch in chunks of images, and what it means for x and y, each [V*B, H, W, C].
struct Cut {
  explicit Cut(const CpuConvSpec& spec)
      : x(bn_geometry(spec.views, spec.batch, std::int64_t{spec.height} * spec.width, spec.in_channels,
                      spec.share)),
        y(bn_geometry(spec.views, spec.batch, std::int64_t{spec.out_height()} * spec.out_width(),
                      spec.out_channels, spec.share)) {
    // As many images as fit, and a divisor of a view's: all chunks are alike and none straddles two views.
    const std::int64_t view_bytes = (x.rows * x.channels + y.rows * y.channels) * std::int64_t{sizeof(float)};
    const std::int64_t fitting = kChunkBytes * spec.batch / view_bytes;
    images = static_cast<int>(std::clamp<std::int64_t>(fitting, 1, spec.batch));
    while (spec.batch % images != 0) --images;
    per_view = spec.batch / images;
    chunks = spec.views * per_view;
    in_rows = x.rows / per_view;
    out_rows = y.rows / per_view;
    in_elements = in_rows * x.channels;
    out_elements = out_rows * y.channels;
  }

  // Runs body(chunk, lane) for all chunks. Which lane takes which must make no difference to the results.
  template <typename Body>
  void for_each_chunk(const Body& body) const {
#pragma omp parallel for schedule(dynamic) num_threads(lanes)
    for (int chunk = 0; chunk < chunks; ++chunk) body(chunk, omp_get_thread_num());
  }

  // The same where it does: every lane has its own chunks, in order. first(lane) precedes them.
  template <typename First, typename Body>
  void for_each_lane(const First& first, const Body& body) const {
#pragma omp parallel for schedule(static, 1) num_threads(lanes)
    for (int lane = 0; lane < lanes; ++lane) {
      first(lane);
      for (int chunk = chunks * lane / lanes; chunk < chunks * (lane + 1) / lanes; ++chunk) body(chunk, lane);
    }
  }

  BnGeometry x, y;
  int lanes = omp_get_max_threads();
  int images = 1;                                  // of a chunk
  int chunks = 1, per_view = 1;                    // of the batch, of a view
  std::int64_t in_rows = 1, out_rows = 1;          // of a chunk
  std::int64_t in_elements = 1, out_elements = 1;  // of a chunk
};

inline ConvGeometry main_geometry(const CpuConvSpec& spec, int images) {
  return {.images = images,
          .height = spec.height,
          .width = spec.width,
          .in_channels = spec.in_channels,
          .out_channels = spec.out_channels,
          .kernel = spec.kernel,
          .stride = spec.stride,
          .pad = spec.pad,
          .products = spec.products};
}

inline ConvGeometry projection_geometry(const CpuConvSpec& spec, int images) {
  ConvGeometry geometry = main_geometry(spec, images);
  geometry.kernel = 1;
  geometry.pad = 0;
  return geometry;
}

// d_weight and, with a projection, d_projection_weight: each chunk by chunk where that is as fast as the
// whole batch at once.
class WeightGradients {
 public:
  // Plans the memory of both in a workspace.
  WeightGradients(const CpuConvSpec& spec, const Cut& cut, MemoryPlan& plan);
  // Whether a chunk's a is all that they need.
  static bool need_no_batch(const CpuConvSpec& spec);

  bool any_by_chunks() const { return main_.partial || (projection_ && projection_->partial); }
  // What the chunks of a lane go through.
  std::size_t sums_bytes() const;

  // Those that take the whole batch at once.
  void run(const PreactConvBackward& call, const float* a) const;
  // The others: begin() and add() on each lane, then finish(). a: the chunk's.
  void begin(void* workspace, int lane) const;
  void add(const PreactConvBackward& call, const float* a, int chunk, int lane) const;
  void finish(const PreactConvBackward& call) const;

 private:
  // One of the two is null.
  struct Gradient {
    std::unique_ptr<PartialWeightGradient> partial;
    std::unique_ptr<WeightGradient> whole;
    Piece<std::byte> scratch;  // of the chunks, of each lane
  };
  Gradient make(const ConvGeometry& chunk, MemoryPlan& plan) const;

  int chunks_, lanes_;
  std::int64_t out_elements_;  // of a chunk
  Gradient main_;
  std::optional<Gradient> projection_;
  Piece<std::byte> batch_scratch_;
};

}  // namespace dpll::cpu
