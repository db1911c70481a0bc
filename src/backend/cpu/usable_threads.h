// How many threads the CPU backend computes with: the one place where that is decided.
#pragma once

#include <string>

namespace dpll::cpu {

struct ThreadChoice {
  int count = 1;
  std::string why;      // what decided, where nobody asked for a number: "OMP_NUM_THREADS = 4"
  std::string warning;  // one line, or empty
};

// For run.threads = `asked`. 0 is the least of: the cores of the affinity mask (taskset, cpusets, batch
// systems), the CPU quota of the process's control group and of those above it (containers; version 1 or 2,
// rounded up), OMP_NUM_THREADS, OMP_THREAD_LIMIT. A number that is asked for may be more than the cores and
// the quota, because the bits of a result depend on it, but not more than OMP_THREAD_LIMIT: oneDNN would wait
// for ever for threads that OpenMP does not start.
ThreadChoice choose_threads(int asked);

// The CPU quota, in cores, of a process whose /proc/self/cgroup says `groups`, with the control groups
// mounted at `root`; 0: none.
double cgroup_quota(const std::string& groups, const std::string& root);

}  // namespace dpll::cpu
