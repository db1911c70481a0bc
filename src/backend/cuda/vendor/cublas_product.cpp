#include "backend/cuda/vendor/cublas_product.h"

#include <cublasLt.h>

#include <cstdint>

#include "backend/cuda/vendor/libraries.h"
#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

class CublasLt {
 public:
  CublasLt() {
    const SharedLibrary library = open_library("cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"});
    library.load(get_version, "cublasLtGetVersion");
    library.load(create, "cublasLtCreate");
    library.load(destroy, "cublasLtDestroy");
    library.load(description_create, "cublasLtMatmulDescCreate");
    library.load(description_destroy, "cublasLtMatmulDescDestroy");
    library.load(description_set, "cublasLtMatmulDescSetAttribute");
    library.load(layout_create, "cublasLtMatrixLayoutCreate");
    library.load(layout_destroy, "cublasLtMatrixLayoutDestroy");
    library.load(preference_create, "cublasLtMatmulPreferenceCreate");
    library.load(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    library.load(preference_set, "cublasLtMatmulPreferenceSetAttribute");
    library.load(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    library.load(matmul, "cublasLtMatmul");
    const cublasStatus_t status = create(&handle);
    if (status != CUBLAS_STATUS_SUCCESS) {
      fail(ExitCode::device, "cuBLASLt ({}) does not start: status {}", library.path(),
           static_cast<int>(status));
    }
  }
  ~CublasLt() { destroy(handle); }
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  decltype(&cublasLtGetVersion) get_version = nullptr;
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmulDescCreate) description_create = nullptr;
  decltype(&cublasLtMatmulDescDestroy) description_destroy = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) description_set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  cublasLtHandle_t handle = nullptr;
};

namespace {

constexpr std::size_t kWorkspace = std::size_t{4} << 20;
// Of every matrix: a parameter in 16 bits begins at a multiple of 16 elements. cuBLASLt takes 256 for granted
// unless it is told.
constexpr std::uint32_t kMatrixAlignment = 32;

cudaDataType_t cuda_type(DType type) {
  switch (type) {
    case DType::f32:
      return CUDA_R_32F;
    case DType::f16:
      return CUDA_R_16F;
    case DType::bf16:
      return CUDA_R_16BF;
    default:
      fail(ExitCode::internal, "no product in {}", name_of(type));
  }
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    fail(ExitCode::device, "cuBLASLt: {}: status {}", what, static_cast<int>(status));
  }
}

std::string text_of(const ProductShape& shape) {
  return fmt::format("a product of {} x {} by {} x {} in {}", shape.m, shape.k, shape.k, shape.n,
                     name_of(shape.type));
}

// cuBLAS stores columns one after the other: a row-major C = A B is its C^T = B^T A^T, with our B as its
// first factor.
class CublasProduct final : public Product {
 public:
  CublasProduct(std::shared_ptr<const CublasLt> library, const ProductShape& shape, bool tf32, Stream stream)
      : library_(std::move(library)), shape_(shape), stream_(stream) {
    const CublasLt& lt = *library_;
    const cublasComputeType_t compute =
        tf32 && shape.type == DType::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(lt.description_create(&description_, compute, CUDA_R_32F), "describing a product");
    const cublasOperation_t first = shape.transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t second = shape.transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(lt.description_set(description_, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first), "transposing");
    check(lt.description_set(description_, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second),
          "transposing");
    layout(b_, shape.type, shape.transposed_b ? shape.k : shape.n, shape.transposed_b ? shape.n : shape.k);
    layout(a_, shape.type, shape.transposed_a ? shape.m : shape.k, shape.transposed_a ? shape.k : shape.m);
    layout(c_, shape.out, shape.n, shape.m);
    choose(shape);
  }
  ~CublasProduct() override {
    for (const cublasLtMatrixLayout_t of : {a_, b_, c_}) library_->layout_destroy(of);
    library_->description_destroy(description_);
  }
  CublasProduct(const CublasProduct&) = delete;
  CublasProduct& operator=(const CublasProduct&) = delete;

  std::size_t workspace_bytes() const override { return workspace_bytes_; }

  void run(void* c, const void* a, const void* b, void* workspace) override {
    const float one = 1, zero = 0;
    const cublasStatus_t status =
        library_->matmul(library_->handle, description_, &one, b, b_, a, a_, &zero, c, c_, c, c_, &algorithm_,
                         workspace, workspace_bytes_, stream_);
    if (status != CUBLAS_STATUS_SUCCESS) check(status, ("starting " + text_of(shape_)).c_str());
  }

 private:
  void layout(cublasLtMatrixLayout_t& to, DType type, int rows, int columns) const {
    check(library_->layout_create(&to, cuda_type(type), static_cast<std::uint64_t>(rows),
                                  static_cast<std::uint64_t>(columns), rows),
          "describing a matrix");
  }

  void choose(const ProductShape& shape) {
    const CublasLt& lt = *library_;
    cublasLtMatmulPreference_t preference = nullptr;
    check(lt.preference_create(&preference), "stating preferences");
    const std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, decltype(lt.preference_destroy)> owner(
        preference, lt.preference_destroy);
    // Parts of a sum are kept in float32, whatever the result's type, and added in a fixed order.
    const std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
      check(lt.preference_set(preference, name, &value, sizeof value), "stating preferences");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
    for (const auto name :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      prefer(name, kMatrixAlignment);
    }
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    const cublasStatus_t status =
        lt.heuristic(lt.handle, description_, b_, a_, c_, c_, preference, 1, &best, &found);
    // An algorithm of which the heuristic says that it does not work here is none.
    const cublasStatus_t said = status != CUBLAS_STATUS_SUCCESS || found == 0 ? status : best.state;
    if (said != CUBLAS_STATUS_SUCCESS || found == 0) {
      fail(ExitCode::device, "cuBLASLt has nothing for {} (status {})", text_of(shape),
           static_cast<int>(said));
    }
    algorithm_ = best.algo;
    workspace_bytes_ = best.workspaceSize;
  }

  std::shared_ptr<const CublasLt> library_;
  ProductShape shape_;
  Stream stream_;
  cublasLtMatmulDesc_t description_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, c_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t workspace_bytes_ = 0;
};

}  // namespace

std::shared_ptr<const CublasLt> open_cublas() {
  return std::make_shared<const CublasLt>();
}

std::string description(const CublasLt& library) {
  const std::size_t version = library.get_version();  // 130100, 120304
  return fmt::format("cuBLAS {}.{}", version / 10000, version / 100 % 100);
}

std::unique_ptr<Product> make_cublas_product(std::shared_ptr<const CublasLt> library,
                                             const ProductShape& shape, bool tf32, Stream stream) {
  return std::make_unique<CublasProduct>(std::move(library), shape, tf32, stream);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
