// The lock of a run's folder on a file system without flock.
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "cli/engine_runs.h"
#include "core/process.h"
#include "support/doctest.h"

using namespace dpll::test;

namespace fs = std::filesystem;

namespace {

// A library that makes flock fail as file systems without it do; "" where it cannot be built.
std::string flock_stub(const EngineRuns& runs, const std::string& error) {
  write_text(runs.file("stub.cpp"),
             "#include <errno.h>\nextern \"C\" int flock(int, int) { errno = " + error + "; return -1; }\n");
  const std::string library = runs.file(error + ".so");
  const ProcessResult built =
      run_process({DPLL_CXX, "-shared", "-fPIC", runs.file("stub.cpp"), "-o", library});
  return built.exit_code == 0 ? library : "";
}

// `command` with the library loaded before all others.
std::vector<std::string> with(const std::string& library, std::vector<std::string> command) {
  // AddressSanitizer insists on being the first one.
  command.insert(command.begin(),
                 {"/usr/bin/env", "ASAN_OPTIONS=verify_asan_link_order=0", "LD_PRELOAD=" + library});
  return command;
}

std::string replaced(std::string text, const std::string& key, const std::string& value) {
  const std::size_t begin = text.find(key + " = ");
  REQUIRE(begin != std::string::npos);
  return text.replace(begin, text.find('\n', begin) - begin, key + " = " + value);
}

}  // namespace

TEST_CASE("folder lock: without flock a file names who writes there, and is gone with him") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  for (const char* error : {"ENOLCK", "ENOSYS", "EOPNOTSUPP"}) {
    const std::string stub = flock_stub(runs, error);
    if (stub.empty()) DPLL_SKIP("no compiler to build a library with");
    const ProcessResult result = run_process(with(stub, runs.command(error)));
    require_done(result);
    CHECK(has(result.out, "has no locks (flock: "));
    CHECK_FALSE(fs::exists(runs.run_file(error, ".lock.owner")));
    CHECK_FALSE(fs::exists(runs.run_file(error, ".lock")));
  }
  const ProcessResult other = run_process(with(flock_stub(runs, "EIO"), runs.command("other")));
  CHECK(other.exit_code == 5);
  CHECK(has(other.err, "cannot be locked: flock: Input/output error; run.lock = false goes without a lock"));
}

TEST_CASE("folder lock: a process that runs keeps others out, a killed one's lock is taken over") {
  const EngineRuns runs({"run.epochs=100000", "log.charts=false"});
  const std::string stub = flock_stub(runs, "ENOLCK"), owner = runs.run_file("a", ".lock.owner");
  if (stub.empty()) DPLL_SKIP("no compiler to build a library with");
  Child first(with(stub, runs.command("a")), {});
  while (first.running() && !fs::exists(runs.run_file("a", "checkpoint.safetensors"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::string text = read_text(owner);
  const ProcessResult second = run_process(with(stub, runs.command("a")));
  CHECK(second.exit_code == 5);
  CHECK(has(second.err, "is in use by another process (process "));
  CHECK(read_text(owner) == text);
  // One that can lock sees the file, too.
  CHECK(has(run_process(runs.command("a")).err, "is in use by another process (process "));
  first.signal(SIGKILL);
  first.wait();
  CHECK(read_text(owner) == text);
  std::vector<std::string> resume = runs.resume_command("a");
  resume.insert(resume.end(), {"--set", "run.epochs=1", "--set", "checkpoint.every=100000"});
  const ProcessResult third = run_process(with(stub, resume));
  require_done(third);
  CHECK(has(third.out, ", which used this folder, has ended; its lock is taken over"));
  CHECK_FALSE(fs::exists(owner));
}

TEST_CASE("folder lock: what is gone is told from what cannot be seen") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  const std::string stub = flock_stub(runs, "ENOLCK"), owner = runs.run_file("a", ".lock.owner");
  if (stub.empty()) DPLL_SKIP("no compiler to build a library with");
  if (!fs::exists("/proc/sys/kernel/random/boot_id")) DPLL_SKIP("no /proc");
  // As this process would write it.
  char host[256] = {};
  gethostname(host, sizeof(host) - 1);
  std::string boot = read_text("/proc/sys/kernel/random/boot_id");
  boot.pop_back();
  const std::string mine =
      fmt::format("host = {}\nboot = {}\nnamespace = {}\nprocess = {}\nstart = {}\n", host, boot,
                  fs::read_symlink("/proc/self/ns/pid").string(), getpid(), dpll::process_start(getpid()));
  const auto train = [&](const std::string& text) {
    fs::remove_all(runs.run_folder("a"));
    fs::create_directories(runs.run_folder("a"));
    write_text(owner, text);
    return run_process(with(stub, runs.command("a")));
  };
  CHECK(has(train(mine).err, fmt::format("is in use by another process (process {})", getpid())));
  // A later process of the same number; a machine that was started anew.
  for (const std::string& gone : {replaced(mine, "start", "1"), replaced(mine, "boot", "another")}) {
    const ProcessResult result = train(gone);
    require_done(result);
    CHECK(has(result.out, "its lock is taken over"));
  }
  const ProcessResult elsewhere = train(replaced(mine, "host", "elsewhere"));
  CHECK(elsewhere.exit_code == 5);
  CHECK(has(elsewhere.err,
            fmt::format("is in use by process {} on host 'elsewhere'; whether that still runs cannot "
                        "be seen from here: make sure that it does not, and remove '{}'",
                        getpid(), owner)));
  CHECK(read_text(owner) == replaced(mine, "host", "elsewhere"));
  // A container that is gone, or runs: its processes are not seen from here.
  const ProcessResult contained = train(replaced(replaced(mine, "namespace", "pid:[1]"), "start", "1"));
  CHECK(contained.exit_code == 5);
  CHECK(has(contained.err, "cannot be seen from here"));
  const ProcessResult damaged = train("host = ");
  CHECK(damaged.exit_code == 5);
  CHECK(has(damaged.err, "by a process that did not say which"));
  // Without a lock nobody looks.
  std::vector<std::string> unlocked = runs.command("a", {"run.lock=false"});
  require_done(run_process(with(stub, unlocked)));
  CHECK(read_text(owner) == "host = ");
}

TEST_CASE("a process is told from a later one of the same number") {
  const std::string start = dpll::process_start(getpid());
  if (start.empty()) DPLL_SKIP("no /proc");
  CHECK(dpll::process_runs(getpid(), start));
  CHECK_FALSE(dpll::process_runs(getpid(), start + "1"));
  CHECK(dpll::process_runs(1, dpll::process_start(1)));
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  const std::string begun = dpll::process_start(child);
  CHECK(dpll::process_runs(child, begun));
  kill(child, SIGKILL);
  siginfo_t ended{};
  waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);
  CHECK_FALSE(dpll::process_runs(child, begun));  // ended, and not yet waited for
  int status = 0;
  waitpid(child, &status, 0);
  CHECK_FALSE(dpll::process_runs(child, begun));
}
