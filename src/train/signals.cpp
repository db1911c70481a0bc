#include "train/signals.h"

#include <csignal>

namespace dpll {
namespace {

volatile std::sig_atomic_t g_received = 0;

extern "C" void note_signal(int signal) {
  g_received = signal;
}

void install(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  g_received = 0;
  // SA_RESETHAND: the second signal meets the default action.
  install(SIGINT, note_signal, static_cast<int>(SA_RESETHAND) | SA_RESTART);
  install(SIGTERM, note_signal, static_cast<int>(SA_RESETHAND) | SA_RESTART);
}

StopSignals::~StopSignals() {
  install(SIGINT, SIG_DFL, 0);
  install(SIGTERM, SIG_DFL, 0);
}

int StopSignals::received() {
  return g_received;
}

}  // namespace dpll
