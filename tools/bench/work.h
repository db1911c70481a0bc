// The minimum work of a call, from its documented inputs and outputs: bytes and operations.
#pragma once

#include "backend/call_fields.h"

namespace dpll::bench {

struct Work {
  // Every input is read once and every output is written once; of gathered tables only the rows of the batch.
  // Values that an implementation saves, reads again or keeps in a workspace do not count.
  double bytes = 0;
  // Multiplications and additions of convolutions and matrix products, two for each multiply-accumulate. It
  // is 0 for all other operations, which memory limits.
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
