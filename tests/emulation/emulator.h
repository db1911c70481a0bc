// Runs CUDA kernels on the CPU, for tests. A kernel is compiled as host C++; each CUDA thread of a block is a
// fiber, and one fiber runs at a time until it reaches a barrier, a warp operation or its end. Which fiber
// runs next is drawn from a seed, so that a result that depends on the schedule (a missing barrier) differs
// from seed to seed. Blocks run one after the other, in an order drawn from the same seed.
//
// What it reports, as an EmulationFault that names kernel, block and source lines:
//   - a thread that does not wait for the kernel before
//   - a block that counts itself as done before each of its threads has had a fence
//   - a barrier or warp operation that not all threads reach, or that they reach at different lines
//   - writes between shared arrays (also by AddressSanitizer, where it is on), more shared memory than there
//   is
// Shared memory begins every block as 0xFF bytes: NaN, -1.
// Every thread of the host has an emulator, a memory and streams of its own: a GPU for each rank of a test.
// What it cannot show: races inside a warp between two lanes' plain accesses that no order of whole
// barrier-to-barrier stretches exposes, memory-model subtleties, anything about speed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>

namespace dpll::emulation {

struct Index {
  unsigned x = 1, y = 1, z = 1;
  constexpr Index(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct Launch {
  const char* kernel;
  Index blocks;
  unsigned threads;
  std::size_t shared_bytes;  // dynamic
  bool asked = false;        // for more than 48 KiB of it, static included
  bool must_wait = false;    // every thread begins with wait_for_previous_kernel()
};

class EmulationFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Schedule of the launches that follow. Seed 0: threads and blocks in order of their numbers.
void set_schedule(std::uint64_t seed);

// Runs all blocks of a launch. `kernel` is called once for every thread.
void run(const Launch& launch, const std::function<void()>& kernel);

// How much has run since the program began.
struct Counters {
  std::uint64_t launches = 0, blocks = 0, threads = 0, barriers = 0;
};
Counters counters();

// For kernels, by way of device_emulation.h. The place of the running thread:
struct ThreadPlace {
  Index thread{0, 0, 0}, block{0, 0, 0}, block_size, blocks;
};
const ThreadPlace& place();

void block_barrier(const std::source_location& where);

// All lanes of the warp meet; returns what `lane` handed in. Lanes of the caller's warp only.
std::uint64_t exchange(std::uint64_t value, int lane, const std::source_location& where);
void warp_barrier(const std::source_location& where);

// The first thing that every thread of a launch does that must wait: the device's memory is closed to the
// first one until then, and a thread that ends without it is an EmulationFault.
void wait_for_previous_kernel();

// What the running thread has written is seen by other blocks. A block that counts itself as done must have
// had one in every thread: an EmulationFault otherwise.
void fence();
void require_fences(const std::source_location& where);

// The block's array that is declared at `where`; the same for all its threads.
void* shared_array(std::size_t bytes, const std::source_location& where);
void* dynamic_shared();

}  // namespace dpll::emulation
