// SCL-NL: negative learning from complementary labels. Chou, Niu, Lin, Sugiyama: Unbiased Risk Estimators Can
// Mislead: A Case Study of Learning with Complementary Labels, ICML 2020.
//
//   loss  the mean over the batch's pairs (sample, y not in S) of
//           article:    -(1/V) sum_v log(1 - p_vy)
//           published:  -(1/V) sum_v log(1 - p_vy + 1e-6)
//   row   norm_S(p_0), which the loss does not use
// Pairs are explained in of_pairs.h. The article's loss is not bounded: in logs it is finite where 1 - p_y is
// too small for a number.
#pragma once

#include "objectives/of_pairs.h"

namespace dpll {

struct SclNl final : objectives::OfPairs<SclNl> {
  ObjectiveVariant variant = ObjectiveVariant::article;

  static constexpr objectives::About about = {
      "scl_nl",
      "Chou et al.: Unbiased Risk Estimators Can Mislead: A Case Study of Learning with Complementary "
      "Labels, "
      "ICML 2020",
      "L = the mean over the batch's pairs (sample, y not in S) of -log(1 - p_y)"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant, "log(1 - p) as in the article or log(1 - p + 1e-6) as published");
  }
  bool operator==(const SclNl&) const = default;

  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const objectives::ViewOutput& out, double weight, double* slope,
                             double* scratch) const {
    for (int k = g.first(); k < g.classes(); k += g.stride()) slope[k] = 0;
    const double margin = variant == ObjectiveVariant::published ? 1e-6 : 0;
    return objectives::log_of_complements(
        g, out, margin, [&](int k) { return g.in_set(k) ? 0 : weight; }, slope, scratch);
  }
};

}  // namespace dpll
