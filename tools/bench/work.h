// What a call must at least do, counted from its contract: the limits of memory and arithmetic.
#pragma once

#include "backend/call_fields.h"

namespace dpll::bench {

struct Work {
  // Every input read once and every output written once, of gathered tables the batch's rows; not what an
  // implementation saves for itself, reads again or keeps in a workspace.
  double bytes = 0;
  // Multiplications and additions of convolutions and matrix products, two for each multiply-accumulate. The
  // other operations are bound by memory: 0.
  double operations = 0;

  Work& operator+=(const Work& other) {
    bytes += other.bytes;
    operations += other.operations;
    return *this;
  }
};

Work work_of(const PreactConvSpec& spec, const PreactConvForward& call);
Work work_of(const PreactConvSpec& spec, const PreactConvBackward& call);
Work work_of(const BnReluPoolSpec& spec, const BnReluPoolForward& call);
Work work_of(const BnReluPoolSpec& spec, const BnReluPoolBackward& call);
Work work_of(const LinearSpec& spec, const LinearForward& call);
Work work_of(const LinearSpec& spec, const LinearBackward& call);
Work work_of(const PllObjectiveSpec& spec, const PllObjectiveCall& call);
Work work_of(const CrossEntropyCall& call);
Work work_of(const SgdSpec& spec, const SgdCall& call);
Work work_of(const AugmentSpec& spec, const AugmentCall& call);
Work work_of(const FeatureViewsSpec& spec, const FeatureViewsCall& call);

}  // namespace dpll::bench
