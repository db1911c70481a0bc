// All methods. A new method is a header like plcr.h and its name in the two lists here (docs/extending.md).
#pragma once

#include <array>
#include <tuple>
#include <variant>

#include "objectives/cross_entropy.h"
#include "objectives/plcr.h"
#include "objectives/proden.h"

namespace dpll {

// One method with its hyper-parameters.
using Method = std::variant<Plcr, Proden, CrossEntropyOnTruth>;
// The hyper-parameters of all methods, as in a configuration.
using Methods = std::tuple<Plcr, Proden, CrossEntropyOnTruth>;

// Calls `visit` with each method in order.
template <typename M, typename Visit>
void for_each_method(M& methods, const Visit& visit) {
  std::apply([&](auto&... method) { (visit(method), ...); }, methods);
}

// The properties of a method.
struct MethodFacts {
  objectives::About about;
  std::array<const char*, kMethodScalars> scalar_names;  // null: no such scalar
  int strong_views;                                      // of views.strong = preset
  bool has_terms;     // does the loss have a supervised and a consistency term?
  bool needs_labels;  // does it need the true label of every training sample?
};

inline MethodFacts facts_of(const Method& method) {
  return std::visit(
      [](const auto& m) {
        return MethodFacts{m.about, m.scalar_names, m.strong_views, m.has_terms, m.needs_labels};
      },
      method);
}

inline std::array<double, kMethodScalars> scalars_of(const Method& method, const Moment& moment) {
  return std::visit([&](const auto& m) { return m.scalars(moment); }, method);
}

}  // namespace dpll
