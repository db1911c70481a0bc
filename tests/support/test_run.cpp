#include "support/test_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/doctest.h"

namespace dpll::test {
namespace {

constexpr int kMostJobs = 256;

// The processes fork from one without exec, so the address of a test case's name means the same to all.
struct Shared {
  std::atomic<int> passed, failed, skipped;
  std::atomic<int> taken;                                   // test cases, in their order
  std::array<std::atomic<const char*>, kMostJobs> running;  // by process; null between two test cases
};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<const char*>::is_always_lock_free);

template <class T>
T checked(T result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

// A file in memory; processes that share it write behind each other.
int make_file(const char* name) {
  const int file = checked(memfd_create(name, MFD_CLOEXEC), "memfd_create");
  checked(fcntl(file, F_SETFL, O_APPEND), "fcntl");
  return file;
}

Shared& shared() {
  static Shared& memory = []() -> Shared& {
    void* const at = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    return *new (at) Shared();
  }();
  return memory;
}

int notes() {
  static const int file = make_file("notes");
  return file;
}

int self = 0;        // this process's place in `running`
bool began = false;  // whether the last call of Context::run() found a test case to run

void write_all(int to, const char* text, std::size_t size) {
  while (size > 0) {
    const ssize_t written = write(to, text, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // whoever read it has gone
    text += written;
    size -= static_cast<std::size_t>(written);
  }
}

// Moves what `file` holds to `to`; nothing of another process comes between.
void pass_on(int file, int to, int lock) {
  std::string text(static_cast<std::size_t>(checked(lseek(file, 0, SEEK_END), "lseek")), '\0');
  if (text.empty()) return;
  text.resize(static_cast<std::size_t>(checked(pread(file, text.data(), text.size(), 0), "pread")));
  checked(ftruncate(file, 0), "ftruncate");
  checked(lockf(lock, F_LOCK, 0), "lockf");
  write_all(to, text.data(), text.size());
  checked(lockf(lock, F_ULOCK, 0), "lockf");
}

// One process: its place, and the file that its standard output and error go to.
struct Process {
  pid_t id = -1;
  int output = -1;
};

[[noreturn]] void work(doctest::Context& context, int place, int output, int lock) {
  self = place;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int terminal = checked(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0), "fcntl");
  checked(dup2(output, STDOUT_FILENO), "dup2");
  checked(dup2(output, STDERR_FILENO), "dup2");
  std::cout << std::unitbuf;  // what was said before a crash is not lost with it
  do {
    const int next = ++shared().taken;
    context.setOption("first", next);
    context.setOption("last", next);
    began = false;
    context.run();
    std::cout.flush();
    std::fflush(nullptr);
    pass_on(output, terminal, lock);
  } while (began);
  std::exit(0);  // LeakSanitizer's moment, and its exit code
}

}  // namespace

void test_case_begins(const char* name) {
  began = true;
  shared().running[self] = name;
}

void test_case_ends(Outcome outcome) {
  Shared& all = shared();
  ++(outcome == Outcome::passed ? all.passed : outcome == Outcome::failed ? all.failed : all.skipped);
  all.running[self] = nullptr;
}

void note(const std::string& line) {
  const std::string text = line + "\n";
  write_all(notes(), text.data(), text.size());
}

void print_notes() {
  std::fflush(stdout);
  std::cout.flush();
  const int lock = make_file("lock");
  pass_on(notes(), STDOUT_FILENO, lock);
  close(lock);
}

TestCounts test_counts() {
  const Shared& all = shared();
  return {all.passed, all.failed, all.skipped};
}

int jobs_of(int argc, const char* const* argv) {
  constexpr std::array kOfOneProcess = {"first", "f",   "last", "l",         "abort-after",
                                        "aa",    "out", "o",    "reporters", "r"};
  int jobs = 1;
  bool one = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
    if (word.starts_with("dt-")) word.remove_prefix(3);
    const std::string_view name = word.substr(0, word.find('='));
    if (name == "jobs" && word.size() > 5) jobs = std::atoi(word.data() + 5);
    one = one || std::find(kOfOneProcess.begin(), kOfOneProcess.end(), name) != kOfOneProcess.end();
  }
  return one ? 1 : std::clamp(jobs, 1, kMostJobs);
}

void run_in_processes(doctest::Context& context, int jobs) {
  shared();
  notes();
  const int lock = make_file("lock");
  std::vector<Process> processes(jobs);
  const auto start = [&](int place) {
    shared().running[place] = nullptr;
    Process& process = processes[place];
    process.id = checked(fork(), "fork");
    if (process.id == 0) work(context, place, process.output, lock);
  };
  for (int place = 0; place < jobs; ++place) {
    processes[place].output = make_file("output");
    start(place);
  }
  for (int alive = jobs; alive > 0;) {
    int status = 0;
    const pid_t id = checked(wait(&status), "wait");
    const auto process =
        std::find_if(processes.begin(), processes.end(), [&](const Process& p) { return p.id == id; });
    if (process == processes.end()) continue;
    pass_on(process->output, STDOUT_FILENO, lock);
    --alive;
    if (status == 0) continue;
    const int place = static_cast<int>(process - processes.begin());
    const char* const name = shared().running[place];
    const std::string end = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                                : fmt::format("exit code {}", WEXITSTATUS(status));
    note(fmt::format("failed: {}: the process ended with {}", name == nullptr ? "no test case" : name, end));
    ++shared().failed;
    if (name == nullptr) continue;
    start(place);
    ++alive;
  }
}

}  // namespace dpll::test
