// NCCL's functions as its library has them. Declared here, because CUDA's toolkit comes with and without
// nccl.h. Source: nccl.h of NCCL 2.28; the first version with all of it is 2.14 (ncclCommGetAsyncError with
// graphs: 2.11).
#pragma once

#include <cstddef>

#include "namespace.h"

struct ncclComm;

namespace dpll::DPLL_CUDA_NAMESPACE {

// ncclResult_t, ncclDataType_t and ncclRedOp_t, those that are used.
inline constexpr int kNcclSuccess = 0, kNcclInProgress = 7;
inline constexpr int kNcclInt8 = 0, kNcclFloat16 = 6, kNcclFloat32 = 7, kNcclBfloat16 = 9;
inline constexpr int kNcclSum = 0;

struct NcclUniqueId {  // ncclUniqueId
  char bytes[128] = {};
};
using NcclComm = ncclComm*;

struct NcclTable {
  int (*get_version)(int* version) = nullptr;
  int (*get_unique_id)(NcclUniqueId* id) = nullptr;
  int (*comm_init_rank)(NcclComm* comm, int ranks, NcclUniqueId id, int rank) = nullptr;
  int (*comm_destroy)(NcclComm comm) = nullptr;
  int (*comm_get_async_error)(NcclComm comm, int* error) = nullptr;
  int (*all_gather)(const void* send, void* receive, std::size_t count, int type, NcclComm comm,
                    Stream stream) = nullptr;
  int (*all_reduce)(const void* send, void* receive, std::size_t count, int type, int operation,
                    NcclComm comm, Stream stream) = nullptr;
  const char* (*get_error_string)(int result) = nullptr;
  const char* (*get_last_error)(NcclComm comm) = nullptr;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
