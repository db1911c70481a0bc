#include "backend/cpu/usable_threads.h"

#include <fmt/format.h>
#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>

namespace dpll::cpu {
namespace {

namespace fs = std::filesystem;

struct Usable {
  int count = 1;
  std::string why;
};

int cores_of_affinity_mask() {
  // The kernel refuses a set that is smaller than its own, of which machines beyond 1024 cores need more.
  for (int size = 1024; size <= (1 << 20); size *= 2) {
    cpu_set_t* const set = CPU_ALLOC(size);
    const std::size_t bytes = CPU_ALLOC_SIZE(size);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int error = errno;
    const int count = known ? CPU_COUNT_S(bytes, set) : 1;
    CPU_FREE(set);
    if (known || error != EINVAL) return count;
  }
  return 1;
}

// quota / period; 0 where there is none.
double cores_of(const std::string& quota, const std::string& period) {
  const double q = std::atof(quota.c_str()), p = std::atof(period.c_str());
  return q > 0 && p > 0 ? q / p : 0;
}

double quota_v2(const fs::path& folder) {
  std::ifstream file(folder / "cpu.max");  // "150000 100000" or "max 100000"
  std::string quota, period;
  file >> quota >> period;
  return cores_of(quota, period);
}

double quota_v1(const fs::path& folder) {
  std::ifstream quota_file(folder / "cpu.cfs_quota_us"), period_file(folder / "cpu.cfs_period_us");
  std::string quota, period;  // a quota of -1 is none
  quota_file >> quota;
  period_file >> period;
  return cores_of(quota, period);
}

// The least quota of the group and of those above it. In a container the path may be the host's, of which
// nothing but the root is there.
double least_quota(const fs::path& mount, const fs::path& group, double (*quota_of)(const fs::path&)) {
  double least = 0;
  fs::path at = group.relative_path();
  while (true) {
    const double quota = quota_of(mount / at);
    if (quota > 0) least = least > 0 ? std::min(least, quota) : quota;
    if (at.empty()) return least;
    at = at.parent_path();
  }
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// OMP_NUM_THREADS may be a list, one number for each level of nesting. 0: not set, or not a number.
int omp_num_threads() {
  const char* const text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return 0;
  const long number = std::strtol(text, nullptr, 10);
  return number > 0 && number < (1 << 20) ? static_cast<int>(number) : 0;
}

const char* plural(int count) {
  return count == 1 ? "" : "s";
}

}  // namespace

double cgroup_quota(const std::string& groups, const std::string& root) {
  double least = 0;
  std::istringstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    // "0::/user.slice" of version 2, "4:cpu,cpuacct:/docker/1f2e" of version 1.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    double quota = 0;
    if (controllers.empty()) {
      quota = least_quota(root, group, quota_v2);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      std::error_code ignored;
      const fs::path joint = fs::path(root) / controllers;
      quota = least_quota(fs::exists(joint, ignored) ? joint : fs::path(root) / "cpu", group, quota_v1);
    }
    if (quota > 0) least = least > 0 ? std::min(least, quota) : quota;
  }
  return least;
}

ThreadChoice choose_threads(int asked) {
  const int cores = cores_of_affinity_mask();
  Usable usable{cores, fmt::format("{} core{} that this process may use", cores, plural(cores))};
  const auto lower = [&](int count, std::string why) {
    if (count < usable.count) usable = {count, std::move(why)};
  };
  if (const double quota = cgroup_quota(text_of("/proc/self/cgroup"), "/sys/fs/cgroup"); quota > 0) {
    lower(std::max(1, static_cast<int>(std::ceil(quota))), fmt::format("a CPU quota of {:.4g} cores", quota));
  }
  const int limit = omp_get_thread_limit();
  if (asked <= 0) {
    if (const int number = omp_num_threads(); number > 0) {
      lower(number, fmt::format("OMP_NUM_THREADS = {}", number));
    }
    lower(limit, fmt::format("OMP_THREAD_LIMIT = {}", limit));
    return {usable.count, usable.why, ""};
  }
  if (asked > limit) {
    return {limit, "",
            fmt::format("run.threads = {} is more than OMP_THREAD_LIMIT = {}, which is taken", asked, limit)};
  }
  if (asked <= usable.count) return {asked, "", ""};
  return {
      asked, "",
      fmt::format("run.threads = {} is more than {}: {} would be faster", asked, usable.why, usable.count)};
}

}  // namespace dpll::cpu
