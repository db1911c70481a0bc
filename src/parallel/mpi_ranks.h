// Ranks on MPI: the processes that mpirun or srun started together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/ranks.h"
#include "parallel/launch.h"
#include "parallel/mpi_open.h"
#include "parallel/mpi_table.h"
#include "parallel/peer_watch.h"
#include "parallel/sum_queue.h"

namespace dpll {

// How a run on several ranks begins and ends:
//
//   const Launch launch = read_launch();
//   if (launch.size > 1) {
//     std::unique_ptr<MpiRanks> ranks;
//     try {
//       ranks = MpiRanks::join(launch, seconds);
//       …
//       ranks->finish();
//     } catch (const Error& error) {
//       const std::string line = ranks ? ranks->last_words(error) : last_words(launch, error);
//       print and log the line;
//       if (ranks) ranks->abort(exit code);
//     }
//   }
//
// One object a process, used by the thread that made it.
class MpiRanks : public Ranks {
 public:
  // Collective. A wait for the others that takes longer than `time_limit` seconds is an error.
  // Errors: ExitCode::config and device as open_mpi_library(); device where MPI does not see the ranks that
  // the launcher started, because it is another MPI than the launcher's. Where MPI itself cannot start or
  // does not return, the process ends here, with a line and the exit code of ExitCode::device.
  static std::unique_ptr<MpiRanks> join(const Launch& launch, double time_limit,
                                        const std::string& library_folder = program_folder());
  ~MpiRanks() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }
  void all_gather(const void* own, std::size_t bytes, void* all) override;
  std::vector<std::vector<std::uint8_t>> all_gather(const std::vector<std::uint8_t>& own) override;
  void broadcast(void* data, std::size_t bytes) override;
  std::unique_ptr<Sum> start_sum(float* values, std::int64_t count) override;
  std::unique_ptr<Sum> start_sum(double* values, std::int64_t count) override;
  void wait_until(const std::function<bool()>& done) override {
    const double before = seconds_waited_;
    wait_for(done);
    seconds_waited_ = before;
  }
  double seconds_waited() const override { return seconds_waited_; }

  // "Open MPI v4.1.4, …", of the MPI that is used.
  std::string library_version() const;
  // The machine of each rank, in rank order.
  const std::vector<std::string>& hosts() const { return hosts_; }

  // For the waits from now on; on each rank for itself.
  void set_time_limit(double seconds) { time_limit_ = seconds; }
  // Looks whether another rank has ended, without waiting: throws as the collective functions do. For long
  // work between collectives.
  void check();
  // Collective: the orderly end of MPI. Nothing else may be called afterwards.
  void finish();

  // What this process is to print and log when its part of the run ends with `error`: one line that names the
  // rank and its host. Tells the other ranks. Rank 0 prints, for others as well; another rank gives it some
  // seconds, in which rank 0 usually ends this process.
  std::string last_words(const Error& error);
  // Ends all ranks, this process with `exit_code`. To be called after last_words().
  [[noreturn]] void abort(int exit_code);

 private:
  struct Message;
  // The memory of the gather or broadcast under way. It stays when the caller's is gone after an error.
  struct Transfer {
    std::vector<std::uint8_t> own, all;
    std::vector<int> counts, places;
  };
  class StartedSum;
  using Done = std::function<bool()>;

  MpiRanks(const DpllMpiTable& mpi, const Launch& launch, double time_limit);
  void meet();
  std::string name_of(int rank) const;
  void check_call(int error, const char* function);
  [[noreturn]] void give_up(ExitCode code, const std::string& text);
  void require_no_failure() const;
  // sizes: bytes of each rank; targets: where they go.
  void gather(const std::uint8_t* own, const std::vector<std::size_t>& sizes,
              const std::vector<std::uint8_t*>& targets);
  // Waits for an operation; all waits for others are in this function.
  void wait_for(const Done& done);
  void wait_for_request(void* request);
  [[noreturn]] void name_missing(const Done& done);
  void look_at_peers();
  void receive_next();
  void take_messages();
  void send(int to, const Message& message);
  void tell_others(const std::string& text, ExitCode code);
  template <typename T>
  std::unique_ptr<Sum> start(T* values, std::int64_t count);

  const DpllMpiTable& mpi_;
  const Launch launch_;
  double time_limit_;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  double seconds_waited_ = 0;
  std::vector<std::string> hosts_;
  std::vector<std::int64_t> processes_;
  std::vector<PeerWatch::Peer> peers_;  // the other ranks of this machine whose processes can be seen
  std::unique_ptr<PeerWatch> watch_;
  SumQueue sums_;
  Transfer transfer_;

  // Messages between single ranks, about failures.
  std::unique_ptr<Message> incoming_;
  void* incoming_request_ = nullptr;
  std::vector<std::pair<std::unique_ptr<Message>, void*>> outgoing_;
  std::vector<bool> answered_;                          // the ranks that have answered the last question
  bool closing_ = false;                                // from now on ranks may end
  bool failed_ = false;                                 // another rank, or the work with it, has failed
  bool told_ = false;                                   // the other ranks know of the failure
  int first_teller_ = std::numeric_limits<int>::max();  // the lowest rank that has told of it
  bool first_is_gone_ = false;                          // the failure is that of rank 0, which cannot print
};

// The same where there is no object, because join() or something before it has failed. The others cannot be
// told: they have failed in the same way, or their launcher or their time limit ends them.
std::string last_words(const Launch& launch, const Error& error);

}  // namespace dpll
