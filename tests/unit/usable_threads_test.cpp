// How many threads the process may use: affinity mask, control groups, OpenMP's variables.
#include "backend/cpu/usable_threads.h"

#include <sched.h>

#include <filesystem>

#include "cli/engine_runs.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// A run of one epoch under `variables` ("NAME=VALUE").
ProcessResult train_under(const EngineRuns& runs, const std::string& name,
                          const std::vector<std::string>& variables,
                          const std::vector<std::string>& settings) {
  std::vector<std::string> command = {"/usr/bin/env"};
  command.insert(command.end(), variables.begin(), variables.end());
  const std::vector<std::string> train = runs.command(name, settings);
  command.insert(command.end(), train.begin(), train.end());
  return run_process(command);
}

}  // namespace

TEST_CASE("threads: the CPU quota of a control group and of those above it, versions 1 and 2") {
  const TempDir root;
  const auto put = [&](const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root.file(path)).parent_path());
    write_text(root.file(path), text);
  };
  const std::string unified = "0::/jobs/mine\n";
  CHECK(cpu::cgroup_quota(unified, root.path()) == 0);
  put("jobs/mine/cpu.max", "max 100000\n");
  CHECK(cpu::cgroup_quota(unified, root.path()) == 0);
  put("jobs/cpu.max", "150000 100000\n");
  CHECK(cpu::cgroup_quota(unified, root.path()) == 1.5);
  put("jobs/mine/cpu.max", "50000 100000\n");
  CHECK(cpu::cgroup_quota(unified, root.path()) == 0.5);
  // In a container its own group is the root, whatever the path says.
  put("cpu.max", "20000 100000\n");
  CHECK(cpu::cgroup_quota("0::/not/here\n", root.path()) == 0.2);

  const std::string first = "5:memory:/a\n4:cpu,cpuacct:/docker/1f\n1:name=systemd:/a\n";
  CHECK(cpu::cgroup_quota(first, root.path()) == 0);
  put("cpu/cpu.cfs_quota_us", "-1\n");
  put("cpu/cpu.cfs_period_us", "100000\n");
  put("cpu/docker/1f/cpu.cfs_quota_us", "400000\n");
  put("cpu/docker/1f/cpu.cfs_period_us", "100000\n");
  CHECK(cpu::cgroup_quota(first, root.path()) == 4);
  put("cpu,cpuacct/cpu.cfs_quota_us", "250000\n");
  put("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK(cpu::cgroup_quota(first, root.path()) == 2.5);
  for (const char* foolish : {"", "no colons\n", "0:\n", "::\n", "0::\n"}) {
    CHECK(cpu::cgroup_quota(foolish, root.path()) >= 0);
  }
}

TEST_CASE("threads: the affinity mask decides, and more are allowed with a warning") {
  cpu_set_t before;
  CPU_ZERO(&before);
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  const cpu::ThreadChoice open = cpu::choose_threads(0), many = cpu::choose_threads(3);
  sched_setaffinity(0, sizeof before, &before);
  CHECK(open.count == 1);
  CHECK(has(open.why, "1 core that this process may use"));
  CHECK(open.warning.empty());
  CHECK(many.count == 3);
  CHECK(has(many.warning, "run.threads = 3 is more than "));
}

TEST_CASE(
    "threads: OMP_NUM_THREADS and OMP_THREAD_LIMIT count, and no run waits for threads that never come") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  const ProcessResult wanted = train_under(runs, "wanted", {"OMP_NUM_THREADS=1"}, {"run.threads=0"});
  require_done(wanted);
  CHECK(has(wanted.out, "device: cpu, 1 thread"));
  const ProcessResult limited = train_under(runs, "limited", {"OMP_THREAD_LIMIT=1"}, {"run.threads=2"});
  require_done(limited);
  CHECK(has(limited.out, "device: cpu, 1 thread"));
  CHECK(has(limited.out, "warning: run.threads = 2 is more than OMP_THREAD_LIMIT = 1, which is taken"));
  CHECK(has(read_text(runs.run_file("limited", "config.ini")), "\nthreads = 1\n"));
}
