// The functions of mpi_table.h. This file is compiled once with the header of each MPI, into a library of its
// own, and is not part of the program.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include "parallel/mpi_table.h"

namespace {

MPI_Comm g_channels[kDpllMpiChannels];
int g_local_rank = 0, g_local_size = 1;
char g_text[MPI_MAX_LIBRARY_VERSION_STRING + MPI_MAX_ERROR_STRING + 1];

int init() {
  int given = 0;
  int error = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given);
  MPI_Comm local = MPI_COMM_NULL;
  if (error == MPI_SUCCESS) {
    error = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
  }
  if (error == MPI_SUCCESS) error = MPI_Comm_rank(local, &g_local_rank);
  if (error == MPI_SUCCESS) error = MPI_Comm_size(local, &g_local_size);
  if (error == MPI_SUCCESS) error = MPI_Comm_free(&local);
  for (MPI_Comm& channel : g_channels) {
    if (error == MPI_SUCCESS) error = MPI_Comm_dup(MPI_COMM_WORLD, &channel);
    // Our own line says what failed; the default is MPI's own text and an end at once.
    if (error == MPI_SUCCESS) error = MPI_Comm_set_errhandler(channel, MPI_ERRORS_RETURN);
  }
  return error;
}

int finalise() {
  return MPI_Finalize();
}

void abort_all(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

int rank() {
  int value = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &value);
  return value;
}

int size() {
  int value = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &value);
  return value;
}

int local_rank() {
  return g_local_rank;
}

int local_size() {
  return g_local_size;
}

const char* processor_name() {
  int length = 0;
  MPI_Get_processor_name(g_text, &length);
  g_text[length] = '\0';
  return g_text;
}

const char* library_version() {
  int length = 0;
  MPI_Get_library_version(g_text, &length);
  g_text[length] = '\0';
  for (char& c : g_text) {
    if (c == '\n') c = '\0';
    if (c == '\t') c = ' ';
  }
  return g_text;
}

const char* error_text(int error) {
  int length = 0;
  MPI_Error_string(error, g_text, &length);
  g_text[length] = '\0';
  return g_text;
}

// A started operation as the program sees it.
int hand_over(int error, MPI_Request request, void** result) {
  *result = error == MPI_SUCCESS ? new MPI_Request(request) : nullptr;
  return error;
}

int all_gather(int channel, const void* own, int bytes, void* all, const int* counts, const int* places,
               void** result) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error =
      MPI_Iallgatherv(own, bytes, MPI_BYTE, all, counts, places, MPI_BYTE, g_channels[channel], &request);
  return hand_over(error, request, result);
}

int all_to_all(int channel, const void* own, const int* own_counts, const int* own_places, void* all,
               const int* counts, const int* places, void** result) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error = MPI_Ialltoallv(own, own_counts, own_places, MPI_BYTE, all, counts, places, MPI_BYTE,
                                   g_channels[channel], &request);
  return hand_over(error, request, result);
}

int broadcast(int channel, void* data, int bytes, void** result) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error = MPI_Ibcast(data, bytes, MPI_BYTE, 0, g_channels[channel], &request);
  return hand_over(error, request, result);
}

int barrier(int channel, void** result) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error = MPI_Ibarrier(g_channels[channel], &request);
  return hand_over(error, request, result);
}

int send(int channel, int to, const void* data, int bytes, void** result) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error = MPI_Isend(data, bytes, MPI_BYTE, to, 0, g_channels[channel], &request);
  return hand_over(error, request, result);
}

int receive(int channel, void* data, int bytes, void** result) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error = MPI_Irecv(data, bytes, MPI_BYTE, MPI_ANY_SOURCE, 0, g_channels[channel], &request);
  return hand_over(error, request, result);
}

int test(void** opaque, int* done) {
  auto* const request = static_cast<MPI_Request*>(*opaque);
  const int error = MPI_Test(request, done, MPI_STATUS_IGNORE);
  if (error == MPI_SUCCESS && *done != 0) {
    delete request;
    *opaque = nullptr;
  }
  return error;
}

int cancel(void** opaque) {
  auto* const request = static_cast<MPI_Request*>(*opaque);
  int error = MPI_Cancel(request);
  if (error == MPI_SUCCESS) error = MPI_Wait(request, MPI_STATUS_IGNORE);
  delete request;
  *opaque = nullptr;
  return error;
}

constexpr DpllMpiTable kTable = {kDpllMpiTableVersion,
                                 init,
                                 finalise,
                                 abort_all,
                                 rank,
                                 size,
                                 local_rank,
                                 local_size,
                                 processor_name,
                                 library_version,
                                 error_text,
                                 all_gather,
                                 all_to_all,
                                 broadcast,
                                 barrier,
                                 send,
                                 receive,
                                 test,
                                 cancel};

}  // namespace

extern "C" __attribute__((visibility("default"))) const DpllMpiTable* dpll_mpi_table() {
  return &kTable;
}
