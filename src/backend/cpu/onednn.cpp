#include "backend/cpu/onednn.h"

#include "backend/cpu/onednn_kernel.h"

namespace dpll::cpu {
namespace {

using namespace detail;

#if DNNL_VERSION_MAJOR >= 3

dnnl::matmul::primitive_desc matmul_descriptor(const Descriptor& a, const Descriptor& b,
                                               const Descriptor& bias, const Descriptor& c) {
  return {engine(), a, b, bias, c, attributes()};
}

#else

dnnl::matmul::primitive_desc matmul_descriptor(const Descriptor& a, const Descriptor& b,
                                               const Descriptor& bias, const Descriptor& c) {
  return {dnnl::matmul::desc(a, b, bias, c), attributes(), engine()};
}

#endif

}  // namespace

bool onednn_has_bf16() {
#if defined(__x86_64__)
  return (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) &
          static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16)) ==
         static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
#else
  return false;
#endif
}

MatrixProduct::MatrixProduct(std::int64_t m, std::int64_t k, std::int64_t n, Transpose a, Transpose b,
                             bool bias)
    : bias_(bias) {
  const std::string what = fmt::format("matrix product [{},{}] x [{},{}]", m, k, k, n);
  kernel_ = guarded(what, [&] {
    const Descriptor a_layout = describe({m, k}, a == Transpose::yes ? Format::ba : Format::ab);
    const Descriptor b_layout = describe({k, n}, b == Transpose::yes ? Format::ba : Format::ab);
    const Descriptor bias_layout = bias ? describe({1, n}, Format::ab) : Descriptor();
    const Descriptor c_layout = describe({m, n}, Format::ab);
    std::vector<detail::Operand> operands{
        {DNNL_ARG_DST, c_layout}, {DNNL_ARG_SRC, a_layout}, {DNNL_ARG_WEIGHTS, b_layout}};
    if (bias) operands.push_back({DNNL_ARG_BIAS, bias_layout});
    return make_kernel<dnnl::matmul>(what, matmul_descriptor(a_layout, b_layout, bias_layout, c_layout),
                                     operands, 1);
  });
}

MatrixProduct::~MatrixProduct() = default;
MatrixProduct::MatrixProduct(MatrixProduct&&) noexcept = default;

std::size_t MatrixProduct::scratch_bytes() const {
  return kernel_->scratch_bytes();
}

const std::string& MatrixProduct::implementation() const {
  return kernel_->implementation();
}

void MatrixProduct::run(float* c, const float* a, const float* b, const float* bias, void* scratch) const {
  if (bias_) {
    kernel_->run(0, {c, a, b, bias}, scratch);
  } else {
    kernel_->run(0, {c, a, b}, scratch);
  }
  kernel_->check();
}

std::string onednn_description() {
  const dnnl_version_t* version = dnnl_version();
  const std::string text = fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
#if defined(__x86_64__)
  // The value of an instruction set has the bits of those that it includes.
  const auto isa = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
  const auto has = [isa](dnnl_cpu_isa_t set) { return (isa & static_cast<unsigned>(set)) == set; };
  const char* name = "its plain loops";
  if (has(dnnl_cpu_isa_avx512_core)) {
    name = "AVX-512";
  } else if (has(dnnl_cpu_isa_avx2)) {
    name = "AVX2";
  } else if (has(dnnl_cpu_isa_avx)) {
    name = "AVX";
  } else if (has(dnnl_cpu_isa_sse41)) {
    name = "SSE4.1";
  }
  return fmt::format("{} ({})", text, name);
#else
  return text;
#endif
}

}  // namespace dpll::cpu
