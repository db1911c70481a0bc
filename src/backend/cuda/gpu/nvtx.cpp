#include "backend/cuda/gpu/nvtx.h"

#include <nvtx3/nvToolsExt.h>

namespace dpll::cuda {
namespace {

class NvtxRanges final : public trace::Sink {
 public:
  void begin(const char* name) override { nvtxRangePushA(name); }
  void end() override { nvtxRangePop(); }
};

}  // namespace

trace::Sink& nvtx_ranges() {
  static NvtxRanges ranges;
  return ranges;
}

}  // namespace dpll::cuda
