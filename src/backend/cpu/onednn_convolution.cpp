#include <algorithm>
#include <cstring>

#include "backend/cpu/elementwise.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/onednn_kernel.h"
#include "backend/cpu/parallel.h"
#include "backend/memory_plan.h"

namespace dpll::cpu {
namespace {

using namespace detail;

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

Type factor_type(const ConvGeometry& g) {
  return g.products == DType::bf16 ? Type::bf16 : Type::f32;
}

struct ConvLayouts {
  ConvLayouts(const ConvGeometry& g, Type in_type, Type weight_type, Type out_type)
      : in(describe({g.images, g.in_channels, g.height, g.width}, Format::nhwc, in_type)),
        weight(describe({g.out_channels, g.in_channels, g.kernel, g.kernel}, Format::any, weight_type)),
        plain_weight(describe({g.out_channels, g.in_channels, g.kernel, g.kernel}, Format::oihw)),
        bias(describe({g.out_channels}, Format::x)),
        out(describe({g.images, g.out_channels, g.out_height(), g.out_width()}, Format::nhwc, out_type)),
        strides{g.stride, g.stride},
        pad{g.pad, g.pad} {}

  Descriptor in, weight, plain_weight, bias, out;
  dnnl::memory::dims strides, pad;
};

#if DNNL_VERSION_MAJOR >= 3

dnnl::convolution_forward::primitive_desc forward_descriptor(const ConvLayouts& c, bool bias) {
  return {engine(),    dnnl::prop_kind::forward_training,
          kDirect,     c.in,
          c.weight,    bias ? c.bias : Descriptor(),
          c.out,       c.strides,
          c.pad,       c.pad,
          attributes()};
}

dnnl::convolution_backward_data::primitive_desc backward_data_descriptor(const ConvLayouts& c,
                                                                         const ConvLayouts& forward) {
  return {engine(),    kDirect, c.in,
          c.weight,    c.out,   c.strides,
          c.pad,       c.pad,   forward_descriptor(forward, false),
          attributes()};
}

dnnl::convolution_backward_weights::primitive_desc backward_weight_descriptor(const ConvLayouts& c,
                                                                              const ConvLayouts& forward) {
  return {engine(),    kDirect, c.in,
          c.weight,    c.out,   c.strides,
          c.pad,       c.pad,   forward_descriptor(forward, false),
          attributes()};
}

#else

dnnl::convolution_forward::primitive_desc forward_descriptor(const ConvLayouts& c, bool bias) {
  const dnnl::convolution_forward::desc operation(dnnl::prop_kind::forward_training, kDirect, c.in, c.weight,
                                                  bias ? c.bias : Descriptor(), c.out, c.strides, c.pad,
                                                  c.pad);
  return {operation, attributes(), engine()};
}

dnnl::convolution_backward_data::primitive_desc backward_data_descriptor(const ConvLayouts& c,
                                                                         const ConvLayouts& forward) {
  const dnnl::convolution_backward_data::desc operation(kDirect, c.in, c.weight, c.out, c.strides, c.pad,
                                                        c.pad);
  return {operation, attributes(), engine(), forward_descriptor(forward, false)};
}

dnnl::convolution_backward_weights::primitive_desc backward_weight_descriptor(const ConvLayouts& c,
                                                                              const ConvLayouts& forward) {
  const dnnl::convolution_backward_weights::desc operation(kDirect, c.in, c.weight, c.out, c.strides, c.pad,
                                                           c.pad);
  return {operation, attributes(), engine(), forward_descriptor(forward, false)};
}

#endif

std::string describe(const char* pass, const ConvGeometry& g) {
  return fmt::format("{} of a {}x{} convolution, stride {}, padding {}, [{},{},{},{}] -> [{},{},{},{}]", pass,
                     g.kernel, g.kernel, g.stride, g.pad, g.images, g.height, g.width, g.in_channels,
                     g.images, g.out_height(), g.out_width(), g.out_channels);
}

// Null where the layouts coincide.
std::unique_ptr<Kernel> make_reorder(const std::string& what, const Descriptor& from, const Descriptor& to) {
  if (from == to) return nullptr;
  const dnnl::reorder::primitive_desc descriptor(engine(), from, engine(), to, attributes());
  return make_kernel<dnnl::reorder>(what + ": layout of the weight", descriptor,
                                    {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, 1);
}

// oneDNN's plain loops, which are there for every shape.
bool is_reference(const std::string& implementation) {
  return implementation.rfind("ref", 0) == 0 || implementation.find(":ref") != std::string::npos;
}

std::size_t elements_of(std::int64_t images, int height, int width, int channels) {
  return static_cast<std::size_t>(images * height * width * channels);
}

// Both passes from an activation to an activation.
class OnednnConvolution final : public Convolution {
 public:
  // packed: the layout that the pass wants its weight in. Without a reorder that is OIHW. rounded: elements
  // of `from` that are rounded to bf16; 0: none are.
  OnednnConvolution(std::unique_ptr<Kernel> kernel, std::unique_ptr<Kernel> reorder, const Descriptor& packed,
                    bool bias, std::size_t rounded)
      : kernel_(std::move(kernel)),
        reorder_(std::move(reorder)),
        packed_bytes_(reorder_ == nullptr ? 0 : packed.get_size()),
        bias_(bias),
        rounded_(rounded) {
    scratch_ = plan_.add_bytes(
        std::max(kernel_->scratch_bytes(), reorder_ == nullptr ? 0 : reorder_->scratch_bytes()));
    from_ = plan_.add<std::uint16_t>(static_cast<std::int64_t>(rounded));
  }

  std::size_t packed_bytes() const override { return packed_bytes_; }
  std::size_t scratch_bytes() const override { return plan_.bytes(); }
  std::string implementation() const override { return kernel_->implementation(); }
  const float* pack(float* packed, const float* weight, void* scratch) const override {
    if (reorder_ == nullptr) return weight;
    reorder_->run(0, {weight, packed}, scratch_.in(scratch));
    return packed;
  }
  void run(int lane, float* to, const float* from, const float* packed, const float* bias,
           void* scratch) const noexcept override {
    const void* factor = from;
    if (rounded_ > 0) {
      round_to_bf16(from_.in(scratch), from, static_cast<std::int64_t>(rounded_));
      factor = from_.in(scratch);
    }
    if (bias_) {
      kernel_->run(lane, {to, factor, packed, bias}, scratch_.in(scratch));
    } else {
      kernel_->run(lane, {to, factor, packed}, scratch_.in(scratch));
    }
  }
  void check() const override {
    kernel_->check();
    if (reorder_ != nullptr) reorder_->check();
  }

 private:
  std::unique_ptr<Kernel> kernel_, reorder_;
  std::size_t packed_bytes_;
  bool bias_;
  std::size_t rounded_;
  MemoryPlan plan_;
  Piece<std::byte> scratch_;
  Piece<std::uint16_t> from_;
};

// The primitive of d_weight and what it leaves it in.
struct WeightKernel {
  WeightKernel(const ConvGeometry& geometry, int lanes, bool alone) {
    const std::string what = describe("backward pass to the weight", geometry);
    guarded(what, [&] {
      const Type factor = factor_type(geometry);
      const ConvLayouts layouts(geometry, factor, Type::f32, factor);
      const ConvLayouts forward(geometry, factor, factor, factor);
      const auto make = [&] {
        const auto descriptor = backward_weight_descriptor(layouts, forward);
        packed = descriptor.diff_weights_desc();
        return make_kernel<dnnl::convolution_backward_weights>(
            what, descriptor,
            {{DNNL_ARG_DIFF_WEIGHTS, packed}, {DNNL_ARG_SRC, layouts.in}, {DNNL_ARG_DIFF_DST, layouts.out}},
            lanes);
      };
      kernel = alone ? for_one_thread(make) : make();
      reorder = make_reorder(what, packed, layouts.plain_weight);
      return 0;
    });
    if (geometry.products == DType::bf16) {
      rounded_a = elements_of(geometry.images, geometry.height, geometry.width, geometry.in_channels);
      rounded_d_y =
          elements_of(geometry.images, geometry.out_height(), geometry.out_width(), geometry.out_channels);
    }
  }

  std::unique_ptr<Kernel> kernel, reorder;
  Descriptor packed;
  std::size_t rounded_a = 0, rounded_d_y = 0;  // elements; 0: taken as they are
};

class OnednnWeightGradient final : public WeightGradient {
 public:
  explicit OnednnWeightGradient(WeightKernel made) : made_(std::move(made)) {
    std::size_t scratch = made_.kernel->scratch_bytes();
    if (made_.reorder != nullptr) {
      packed_ = plan_.add_bytes<float>(made_.packed.get_size());
      scratch = std::max(scratch, made_.reorder->scratch_bytes());
    }
    scratch_ = plan_.add_bytes(scratch);
    a_ = plan_.add<std::uint16_t>(static_cast<std::int64_t>(made_.rounded_a));
    d_y_ = plan_.add<std::uint16_t>(static_cast<std::int64_t>(made_.rounded_d_y));
  }

  std::size_t scratch_bytes() const override { return plan_.bytes(); }
  std::string implementation() const override { return made_.kernel->implementation(); }
  void run(float* d_weight, const float* a, const float* d_y, void* scratch) const override {
    float* result = made_.reorder == nullptr ? d_weight : packed_.in(scratch);
    made_.kernel->run(0,
                      {result, rounded(a_.in(scratch), a, made_.rounded_a),
                       rounded(d_y_.in(scratch), d_y, made_.rounded_d_y)},
                      scratch_.in(scratch));
    made_.kernel->check();
    if (made_.reorder == nullptr) return;
    made_.reorder->run(0, {result, d_weight}, scratch_.in(scratch));
    made_.reorder->check();
  }

 private:
  static const void* rounded(std::uint16_t* to, const float* from, std::size_t count) {
    if (count == 0) return from;
    constexpr std::int64_t kGrain = 1 << 16;
    parallel_chunks(static_cast<std::int64_t>(count), kGrain, [&](std::int64_t begin, std::int64_t end) {
      round_to_bf16(to + begin, from + begin, end - begin);
    });
    return to;
  }

  WeightKernel made_;
  MemoryPlan plan_;
  Piece<float> packed_;
  Piece<std::byte> scratch_;
  Piece<std::uint16_t> a_, d_y_;
};

class OnednnPartialWeightGradient final : public PartialWeightGradient {
 public:
  explicit OnednnPartialWeightGradient(WeightKernel made)
      : made_(std::move(made)),
        elements_(static_cast<std::int64_t>(made_.packed.get_size() / sizeof(float))) {
    sums_ = plan_.add<float>(elements_);
    part_ = plan_.add<float>(elements_);
    scratch_ = plan_.add_bytes(std::max(made_.kernel->scratch_bytes(),
                                        made_.reorder == nullptr ? 0 : made_.reorder->scratch_bytes()));
    a_ = plan_.add<std::uint16_t>(static_cast<std::int64_t>(made_.rounded_a));
    d_y_ = plan_.add<std::uint16_t>(static_cast<std::int64_t>(made_.rounded_d_y));
  }

  std::size_t sums_bytes() const override { return 2 * static_cast<std::size_t>(elements_) * sizeof(float); }
  std::size_t scratch_bytes() const override { return plan_.bytes(); }
  std::string implementation() const override { return made_.kernel->implementation(); }
  void begin(void* scratch) const noexcept override {
    std::memset(sums_.in(scratch), 0, static_cast<std::size_t>(elements_) * sizeof(float));
  }
  void add(int lane, const float* a, const float* d_y, void* scratch) const noexcept override {
    const void *factor = a, *other = d_y;
    if (made_.rounded_a > 0) {
      round_to_bf16(a_.in(scratch), a, static_cast<std::int64_t>(made_.rounded_a));
      round_to_bf16(d_y_.in(scratch), d_y, static_cast<std::int64_t>(made_.rounded_d_y));
      factor = a_.in(scratch);
      other = d_y_.in(scratch);
    }
    made_.kernel->run(lane, {part_.in(scratch), factor, other}, scratch_.in(scratch));
    add_to(sums_.in(scratch), part_.in(scratch), elements_);
  }
  void finish(float* d_weight, void* scratch, std::size_t lane_bytes, int lanes) const override {
    made_.kernel->check();
    float* sums = sums_.in(scratch);
    constexpr std::int64_t kGrain = 1 << 14;
    parallel_chunks(elements_, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (int lane = 1; lane < lanes; ++lane) {
        auto* other = static_cast<std::byte*>(scratch) + static_cast<std::size_t>(lane) * lane_bytes;
        add_to(sums + begin, sums_.in(other) + begin, end - begin);
      }
    });
    if (made_.reorder == nullptr) {
      std::memcpy(d_weight, sums, static_cast<std::size_t>(elements_) * sizeof(float));
      return;
    }
    made_.reorder->run(0, {sums, d_weight}, scratch_.in(scratch));
    made_.reorder->check();
  }

 private:
  WeightKernel made_;
  std::int64_t elements_;
  MemoryPlan plan_;
  Piece<float> sums_, part_;  // of a lane, of one add(): d_weight in the primitive's layout
  Piece<std::byte> scratch_;
  Piece<std::uint16_t> a_, d_y_;
};

ConvGeometry in_float32(ConvGeometry geometry) {
  geometry.products = DType::f32;
  return geometry;
}

// The pass with its products in bf16 if asked for, unless oneDNN would do it by plain loops.
template <typename Made, typename Make>
Made with_fast_products(const ConvGeometry& geometry, const Make& make) {
  Made made = make(geometry);
  if (geometry.products == DType::f32 || !is_reference(made->implementation())) return made;
  return make(in_float32(geometry));
}

WeightKernel make_weight_kernel(const ConvGeometry& geometry, int lanes, bool alone) {
  WeightKernel made(geometry, lanes, alone);
  if (geometry.products == DType::f32 || !is_reference(made.kernel->implementation())) return made;
  return WeightKernel(in_float32(geometry), lanes, alone);
}

std::size_t rounded_elements(const ConvGeometry& g, bool forward) {
  if (g.products == DType::f32) return 0;
  return forward ? elements_of(g.images, g.height, g.width, g.in_channels)
                 : elements_of(g.images, g.out_height(), g.out_width(), g.out_channels);
}

std::unique_ptr<Convolution> make_forward(const ConvGeometry& geometry, bool bias, int lanes) {
  const std::string what = describe("forward pass", geometry);
  return guarded(what, [&] {
    const ConvLayouts layouts(geometry, factor_type(geometry), factor_type(geometry), Type::f32);
    Descriptor packed;
    auto kernel = for_one_thread([&] {
      const auto descriptor = forward_descriptor(layouts, bias);
      packed = descriptor.weights_desc();
      std::vector<detail::Operand> operands{
          {DNNL_ARG_DST, layouts.out}, {DNNL_ARG_SRC, layouts.in}, {DNNL_ARG_WEIGHTS, packed}};
      if (bias) operands.push_back({DNNL_ARG_BIAS, layouts.bias});
      return make_kernel<dnnl::convolution_forward>(what, descriptor, operands, lanes);
    });
    return std::make_unique<OnednnConvolution>(std::move(kernel),
                                               make_reorder(what, layouts.plain_weight, packed), packed, bias,
                                               rounded_elements(geometry, true));
  });
}

std::unique_ptr<Convolution> make_backward_data(const ConvGeometry& geometry, int lanes) {
  const std::string what = describe("backward pass to the input", geometry);
  return guarded(what, [&] {
    const Type factor = factor_type(geometry);
    const ConvLayouts layouts(geometry, Type::f32, factor, factor);
    const ConvLayouts forward(geometry, factor, factor, factor);
    Descriptor packed;
    auto kernel = for_one_thread([&] {
      const auto descriptor = backward_data_descriptor(layouts, forward);
      packed = descriptor.weights_desc();
      return make_kernel<dnnl::convolution_backward_data>(
          what, descriptor,
          {{DNNL_ARG_DIFF_SRC, layouts.in}, {DNNL_ARG_DIFF_DST, layouts.out}, {DNNL_ARG_WEIGHTS, packed}},
          lanes);
    });
    return std::make_unique<OnednnConvolution>(std::move(kernel),
                                               make_reorder(what, layouts.plain_weight, packed), packed,
                                               false, rounded_elements(geometry, false));
  });
}

}  // namespace

std::unique_ptr<Convolution> onednn_forward(const ConvGeometry& geometry, bool bias, int lanes) {
  return with_fast_products<std::unique_ptr<Convolution>>(
      geometry, [&](const ConvGeometry& g) { return make_forward(g, bias, lanes); });
}

std::unique_ptr<Convolution> onednn_backward_data(const ConvGeometry& geometry, int lanes) {
  return with_fast_products<std::unique_ptr<Convolution>>(
      geometry, [&](const ConvGeometry& g) { return make_backward_data(g, lanes); });
}

std::unique_ptr<WeightGradient> onednn_backward_weight(const ConvGeometry& geometry) {
  return std::make_unique<OnednnWeightGradient>(make_weight_kernel(geometry, 1, false));
}

std::unique_ptr<PartialWeightGradient> onednn_partial_weight_gradient(const ConvGeometry& geometry,
                                                                      int lanes) {
  return std::make_unique<OnednnPartialWeightGradient>(make_weight_kernel(geometry, lanes, true));
}

}  // namespace dpll::cpu
