#include "backend/cuda/vendor/vendor_library.h"

#include "backend/cuda/vendor/cublas_product.h"
#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

class VendorLibrary final : public MathLibrary {
 public:
  VendorLibrary(const std::vector<Stream>& streams, const EngineRules& rules)
      : rules_(rules), cudnn_(std::make_shared<const CudnnDevice>(streams)), cublas_(open_cublas()) {}

  std::vector<ConvolutionOffer> offers(const ConvolutionShape& shape, ConvolutionPass pass) override {
    return cudnn_offers(cudnn_, shape, pass, rules_);
  }
  std::vector<ProductOffer> offers(const ProductShape& shape) override {
    return cublas_offers(cublas_, shape, rules_.tf32);
  }
  std::string description() const override {
    return fmt::format("cuDNN {}, {}", cudnn().version.text(), DPLL_CUDA_NAMESPACE::description(*cublas_));
  }

 private:
  EngineRules rules_;
  std::shared_ptr<const CudnnDevice> cudnn_;
  std::shared_ptr<const CublasLt> cublas_;
};

}  // namespace

std::unique_ptr<MathLibrary> make_vendor_library(const std::vector<Stream>& streams,
                                                 const EngineRules& rules) {
  return std::make_unique<VendorLibrary>(streams, rules);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
