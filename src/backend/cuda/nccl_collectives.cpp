#include "backend/cuda/nccl_collectives.h"

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <thread>

#include "dpll/core/check.h"
#include "launch_rules.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

int type_of(DType type) {
  switch (type) {
    case DType::f32:
      return kNcclFloat32;
    case DType::f16:
      return kNcclFloat16;
    case DType::bf16:
      return kNcclBfloat16;
    default:
      fail(ExitCode::internal, "NCCL does not add values of type {} here", name_of(type));
  }
}

std::string text_of_version(int version) {
  return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

class NcclCollectives final : public Collectives {
 public:
  NcclCollectives(const NcclTable& nccl, Ranks& ranks, const std::function<void()>& begin_thread,
                  std::size_t least_sum_bytes)
      : nccl_(nccl), size_(ranks.size()), rank_(ranks.rank()), least_sum_bytes_(least_sum_bytes) {
    check_result(nccl_.get_version(&version_), "ncclGetVersion", nullptr);
    check_versions(ranks);
    NcclUniqueId ids[2];
    if (rank_ == 0) {
      for (NcclUniqueId& id : ids) check_result(nccl_.get_unique_id(&id), "ncclGetUniqueId", nullptr);
    }
    ranks.broadcast(ids, sizeof ids);
    join(ranks, begin_thread, ids);
  }
  // ncclCommDestroy, and ncclCommAbort as well, wait for the ranks of the same machine and for the end of all
  // graphs that the communicator is part of. Where something has failed they might wait for ever.
  ~NcclCollectives() override {
    if (abandoned_ || std::uncaught_exceptions() > 0) return;
    for (const NcclComm comm : {statistics_, gradients_}) {
      if (comm != nullptr) nccl_.comm_destroy(comm);
    }
  }
  NcclCollectives(const NcclCollectives&) = delete;
  NcclCollectives& operator=(const NcclCollectives&) = delete;

  std::string description() const override { return text_of_version(version_); }
  int size() const override { return size_; }
  std::size_t least_sum_bytes() const override { return least_sum_bytes_; }

  void all_gather(void* all, const void* own, std::size_t bytes, Stream stream) override {
    launch_rules.next_waits(stream);
    check_result(nccl_.all_gather(own, all, bytes, kNcclInt8, statistics_, stream), "ncclAllGather",
                 statistics_);
    launch_rules.next_waits(stream);
  }
  void all_reduce(void* values, std::int64_t count, DType type, Stream stream) override {
    check_result(nccl_.all_reduce(values, values, static_cast<std::size_t>(count), type_of(type), kNcclSum,
                                  gradients_, stream),
                 "ncclAllReduce", gradients_);
  }

  void check() override {
    for (const NcclComm comm : {statistics_, gradients_}) {
      int error = kNcclSuccess;
      check_result(nccl_.comm_get_async_error(comm, &error), "ncclCommGetAsyncError", comm);
      if (error != kNcclInProgress) check_result(error, "a collective of several GPUs", comm);
    }
  }

  void abandon() noexcept override { abandoned_ = true; }

 private:
  // NCCL's protocol between ranks belongs to one version.
  void check_versions(Ranks& ranks) const {
    std::vector<int> versions(static_cast<std::size_t>(size_));
    ranks.all_gather(&version_, sizeof version_, versions.data());
    for (int rank = 0; rank < size_; ++rank) {
      const int of_rank = versions[static_cast<std::size_t>(rank)];
      if (of_rank == version_) continue;
      fail(ExitCode::device, "rank {} has {}, rank {} {}: every rank needs the same", rank_,
           text_of_version(version_), rank, text_of_version(of_rank));
    }
  }

  // NCCL waits for all ranks without a limit, so that another thread does it while this one looks after the
  // others. Where that throws, the thread is left alone with what it holds: the process is about to end.
  void join(Ranks& ranks, const std::function<void()>& begin_thread, const NcclUniqueId (&ids)[2]) {
    struct Attempt {
      std::atomic<bool> done{false};
      NcclComm comms[2] = {};
      int result = kNcclSuccess;
      std::exception_ptr failure;
    };
    const auto attempt = std::make_shared<Attempt>();
    const NcclUniqueId first = ids[0], second = ids[1];
    std::thread([=, nccl = nccl_, size = size_, rank = rank_] {
      try {
        begin_thread();
        attempt->result = nccl.comm_init_rank(&attempt->comms[0], size, first, rank);
        if (attempt->result == kNcclSuccess) {
          attempt->result = nccl.comm_init_rank(&attempt->comms[1], size, second, rank);
        }
      } catch (...) {
        attempt->failure = std::current_exception();
      }
      attempt->done = true;
    }).detach();
    ranks.wait_until([&] { return attempt->done.load(); });
    statistics_ = attempt->comms[0];
    gradients_ = attempt->comms[1];
    if (attempt->failure != nullptr) std::rethrow_exception(attempt->failure);
    check_result(attempt->result, "ncclCommInitRank", nullptr);
  }

  void check_result(int result, const char* what, NcclComm comm) const {
    if (result == kNcclSuccess) return;
    const char* const last = nccl_.get_last_error(comm);
    const std::string more = last == nullptr || *last == '\0' ? "" : fmt::format(" ({})", last);
    fail(ExitCode::device, "rank {}: {}: {}{}", rank_, what, nccl_.get_error_string(result), more);
  }

  NcclTable nccl_;
  int size_, rank_, version_ = 0;
  std::size_t least_sum_bytes_;
  bool abandoned_ = false;
  NcclComm statistics_ = nullptr, gradients_ = nullptr;
};

}  // namespace

std::string nccl_version_text(const NcclTable& nccl) {
  int version = 0;
  nccl.get_version(&version);
  return text_of_version(version);
}

std::unique_ptr<Collectives> make_nccl_collectives(const NcclTable& nccl, Ranks& ranks,
                                                   const std::function<void()>& begin_thread,
                                                   std::size_t least_sum_bytes) {
  return std::make_unique<NcclCollectives>(nccl, ranks, begin_thread, least_sum_bytes);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
