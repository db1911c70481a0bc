#include "emulation/made_up_nccl.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/cuda/nccl_collectives.h"
#include "core/half.h"
#include "emulation/stream.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

using emulation::EmulationFault;

struct Communicator {
  Ranks* ranks = nullptr;
  Stream stream = nullptr;
  bool has_stream = false;
  std::int64_t calls = 0;  // that have run
  NcclUniqueId id = {};
};
// Behind the pointer of a NcclComm; graphs hold it, too.
using Shared = std::shared_ptr<Communicator>;
const Shared& of(NcclComm comm) {
  return *reinterpret_cast<const Shared*>(comm);
}

// Those that have not been destroyed; whoever has failed leaves them behind.
std::mutex all_mutex;
std::list<Shared>& all() {
  static std::list<Shared> communicators;
  return communicators;
}

thread_local Ranks* ranks_of_thread = nullptr;
thread_local std::uint64_t ids_made = 0;

enum class Kind : std::int64_t { all_gather, all_reduce };

std::size_t bytes_of(int type) {
  return type == kNcclInt8 ? 1 : type == kNcclFloat32 ? 4 : 2;
}

// What all ranks must say alike.
struct Header {
  NcclUniqueId id = {};
  Kind kind = Kind::all_gather;
  std::int64_t call = 0, count = 0, type = 0;
};

void compare_headers(Communicator& comm, Kind kind, std::size_t count, int type) {
  const Header own = {comm.id, kind, comm.calls++, static_cast<std::int64_t>(count), type};
  std::vector<Header> all(static_cast<std::size_t>(comm.ranks->size()));
  comm.ranks->all_gather(&own, sizeof own, all.data());
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (std::memcmp(&all[rank], &own, sizeof own) == 0) continue;
    throw EmulationFault(fmt::format(
        "NCCL: rank {} has call {} of kind {}, {} values of type {}; rank {} call {} of kind {}, {} of {}",
        comm.ranks->rank(), own.call, static_cast<int>(own.kind), own.count, own.type, rank, all[rank].call,
        static_cast<int>(all[rank].kind), all[rank].count, all[rank].type));
  }
}

void use_stream(Communicator& comm, Stream stream) {
  if (comm.has_stream && comm.stream != stream) {
    throw EmulationFault("NCCL: one communicator on two streams, between whose calls there is no order");
  }
  comm.stream = stream;
  comm.has_stream = true;
}

float number(const std::byte* from, int type) {
  if (type == kNcclFloat32) {
    float value = 0;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, from, sizeof bits);
  return type == kNcclFloat16 ? f16_to_float(bits) : bf16_to_float(bits);
}

void put(std::byte* to, float value, int type) {
  if (type == kNcclFloat32) {
    std::memcpy(to, &value, sizeof value);
    return;
  }
  const std::uint16_t bits = type == kNcclFloat16 ? float_to_f16(value) : float_to_bf16(value);
  std::memcpy(to, &bits, sizeof bits);
}

int all_gather(const void* send, void* receive, std::size_t count, int type, NcclComm raw, Stream stream) {
  const Shared comm = of(raw);
  use_stream(*comm, stream);
  const std::size_t bytes = count * bytes_of(type),
                    all = bytes * static_cast<std::size_t>(comm->ranks->size());
  const auto* const from = static_cast<const std::byte*>(send);
  auto* const to = static_cast<std::byte*>(receive);
  if (from < to + all && to < from + bytes) throw EmulationFault("NCCL: send and receive buffers overlap");
  emulation::enqueue(stream, {.name = "ncclAllGather", .bytes = static_cast<double>(bytes + all)}, [=] {
    compare_headers(*comm, Kind::all_gather, count, type);
    comm->ranks->all_gather(from, bytes, to);
  });
  return kNcclSuccess;
}

int all_reduce(const void* send, void* receive, std::size_t count, int type, int operation, NcclComm raw,
               Stream stream) {
  const Shared comm = of(raw);
  use_stream(*comm, stream);
  if (operation != kNcclSum || send != receive) throw EmulationFault("NCCL: not a sum in place");
  const std::size_t width = bytes_of(type), bytes = count * width;
  emulation::enqueue(stream, {.name = "ncclAllReduce", .bytes = static_cast<double>(2 * bytes)}, [=] {
    const auto size = static_cast<std::size_t>(comm->ranks->size());
    const std::size_t first = count % size;
    compare_headers(*comm, Kind::all_reduce, count, type);
    std::vector<std::byte> all(bytes * size);
    comm->ranks->all_gather(send, bytes, all.data());
    std::vector<std::byte> sum(all.begin() + static_cast<std::ptrdiff_t>(first * bytes),
                               all.begin() + static_cast<std::ptrdiff_t>((first + 1) * bytes));
    for (std::size_t step = 1; step < size; ++step) {
      const std::byte* const of_rank = all.data() + (first + step) % size * bytes;
      for (std::size_t i = 0; i < bytes; i += width) {
        put(&sum[i], number(&sum[i], type) + number(of_rank + i, type), type);
      }
    }
    std::memcpy(receive, sum.data(), bytes);
  });
  return kNcclSuccess;
}

NcclTable table() {
  NcclTable made_up;
  made_up.get_version = [](int* version) {
    *version = 10000;  // 1.0.0
    return kNcclSuccess;
  };
  made_up.get_unique_id = [](NcclUniqueId* id) {
    ++ids_made;
    std::memcpy(id->bytes, &ids_made, sizeof ids_made);
    return kNcclSuccess;
  };
  made_up.comm_init_rank = [](NcclComm* comm, int, NcclUniqueId id, int) {
    auto own = std::make_shared<Communicator>();
    own->ranks = ranks_of_thread;
    own->id = id;
    const std::lock_guard lock(all_mutex);
    *comm = reinterpret_cast<NcclComm>(&all().emplace_back(std::move(own)));
    return kNcclSuccess;
  };
  made_up.comm_destroy = [](NcclComm comm) {
    const auto* const shared = reinterpret_cast<const Shared*>(comm);
    if (shared->use_count() > 1) {
      fmt::print(
          stderr,
          "NCCL: a communicator is destroyed before a graph that it is part of: NCCL would wait for ever\n");
      std::abort();
    }
    const std::lock_guard lock(all_mutex);
    all().remove_if([&](const Shared& one) { return &one == shared; });
    return kNcclSuccess;
  };
  made_up.comm_get_async_error = [](NcclComm, int* error) {
    *error = kNcclSuccess;
    return kNcclSuccess;
  };
  made_up.all_gather = all_gather;
  made_up.all_reduce = all_reduce;
  made_up.get_error_string = [](int) -> const char* { return "an error"; };
  made_up.get_last_error = [](NcclComm) -> const char* { return ""; };
  return made_up;
}

}  // namespace

std::unique_ptr<Collectives> make_emulated_collectives(Ranks& ranks, std::size_t least_sum_bytes) {
  return make_nccl_collectives(
      table(), ranks, [&ranks] { ranks_of_thread = &ranks; }, least_sum_bytes);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
