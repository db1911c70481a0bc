#include "backend/cuda/vendor/cublas_product.h"

#include <cublasLt.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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
    library.load(algorithm_get, "cublasLtMatmulAlgoConfigGetAttribute");
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
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) algorithm_get = nullptr;
  cublasLtHandle_t handle = nullptr;
};

namespace {

constexpr std::size_t kWorkspace = std::size_t{32} << 20;  // what NVIDIA advises for Hopper and newer
constexpr int kMostAlgorithms = 16;
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

// All that tells one algorithm from another.
std::string name_of_algorithm(const CublasLt& lt, const cublasLtMatmulAlgo_t& algorithm) {
  struct Field {
    const char* name;
    cublasLtMatmulAlgoConfigAttributes_t attribute;
    bool sixteen_bits;
  };
  constexpr Field kFields[] = {{"algorithm", CUBLASLT_ALGO_CONFIG_ID, false},
                               {"tile", CUBLASLT_ALGO_CONFIG_TILE_ID, false},
                               {"stages", CUBLASLT_ALGO_CONFIG_STAGES_ID, false},
                               {"split", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, false},
                               {"reduction", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, false},
                               {"swizzling", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, false},
                               {"option", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, false},
                               {"inner", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, true},
                               {"cluster", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, true}};
  std::string text;
  for (const Field& field : kFields) {
    std::uint32_t value = 0;
    std::size_t written = 0;
    const std::size_t size = field.sixteen_bits ? sizeof(std::uint16_t) : sizeof value;
    // An older library knows fewer of them.
    if (lt.algorithm_get(&algorithm, field.attribute, &value, size, &written) != CUBLAS_STATUS_SUCCESS)
      continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", field.name, value);
  }
  return text;
}

// The product as cuBLASLt describes it. cuBLAS stores columns one after the other: a row-major C = A B is its
// C^T = B^T A^T, with our B as its first factor.
class Description {
 public:
  Description(std::shared_ptr<const CublasLt> library, const ProductShape& shape, bool tf32)
      : library_(std::move(library)) {
    const CublasLt& lt = *library_;
    const cublasComputeType_t compute =
        tf32 && shape.type == DType::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(lt.description_create(&operation, compute, CUDA_R_32F), "describing a product");
    const cublasOperation_t first = shape.transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t second = shape.transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(lt.description_set(operation, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first), "transposing");
    check(lt.description_set(operation, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second), "transposing");
    layout(b, shape.type, shape.transposed_b ? shape.k : shape.n, shape.transposed_b ? shape.n : shape.k);
    layout(a, shape.type, shape.transposed_a ? shape.m : shape.k, shape.transposed_a ? shape.k : shape.m);
    layout(c, shape.out, shape.n, shape.m);
  }
  ~Description() {
    for (const cublasLtMatrixLayout_t of : {a, b, c}) {
      if (of != nullptr) library_->layout_destroy(of);
    }
    if (operation != nullptr) library_->description_destroy(operation);
  }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;

  const CublasLt& library() const { return *library_; }

  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;

 private:
  void layout(cublasLtMatrixLayout_t& to, DType type, int rows, int columns) const {
    check(library_->layout_create(&to, cuda_type(type), static_cast<std::uint64_t>(rows),
                                  static_cast<std::uint64_t>(columns), rows),
          "describing a matrix");
  }

  std::shared_ptr<const CublasLt> library_;
};

// What the heuristic names, best first, and says that it works here.
std::vector<cublasLtMatmulHeuristicResult_t> algorithms_for(const Description& description) {
  const CublasLt& lt = description.library();
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
  std::vector<cublasLtMatmulHeuristicResult_t> results(kMostAlgorithms);
  int found = 0;
  const cublasStatus_t status =
      lt.heuristic(lt.handle, description.operation, description.b, description.a, description.c,
                   description.c, preference, kMostAlgorithms, results.data(), &found);
  results.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<std::size_t>(found) : 0);
  std::erase_if(results, [](const auto& result) { return result.state != CUBLAS_STATUS_SUCCESS; });
  return results;
}

class CublasProduct final : public Product {
 public:
  CublasProduct(std::shared_ptr<const Description> description, const cublasLtMatmulHeuristicResult_t& result,
                std::string text)
      : description_(std::move(description)),
        algorithm_(result.algo),
        workspace_bytes_(result.workspaceSize),
        text_(std::move(text)) {}

  std::size_t workspace_bytes() const override { return workspace_bytes_; }

  void run(void* c, const void* a, const void* b, void* workspace, Stream stream) const override {
    const float one = 1, zero = 0;
    const CublasLt& lt = description_->library();
    const cublasStatus_t status =
        lt.matmul(lt.handle, description_->operation, &one, b, description_->b, a, description_->a, &zero, c,
                  description_->c, c, description_->c, &algorithm_, workspace, workspace_bytes_, stream);
    if (status != CUBLAS_STATUS_SUCCESS) check(status, ("starting " + text_).c_str());
  }

 private:
  std::shared_ptr<const Description> description_;
  cublasLtMatmulAlgo_t algorithm_;
  std::size_t workspace_bytes_;
  std::string text_;
};

}  // namespace

std::shared_ptr<const CublasLt> open_cublas() {
  return std::make_shared<const CublasLt>();
}

std::string description(const CublasLt& library) {
  const std::size_t version = library.get_version();  // 130100, 120304
  return fmt::format("cuBLAS {}.{}", version / 10000, version / 100 % 100);
}

std::vector<ProductOffer> cublas_offers(const std::shared_ptr<const CublasLt>& library,
                                        const ProductShape& shape, bool tf32) {
  const auto description = std::make_shared<const Description>(library, shape, tf32);
  std::vector<ProductOffer> offers;
  for (const cublasLtMatmulHeuristicResult_t& result : algorithms_for(*description)) {
    std::string name = name_of_algorithm(*library, result.algo);
    offers.push_back({name, [=, text = shape.text() + ", " + name] {
                        return std::make_shared<const CublasProduct>(description, result, text);
                      }});
  }
  return offers;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
