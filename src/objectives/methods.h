// All methods. A new method is a header like plcr.h and its name in the list here (docs/extending.md).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "objectives/abs_cce.h"
#include "objectives/abs_gce.h"
#include "objectives/abs_mae.h"
#include "objectives/abs_mse.h"
#include "objectives/abs_phuber.h"
#include "objectives/cavl.h"
#include "objectives/cc.h"
#include "objectives/corr.h"
#include "objectives/cross_entropy.h"
#include "objectives/dirk.h"
#include "objectives/exp.h"
#include "objectives/forward.h"
#include "objectives/fredis.h"
#include "objectives/ga.h"
#include "objectives/ill.h"
#include "objectives/l_w.h"
#include "objectives/lwc.h"
#include "objectives/lws.h"
#include "objectives/mcl_gce.h"
#include "objectives/mcl_log.h"
#include "objectives/mcl_mae.h"
#include "objectives/mcl_mse.h"
#include "objectives/mcl_phuber.h"
#include "objectives/nn.h"
#include "objectives/op_w.h"
#include "objectives/pc.h"
#include "objectives/plcr.h"
#include "objectives/pop.h"
#include "objectives/proden.h"
#include "objectives/rc.h"
#include "objectives/scarce.h"
#include "objectives/scl_exp.h"
#include "objectives/scl_nl.h"

namespace dpll {

template <typename... M>
struct MethodList {
  // A tuple derives from classes that are empty and not final, and GCC 12 then sets members of others to 0.
  static_assert((std::is_final_v<M> && ...), "a method is final");
  using One = std::variant<M...>;
  using All = std::tuple<M...>;
};
using KnownMethods =
    MethodList<Plcr, Proden, CrossEntropyOnTruth, Lws, NonNegativeRisk, GradientAscentRisk, Pop, Cc, Rc,
               AbsMae, AbsMse, AbsGce, AbsPhuber, AbsCce, MclExp, MclLog, MclMae, MclMse, MclGce, MclPhuber,
               SclNl, SclExp, ForwardCorrection, Lwc, Cavl, Corr, Ill, WeightedComplementary, OrderPreserving,
               PairwiseComparison, Scarce, Fredis, Dirk>;

// One of them, with its hyper-parameters.
using Method = KnownMethods::One;
// The hyper-parameters of all of them, as a configuration has them.
using Methods = KnownMethods::All;

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
  bool has_terms;                                        // a supervised and a consistency term
  bool needs_labels;                                     // of every training sample
  int kept_rows;                                         // a sample
  bool has_class_values;
  std::array<const char*, kMethodMetrics> metric_names;  // null: no such metric
  bool loss_uses_row;                                    // or rows that are kept besides
  bool has_teacher;
};

inline MethodFacts facts_of(const Method& method) {
  return std::visit(
      [](const auto& m) {
        using M = std::decay_t<decltype(m)>;
        MethodFacts facts{m.about, m.scalar_names, m.strong_views, m.has_terms, m.needs_labels, 0, false,
                          {},      false,          false};
        facts.kept_rows = objectives::kept_rows_of<M>();
        facts.loss_uses_row = requires {
          requires M::loss_uses_row;
        };
        facts.has_teacher = requires {
          requires M::has_teacher;
        };
        facts.has_class_values = requires {
          M::has_class_values;
        };
        if constexpr (requires { M::metric_names; }) facts.metric_names = M::metric_names;
        return facts;
      },
      method);
}

// The method's class_values(); empty: it has none. Sets: CandidateSets.
template <typename Sets>
std::vector<double> class_values_of(const Method& method, const Sets& sets) {
  return std::visit(
      [&](const auto& m) -> std::vector<double> {
        if constexpr (requires { m.class_values(sets); }) {
          return m.class_values(sets);
        } else {
          return {};
        }
      },
      method);
}

// Null: the method does nothing at the end of an epoch.
inline std::unique_ptr<EpochHook> hook_of(const Method& method, std::int64_t samples, int classes) {
  return std::visit(
      [&](const auto& m) -> std::unique_ptr<EpochHook> {
        if constexpr (requires { m.make_hook(samples, classes); }) {
          return m.make_hook(samples, classes);
        } else {
          return nullptr;
        }
      },
      method);
}

// What row r of those that the method keeps begins with.
inline double first_kept_of(const Method& method, int row, bool in_set, int candidates, int classes) {
  return std::visit(
      [&](const auto& m) -> double {
        if constexpr (requires { m.first_kept(row, in_set, candidates, classes); }) {
          return m.first_kept(row, in_set, candidates, classes);
        } else {
          return 0;
        }
      },
      method);
}

// What the teacher keeps of itself at an update; 0: the method has none.
inline double teacher_momentum_of(const Method& method) {
  return std::visit(
      [](const auto& m) -> double {
        if constexpr (requires { m.teacher_momentum(); }) {
          return m.teacher_momentum();
        } else {
          return 0;
        }
      },
      method);
}

inline std::array<double, kMethodScalars> scalars_of(const Method& method, const Moment& moment) {
  return std::visit([&](const auto& m) { return m.scalars(moment); }, method);
}

}  // namespace dpll
