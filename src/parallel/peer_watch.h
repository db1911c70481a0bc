// A thread that ends this process where its own thread cannot: while that computes or is inside a function of
// MPI that does not return, another rank of this machine may have ended, or never come.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace dpll {

class PeerWatch {
 public:
  // Another rank of this machine.
  struct Peer {
    int rank = 0;
    std::string name;  // "rank 2 on host a (process 1234)"
    pid_t process = 0;
    std::string start;  // as process_start() gives it
  };
  // Prints the line, where it is not empty, and ends the process.
  using End = std::function<void(const std::string& line)>;

  // `rank`: of this process.
  PeerWatch(int rank, End end);
  ~PeerWatch();
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

  // From now on these processes are expected to run; an empty list: they may end.
  void expect(std::vector<Peer> peers);
  // The rank's own thread has seen the failure of another rank, and ends the process in order.
  void leave_to_caller();
  // Ends the process with `line` unless allow() comes within `seconds`.
  void limit(double seconds, const std::string& line);
  void allow();

  // The first peer that has ended; nullptr: none. Called by the rank's own thread.
  static const Peer* first_ended(const std::vector<Peer>& peers);

 private:
  void run();

  const int rank_;
  const End end_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Peer> peers_;
  bool left_to_caller_ = false;
  bool stop_ = false;
  double deadline_ = 0;  // 0: none
  std::string deadline_line_;
  std::thread thread_;
};

}  // namespace dpll
