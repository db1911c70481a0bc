#include "parallel/peer_watch.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include "core/process.h"
#include "parallel/steady_seconds.h"

namespace dpll {
namespace {

constexpr double kWatchInterval = 0.1;
// How long the rank's own thread may take to see that a peer has ended. Open MPI's mpirun kills the survivors
// about two seconds after the death.
constexpr double kCallerGrace = 0.5;

bool peer_has_ended(const PeerWatch::Peer& peer) {
  return !process_runs(peer.process, peer.start);
}

}  // namespace

PeerWatch::PeerWatch(int rank, End end) : rank_(rank), end_(std::move(end)) {
  // Signals are for the program's first thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

PeerWatch::~PeerWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void PeerWatch::expect(std::vector<Peer> peers) {
  const std::lock_guard lock(mutex_);
  peers_ = std::move(peers);
}

void PeerWatch::leave_to_caller() {
  const std::lock_guard lock(mutex_);
  left_to_caller_ = true;
}

void PeerWatch::limit(double seconds, const std::string& line) {
  const std::lock_guard lock(mutex_);
  deadline_ = steady_seconds() + seconds;
  deadline_line_ = line;
}

void PeerWatch::allow() {
  const std::lock_guard lock(mutex_);
  deadline_ = 0;
}

const PeerWatch::Peer* PeerWatch::first_ended(const std::vector<Peer>& peers) {
  const auto found = std::find_if(peers.begin(), peers.end(), peer_has_ended);
  return found == peers.end() ? nullptr : &*found;
}

void PeerWatch::run() {
  double seen = 0;  // when a peer's end was seen
  std::string line;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    changed_.wait_for(lock, std::chrono::duration<double>(kWatchInterval));
    if (stop_) return;
    if (deadline_ != 0 && steady_seconds() > deadline_) end_(deadline_line_);
    if (left_to_caller_) continue;
    if (seen == 0) {
      const Peer* const ended = first_ended(peers_);
      if (ended == nullptr) continue;
      seen = steady_seconds();
      // The survivor with the lowest rank of this machine says it.
      const bool first = std::none_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
        return peer.rank < rank_ && !peer_has_ended(peer);
      });
      if (first) line = ended->name + " has ended before the others";
    }
    // The others leave it the time.
    if (steady_seconds() > seen + (line.empty() ? 4 * kCallerGrace : kCallerGrace)) end_(line);
  }
}

}  // namespace dpll
