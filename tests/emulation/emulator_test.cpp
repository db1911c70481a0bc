// The emulator reports what it promises to report: each fault here is one that a kernel could have. Compiled
// as the kernels are, so that the test kernels use CUDA's names.
#include "emulation/emulator.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "launch.cuh"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::DPLL_CUDA_NAMESPACE;

namespace {

constexpr int kThreads = 64;

std::string fault_of(const std::function<void()>& launches) {
  try {
    launches();
  } catch (const emulation::EmulationFault& fault) {
    return fault.what();
  }
  return "";
}

void reverse_in_shared(int* values) {
  wait_for_previous_kernel();
  DPLL_SHARED(int, shared, kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = values[thread];
  __syncthreads();
  values[thread] = shared[kThreads - 1 - thread];
}

void reverse_without_barrier(int* values) {
  wait_for_previous_kernel();
  DPLL_SHARED(int, shared, kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = values[thread];
  values[thread] = shared[kThreads - 1 - thread];
}

void barrier_of_half_the_block(int* values) {
  wait_for_previous_kernel();
  if (threadIdx.x < kThreads / 2) __syncthreads();
  values[threadIdx.x] = 1;
}

void barriers_at_two_lines(int* values) {
  wait_for_previous_kernel();
  if (threadIdx.x < kThreads / 2) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  values[threadIdx.x] = 1;
}

void shuffle_of_half_a_warp(int* values) {
  wait_for_previous_kernel();
  if (threadIdx.x % 32 < 16) values[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFU, values[threadIdx.x], 1);
}

void read_unwritten_shared(float* values) {
  wait_for_previous_kernel();
  DPLL_SHARED(float, shared, kThreads);
  values[threadIdx.x] = shared[threadIdx.x];
}

void sum_of_warp(int* values) {
  wait_for_previous_kernel();
  int sum = values[threadIdx.x];
  for (int mask = 16; mask > 0; mask /= 2) sum += __shfl_xor_sync(0xFFFFFFFFU, sum, mask);
  values[threadIdx.x] = sum;
}

void never_waits(int* values) {
  if (threadIdx.x == 3) return;
  wait_for_previous_kernel();
  values[threadIdx.x] = 1;
}

void last_block(int* values) {
  wait_for_previous_kernel();
  if (threadIdx.x == 0) values[0] = static_cast<int>(blockIdx.x);
}

std::vector<int> counted() {
  std::vector<int> values(kThreads);
  for (int i = 0; i < kThreads; ++i) values[static_cast<std::size_t>(i)] = i;
  return values;
}

constexpr std::uint64_t kSchedules = 8;

}  // namespace

TEST_CASE("emulator: barriers and shuffles give every schedule the same result") {
  for (std::uint64_t schedule = 0; schedule < kSchedules; ++schedule) {
    emulation::set_schedule(schedule);
    std::vector<int> reversed = counted(), sums = counted();
    launch("reverse", reverse_in_shared, {{1, 1, 1}, kThreads, 0}, nullptr, reversed.data());
    launch("sum", sum_of_warp, {{1, 1, 1}, kThreads, 0}, nullptr, sums.data());
    for (int i = 0; i < kThreads; ++i) {
      CHECK(reversed[static_cast<std::size_t>(i)] == kThreads - 1 - i);
      CHECK(sums[static_cast<std::size_t>(i)] == (i < 32 ? 496 : 496 + 32 * 32));
    }
  }
}

TEST_CASE("emulator: a missing barrier shows as a result that depends on the schedule") {
  std::vector<std::vector<int>> results;
  for (std::uint64_t schedule = 0; schedule < kSchedules; ++schedule) {
    emulation::set_schedule(schedule);
    results.push_back(counted());
    launch("reverse", reverse_without_barrier, {{1, 1, 1}, kThreads, 0}, nullptr, results.back().data());
  }
  std::size_t different = 0;
  for (const std::vector<int>& result : results) different += result != results.front() ? 1 : 0;
  CHECK(different > 0);
}

TEST_CASE("emulator: blocks come in an order drawn from the seed") {
  std::vector<int> last;
  for (std::uint64_t schedule = 1; schedule <= kSchedules; ++schedule) {
    emulation::set_schedule(schedule);
    int value = -1;
    launch("last", last_block, {{5, 1, 1}, 32, 0}, nullptr, &value);
    last.push_back(value);
  }
  CHECK(std::count(last.begin(), last.end(), last.front()) < static_cast<std::ptrdiff_t>(last.size()));
}

TEST_CASE("emulator: divergent barriers are faults that name kernel and line") {
  emulation::set_schedule(3);
  std::vector<int> values = counted();
  const auto fault = [&](const char* name, void (*kernel)(int*)) {
    return fault_of([&] { launch(name, kernel, {{1, 1, 1}, kThreads, 0}, nullptr, values.data()); });
  };
  const std::string half = fault("half", barrier_of_half_the_block);
  CHECK(half.find("half") != std::string::npos);
  CHECK(half.find("emulator_test.cpp") != std::string::npos);
  CHECK(fault("two lines", barriers_at_two_lines) != "");
  CHECK(fault("half a warp", shuffle_of_half_a_warp) != "");
  CHECK(fault("none", reverse_in_shared) == "");  // and the emulator works on
}

TEST_CASE("emulator: a thread that does not wait for the kernel before is a fault") {
  std::vector<int> values = counted();
  const std::string found = fault_of([&] {
    launch("never", never_waits, {{1, 1, 1}, kThreads, 0}, nullptr, values.data());
  });
  CHECK_MESSAGE(found.find("thread 3 has not waited for the kernel before") != std::string::npos, found);
}

TEST_CASE("emulator: shared memory that nobody wrote is NaN") {
  std::vector<float> values(kThreads, 0.0F);
  launch("unwritten", read_unwritten_shared, {{1, 1, 1}, kThreads, 0}, nullptr, values.data());
  for (const float value : values) CHECK(std::isnan(value));
}
