#include "train/signals.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <limits>

namespace dpll {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

struct Handled {
  int number;
  const char* name;
  bool stays_ignored;
};
constexpr std::array<Handled, 4> kHandled = {{{SIGINT, "SIGINT", true},
                                              {SIGTERM, "SIGTERM", false},
                                              {SIGHUP, "SIGHUP", true},
                                              {SIGUSR1, "SIGUSR1", false}}};

// The variables of the handlers are lock-free, because a signal may interrupt any instruction of any thread.
std::atomic<int> g_received{0};
std::atomic<double> g_received_at{0};
std::atomic<int> g_in_order{0};  // existing objects
static_assert(std::atomic<double>::is_always_lock_free);

double g_deadline = kNever;
double g_max_hours = 0;
std::array<struct sigaction, kHandled.size() + 1> g_before;

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void act(int signal, void (*handler)(int), struct sigaction* before) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, before);
}

extern "C" void note_signal(int signal) {
  const int error = errno;
  int none = 0;
  if (g_in_order == 0 || (signal == SIGINT && g_received != 0)) {
    constexpr char kText[] = "dpll_engine: ended at once by a signal\n";
    [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, kText, sizeof kText - 1);
    act(signal, SIG_DFL, nullptr);
    raise(signal);  // takes effect when this handler returns
  } else {
    if (g_received == 0) g_received_at = now();
    g_received.compare_exchange_strong(none, signal);
  }
  errno = error;
}

std::string name_of(int signal) {
  for (const Handled& handled : kHandled) {
    if (handled.number == signal) return handled.name;
  }
  return fmt::format("signal {}", signal);
}

}  // namespace

StopSignals::StopSignals(double max_hours) {
  g_received = 0;
  g_max_hours = max_hours;
  g_deadline = max_hours > 0 ? now() + 3600 * max_hours : kNever;
  for (std::size_t i = 0; i < kHandled.size(); ++i) {
    const Handled& handled = kHandled[i];
    sigaction(handled.number, nullptr, &g_before[i]);
    if (handled.stays_ignored && g_before[i].sa_handler == SIG_IGN) continue;
    act(handled.number, note_signal, nullptr);
  }
  act(SIGPIPE, SIG_IGN, &g_before.back());
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i].number, &g_before[i], nullptr);
  sigaction(SIGPIPE, &g_before.back(), nullptr);
  g_received = 0;
  g_deadline = kNever;
}

StopSignals::InOrder::InOrder() {
  ++g_in_order;
}

StopSignals::InOrder::~InOrder() {
  --g_in_order;
}

namespace {

Ranks* g_ranks = nullptr;
std::optional<StopRequest> g_agreed;

std::optional<StopRequest> own_request() {
  if (const int signal = g_received; signal != 0) {
    return StopRequest{128 + signal, "by " + name_of(signal), now() - g_received_at};
  }
  if (g_deadline == kNever) return std::nullopt;
  const double past = now() - g_deadline;
  if (past < 0) return std::nullopt;
  return StopRequest{kTimeLimitExitCode, fmt::format("by run.max_hours = {}", g_max_hours), past};
}

}  // namespace

SharedStops::SharedStops(Ranks* ranks) {
  g_ranks = ranks;
  g_agreed.reset();
}

SharedStops::~SharedStops() {
  g_ranks = nullptr;
  g_agreed.reset();
}

void SharedStops::agree() {
  if (g_ranks == nullptr || g_agreed) return;
  struct Told {
    int exit_code = 0;
    double past = 0;
    char by[64] = {};
  } own;
  if (const std::optional<StopRequest> request = own_request()) {
    own.exit_code = request->exit_code;
    own.past = request->seconds_past;
    request->by.copy(own.by, sizeof own.by - 1);
  }
  std::vector<Told> all(static_cast<std::size_t>(g_ranks->size()));
  g_ranks->all_gather(&own, sizeof own, all.data());
  for (std::size_t rank = 0; rank < all.size() && !g_agreed; ++rank) {
    if (all[rank].exit_code == 0) continue;
    g_agreed =
        StopRequest{all[rank].exit_code, fmt::format("{} on rank {}", all[rank].by, rank), all[rank].past};
  }
}

std::optional<StopRequest> stop_request() {
  return g_ranks != nullptr ? g_agreed : own_request();
}

void throw_if_stop_requested() {
  if (const std::optional<StopRequest> request = stop_request()) throw Stopped(*request);
}

}  // namespace dpll
