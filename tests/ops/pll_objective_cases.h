// Shapes of pll_objective: one table for gradient checks, comparisons of backends and benchmarks.
#pragma once

#include <string>
#include <vector>

#include "dpll/ops/pll_objective.h"

namespace dpll::test {

enum class Candidates { one, some, all };
// moderate: standard deviation 2. large: 30, most probabilities underflow in float32. extreme: each +-1e4.
enum class Logits { moderate, large, extreme };

struct PllObjectiveCase {
  std::string name;
  PllObjectiveSpec spec;
  Candidates candidates = Candidates::some;
  Logits logits = Logits::moderate;
  float lambda = 1;
  float loss_scale = 1;
  bool ordered = true;  // BatchRows::order is given
  bool labels = true;   // some known, some -1; else undefined
  ObjectivePart part = ObjectivePart::all;
  bool adds = false;       // to `last`
  bool benchmark = false;  // a real size: timed, not run by the tests
};

// Two classes with one candidate each, all candidates, some of them, logits of +-1e4, a thousand classes.
inline void add_usual_cases(std::vector<PllObjectiveCase>& cases, const std::string& name,
                            const Method& method) {
  cases.push_back({name + "_c2_one_candidate", {1, 4, 2, method}, Candidates::one});
  cases.push_back({name + "_c10", {2, 9, 10, method}, Candidates::some, Logits::moderate, 1, 8});
  cases.push_back({name + "_c10_all_candidates", {1, 4, 10, method}, Candidates::all});
  cases.push_back({name + "_c10_extreme", {2, 8, 10, method}, Candidates::some, Logits::extreme});
  // OP-W's weights are a softmax of up to 1e18, which rounds to steps where logits are large.
  const Logits logits = std::holds_alternative<OrderPreserving>(method) ? Logits::moderate : Logits::large;
  cases.push_back({name + "_c1000", {1, 1, 1000, method}, Candidates::some, logits});
}

// Of a method's other variant.
inline void add_few_cases(std::vector<PllObjectiveCase>& cases, const std::string& name,
                          const Method& method) {
  cases.push_back({name + "_published_c10", {2, 9, 10, method}, Candidates::some, Logits::moderate, 1, 8});
  cases.push_back({name + "_published_c10_extreme", {1, 8, 10, method}, Candidates::some, Logits::extreme});
}

// Methods of which a table of cases of their own is not needed.
inline void add_cases_of_other_methods(std::vector<PllObjectiveCase>& cases) {
  const auto published = [](auto method) {
    method.variant = ObjectiveVariant::published;
    return method;
  };
  Ill balanced;
  balanced.balance = 0.5;
  const std::vector<Method> usual = {Cc{},
                                     Rc{},
                                     AbsMae{},
                                     AbsMse{},
                                     AbsGce{},
                                     AbsPhuber{},
                                     AbsCce{},
                                     MclExp{},
                                     MclLog{},
                                     MclMae{},
                                     MclMse{},
                                     MclGce{},
                                     MclPhuber{},
                                     SclNl{},
                                     SclExp{},
                                     ForwardCorrection{},
                                     Lwc{},
                                     Cavl{},
                                     Corr{},
                                     balanced,
                                     WeightedComplementary{},
                                     OrderPreserving{},
                                     PairwiseComparison{},
                                     Scarce{},
                                     Fredis{},
                                     Dirk{}};
  for (const Method& method : usual) add_usual_cases(cases, facts_of(method).about.name, method);
  const std::vector<Method> variants = {published(MclMse{}), published(MclGce{}), published(SclNl{}),
                                        published(Lwc{}),    published(Cavl{}),   published(Corr{}),
                                        published(Fredis{}), published(Dirk{})};
  for (const Method& method : variants) add_few_cases(cases, facts_of(method).about.name, method);
  cases.push_back({"ill_c10_without_balance", {3, 5, 10, Ill{}}});
  // Parts of a call.
  const std::vector<Method> of_rows = {Plcr{}, Lws{}, Scarce{}};
  for (const Method& method : of_rows) {
    for (const bool rows : {true, false}) {
      PllObjectiveCase c{facts_of(method).about.name + std::string(rows ? "_rows" : "_loss"),
                         {2, 9, 10, method}};
      c.part = rows ? ObjectivePart::rows : ObjectivePart::loss;
      c.adds = rows;
      cases.push_back(c);
    }
  }
}

inline std::vector<PllObjectiveCase> small_pll_objective_cases() {
  const Method kArticle = Plcr{}, kPublished = Plcr{.variant = ObjectiveVariant::published};
  const Method kProden = Proden{}, kProdenPublished = Proden{.variant = ObjectiveVariant::published};
  const Method kCrossEntropy = CrossEntropyOnTruth{}, kPop = Pop{};
  Lws lws;
  lws.beta = 1.5;
  const Method kLws = lws;
  const Method kNn = NonNegativeRisk{}, kNnPublished = NonNegativeRisk{ObjectiveVariant::published, 0.5};
  const Method kGa = GradientAscentRisk{}, kGaPublished = GradientAscentRisk{ObjectiveVariant::published};
  std::vector<PllObjectiveCase> cases = {
      {"c2_v1_b1", {1, 1, 2, kArticle}},
      {"c2_one_candidate", {2, 5, 2, kArticle}, Candidates::one},
      {"c2_all_candidates", {3, 4, 2, kPublished}, Candidates::all},
      {"c3_published", {2, 7, 3, kPublished}, Candidates::some, Logits::moderate, 0.25F, 8},
      {"c10_article", {3, 9, 10, kArticle}, Candidates::some, Logits::moderate, 0.7F},
      {"c10_published", {3, 9, 10, kPublished}, Candidates::some, Logits::moderate, 1, 1024},
      {"c10_lambda_0", {3, 4, 10, kArticle}, Candidates::some, Logits::moderate, 0},
      {"c10_one_candidate", {3, 6, 10, kArticle}, Candidates::one},
      {"c10_all_candidates", {4, 6, 10, kArticle}, Candidates::all},
      {"c10_no_order_no_labels",
       {3, 5, 10, kArticle},
       Candidates::some,
       Logits::moderate,
       1,
       1,
       false,
       false},
      {"c10_large_logits", {3, 16, 10, kPublished}, Candidates::some, Logits::large},
      {"c10_extreme_article", {3, 16, 10, kArticle}, Candidates::some, Logits::extreme},
      {"c10_extreme_published", {3, 16, 10, kPublished}, Candidates::some, Logits::extreme},
      {"c10_extreme_one_candidate", {3, 8, 10, kPublished}, Candidates::one, Logits::extreme},
      {"c10_extreme_all_candidates", {2, 8, 10, kPublished}, Candidates::all, Logits::extreme},
      {"c64", {2, 3, 64, kArticle}},
      {"c65", {2, 3, 65, kPublished}},
      {"c65_one_candidate", {3, 4, 65, kArticle}, Candidates::one},
      {"c65_large_logits", {1, 7, 65, kPublished}, Candidates::some, Logits::large},
      {"c1000", {2, 2, 1000, kArticle}},
      {"c1000_all_candidates", {1, 3, 1000, kPublished}, Candidates::all},
      {"c1000_extreme", {3, 2, 1000, kPublished}, Candidates::some, Logits::extreme},
      {"c2100", {3, 2, 2100, kArticle}},  // more scratch than a GPU's block has shared memory
      {"c10_many_rows", {3, 133, 10, kArticle}},
      {"proden_c2_one_candidate", {1, 5, 2, kProden}, Candidates::one},
      {"proden_c10", {1, 9, 10, kProden}, Candidates::some, Logits::moderate, 1, 1024},
      {"proden_c10_published", {3, 9, 10, kProdenPublished}},
      {"proden_c10_extreme", {1, 16, 10, kProden}, Candidates::some, Logits::extreme},
      {"proden_c65_all_candidates", {2, 4, 65, kProden}, Candidates::all},
      {"proden_c1000_large_logits", {1, 3, 1000, kProdenPublished}, Candidates::some, Logits::large},
      {"cross_entropy_c2", {1, 4, 2, kCrossEntropy}, Candidates::all},
      {"cross_entropy_c10", {1, 9, 10, kCrossEntropy}, Candidates::some, Logits::moderate, 1, 8},
      {"cross_entropy_c10_extreme", {2, 16, 10, kCrossEntropy}, Candidates::some, Logits::extreme},
      {"cross_entropy_c65", {3, 4, 65, kCrossEntropy}},
      {"lws_c2_one_candidate", {1, 5, 2, kLws}, Candidates::one},
      {"lws_c10", {2, 9, 10, kLws}, Candidates::some, Logits::moderate, 1, 64},
      {"lws_c10_all_candidates", {1, 6, 10, kLws}, Candidates::all},
      {"lws_c10_extreme", {1, 16, 10, kLws}, Candidates::some, Logits::extreme},
      {"lws_c65_no_order", {3, 4, 65, kLws}, Candidates::some, Logits::moderate, 1, 1, false, false},
      {"lws_c1000", {1, 3, 1000, kLws}, Candidates::some, Logits::large},
      {"nn_c2_one_candidate", {1, 5, 2, kNn}, Candidates::one},
      {"nn_c10", {1, 40, 10, kNn}, Candidates::some, Logits::moderate, 1, 64},
      {"nn_c10_published", {2, 9, 10, kNnPublished}},
      {"nn_c10_all_candidates", {1, 6, 10, kNn}, Candidates::all},
      {"nn_c10_extreme", {2, 16, 10, kNn}, Candidates::some, Logits::extreme},
      {"nn_c1000", {1, 3, 1000, kNnPublished}},
      {"ga_c2", {1, 33, 2, kGa}, Candidates::one},
      {"ga_c10", {3, 9, 10, kGa}, Candidates::some, Logits::moderate, 1, 8},
      {"ga_c10_published", {1, 70, 10, kGaPublished}},
      {"ga_c65_extreme", {2, 5, 65, kGaPublished}, Candidates::some, Logits::extreme},
      {"pop_c10", {3, 9, 10, kPop}, Candidates::some, Logits::moderate, 1, 8},
      {"pop_c65_extreme", {1, 6, 65, kPop}, Candidates::some, Logits::extreme},
  };
  add_cases_of_other_methods(cases);
  return cases;
}

// Real batches: the paper's 64 samples x 3 views at the class counts of its data sets, and many classes.
inline std::vector<PllObjectiveCase> benchmark_pll_objective_cases() {
  std::vector<PllObjectiveCase> cases;
  const auto add = [&](const std::string& name, int views, int classes, const Method& method) {
    PllObjectiveCase c{name + " c" + std::to_string(classes), {views, 64, classes, method}};
    c.benchmark = true;
    cases.push_back(c);
  };
  for (const int classes : {10, 100, 1000}) add("64x3", 3, classes, Plcr{});
  // All methods on one view, PLCR as well, which their cost is compared with.
  Methods methods;
  for_each_method(methods, [&](const auto& method) {
    for (const int classes : {10, 100}) add(std::string(method.about.name) + " 64x1", 1, classes, method);
  });
  return cases;
}

}  // namespace dpll::test
