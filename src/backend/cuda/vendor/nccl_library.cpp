#include "backend/cuda/vendor/nccl_library.h"

#include <cstdlib>

#include "backend/cuda/vendor/libraries.h"
#include "dpll/core/check.h"

#if __has_include(<nccl.h>)
#include <nccl.h>
#endif

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

#if __has_include(<nccl.h>)
static_assert(ncclSuccess == kNcclSuccess && ncclInProgress == kNcclInProgress && ncclInt8 == kNcclInt8 &&
              ncclFloat16 == kNcclFloat16 && ncclFloat32 == kNcclFloat32 && ncclBfloat16 == kNcclBfloat16 &&
              ncclSum == kNcclSum && sizeof(ncclUniqueId) == sizeof(NcclUniqueId));
#endif

NcclTable load_nccl() {
  const SharedLibrary library =
      open_library("NCCL 2, with which several GPUs train together", {"libnccl.so.2"});
  NcclTable table;
  library.load(table.get_version, "ncclGetVersion");
  int version = 0;
  table.get_version(&version);  // 22809
  require_version("NCCL", library, {version / 10000, version / 100 % 100, version % 100}, {2, 14, 0});
  library.load(table.get_unique_id, "ncclGetUniqueId");
  library.load(table.comm_init_rank, "ncclCommInitRank");
  library.load(table.comm_destroy, "ncclCommDestroy");
  library.load(table.comm_get_async_error, "ncclCommGetAsyncError");
  library.load(table.all_gather, "ncclAllGather");
  library.load(table.all_reduce, "ncclAllReduce");
  library.load(table.get_error_string, "ncclGetErrorString");
  library.load(table.get_last_error, "ncclGetLastError");
  // Graphs of two communicators that one thread launches may block each other where NCCL also lets calls
  // outside of graphs run meanwhile, which there are none of here. Source: NCCL's guide, "Using NCCL with
  // CUDA Graphs".
  setenv("NCCL_GRAPH_MIXING_SUPPORT", "0", 0);
  return table;
}

}  // namespace

const NcclTable& nccl() {
  static const NcclTable loaded = load_nccl();
  return loaded;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
