// The thread that ends a rank when another rank of its machine has ended, or a limit is over.
#include "parallel/peer_watch.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "core/process.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// What the watch would print when it ends the process.
class Ends {
 public:
  PeerWatch::End function() {
    return [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      ended_ = true;
      line_ = line;
      changed_.notify_all();
    };
  }
  bool come(double seconds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return ended_; });
  }
  std::string line() {
    const std::lock_guard lock(mutex_);
    return line_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::string line_;
};

// A process that does nothing.
class Sleeper {
 public:
  Sleeper() : process_(fork()) {
    if (process_ == 0) {
      pause();
      _exit(0);
    }
  }
  ~Sleeper() {
    end();
    waitpid(process_, nullptr, 0);
  }
  void end() const { kill(process_, SIGKILL); }
  PeerWatch::Peer as(int rank) const {
    return {rank, "rank " + std::to_string(rank), process_, process_start(process_)};
  }

 private:
  const pid_t process_;
};

}  // namespace

TEST_CASE("peer watch: the survivor with the lowest rank says which rank of the machine has ended") {
  const Sleeper zero, one, two;
  Ends of_zero, of_two, of_caller, of_nobody;
  PeerWatch on_zero(0, of_zero.function()), on_two(2, of_two.function()), caller(0, of_caller.function()),
      nobody(0, of_nobody.function());
  on_zero.expect({one.as(1), two.as(2)});
  on_two.expect({zero.as(0), one.as(1)});
  caller.expect({one.as(1), two.as(2)});
  nobody.expect({one.as(1)});
  CHECK_FALSE(of_zero.come(0.3));
  caller.leave_to_caller();
  nobody.expect({});
  one.end();
  CHECK(of_zero.come(20));
  CHECK(of_zero.line() == "rank 1 has ended before the others");
  // It ends, too, but leaves the word to rank 0.
  CHECK(of_two.come(20));
  CHECK(of_two.line().empty());
  CHECK_FALSE(of_caller.come(0));
  CHECK_FALSE(of_nobody.come(0));
}

TEST_CASE("peer watch: a limit ends the process, and one that is lifted in time does not") {
  Ends ended, lifted;
  PeerWatch late(0, ended.function()), in_time(0, lifted.function());
  in_time.limit(0.2, "too late");
  in_time.allow();
  late.limit(0.2, "too late");
  CHECK(ended.come(20));
  CHECK(ended.line() == "too late");
  CHECK_FALSE(lifted.come(0));
}
