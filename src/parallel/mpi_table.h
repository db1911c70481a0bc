// What the program calls of MPI. The types of mpi.h have another layout in each MPI, so libdpll_openmpi.so
// and libdpll_mpich.so (mpi_library.cpp, compiled with each MPI's own header) bring this table, and the
// program opens the one that fits its launcher. It runs where there is no MPI at all.
//
// All functions belong to the thread that called init. Those with a result return 0 or MPI's error code.
#pragma once

extern "C" {

inline constexpr int kDpllMpiTableVersion = 1;

// Communicators of all ranks. Collectives of different channels do not meet.
enum DpllMpiChannel {
  kDpllMpiMain,
  kDpllMpiScatter,  // the first half of sums
  kDpllMpiGather,   // the second half
  kDpllMpiControl,
  kDpllMpiChannels
};

struct DpllMpiTable {
  int version;  // kDpllMpiTableVersion

  int (*init)();
  int (*finalise)();
  void (*abort)(int exit_code);  // ends all ranks
  int (*rank)();
  int (*size)();
  int (*local_rank)();  // among the ranks that share memory with this one
  int (*local_size)();
  const char* (*processor_name)();
  const char* (*library_version)();  // one line
  const char* (*error_text)(int error);

  // These start an operation on bytes. All memory that they are given, counts and places (offsets of each
  // rank's bytes) included, must stay until test() has said that the operation is done.
  int (*all_gather)(int channel, const void* own, int bytes, void* all, const int* counts, const int* places,
                    void** request);
  int (*all_to_all)(int channel, const void* own, const int* own_counts, const int* own_places, void* all,
                    const int* counts, const int* places, void** request);
  int (*broadcast)(int channel, void* data, int bytes, void** request);  // from rank 0
  int (*barrier)(int channel, void** request);
  int (*send)(int channel, int to, const void* data, int bytes, void** request);
  int (*receive)(int channel, void* data, int bytes, void** request);  // from any rank
  int (*test)(void** request, int* done);                              // frees a request that is done
  int (*cancel)(void** request);                                       // a receive that nobody will answer
};

// The one function that the libraries export.
using DpllMpiTableFunction = const DpllMpiTable* (*)();
inline constexpr char kDpllMpiTableFunction[] = "dpll_mpi_table";
}
