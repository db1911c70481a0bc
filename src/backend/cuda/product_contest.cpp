#include "backend/cuda/product_contest.h"

#include <cmath>
#include <memory>

#include "backend/cuda/contest_tensors.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

Contest product_contest(Runtime& runtime, const ProductShape& s, const std::vector<ProductOffer>& offers,
                        bool tf32) {
  Contest contest;
  contest.operations = 2.0 * s.m * s.n * s.k;
  ContestTensors make(runtime, contest);
  const std::int64_t a_elements = std::int64_t{s.m} * s.k, b_elements = std::int64_t{s.k} * s.n;
  const double b_scale = 1 / std::sqrt(static_cast<double>(s.k));
  const void *const a = make.random(s.type, a_elements, 1), *const b =
                                                                make.random(s.type, b_elements, b_scale);
  const double of_factors = s.type == DType::f32 && tf32 ? 0x1p-11 : 0;
  void* const c = make.output("the product", s.out, std::int64_t{s.m} * s.n,
                              bound_of_sum(s.out, s.k, kUniformRms * kUniformRms * b_scale, of_factors));
  const auto host_a = std::make_shared<const HostValues>(make.on_host(a, s.type, a_elements)),
             host_b = std::make_shared<const HostValues>(make.on_host(b, s.type, b_elements));
  make.known([=](std::int64_t index) {
    return recomputed_element(
        s, index, [&](std::int64_t i) { return (*host_a)[i]; }, [&](std::int64_t i) { return (*host_b)[i]; });
  });
  for (const ProductOffer& offer : offers) {
    contest.contenders.push_back(
        {offer.name, [&runtime, offer, a, b, c]() -> std::function<void()> {
           const std::shared_ptr<const Product> product = offer.make();
           if (product == nullptr) return {};
           const auto workspace = std::make_shared<ScratchMemory>(runtime, product->workspace_bytes());
           return [=, &runtime] { product->run(c, a, b, workspace->data(), runtime.stream()); };
         }});
  }
  return contest;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
