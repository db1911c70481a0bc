// The emulated runtime is as strict as a GPU's: its memory is out of the host's reach, and a capture runs
// nothing and refuses what would break a graph.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <vector>

#include "emulation/device_memory.h"
#include "emulation/emulated_backend.h"
#include "emulation/emulator.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// Which signal ends a process that does this, or 0.
int signal_of(const std::function<void()>& action) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    action();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

std::string fault_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const emulation::EmulationFault& fault) {
    return fault.what();
  }
  return "";
}

StepState state_in(Backend& backend, const Buffer& buffer) {
  StepState state;
  backend.copy_out(&state, buffer.tensor(DType::u8, {sizeof(StepState)}));
  return state;
}

}  // namespace

TEST_CASE("emulated runtime: the host cannot touch the device's memory") {
  const std::unique_ptr<Backend> backend = make_emulated_cuda_backend(DType::f32);
  CHECK(!backend->host_addressable());
  const Buffer buffer = backend->allocate(3 * sizeof(float), "a test"),
               other = backend->allocate(1, "a test");
  const Tensor tensor = buffer.tensor(DType::f32, {3});
  const std::vector<float> values = {1, 2, 3};
  backend->copy_in(tensor, values.data());
  std::vector<float> read(3);
  backend->copy_out(read.data(), tensor);
  CHECK(read == values);
  volatile float* const data = tensor.as<float>();
  CHECK(signal_of([&] { static_cast<void>(data[0]); }) == SIGSEGV);
  CHECK(signal_of([&] { data[2] = 1; }) == SIGSEGV);
  CHECK(signal_of([&] { *static_cast<volatile char*>(other.data()) = 1; }) == SIGSEGV);
  CHECK(signal_of([&] {
          const emulation::DeviceAccess access;
          data[2] = 1;
        }) == 0);
  backend->fill_zero(tensor);
  backend->copy_out(read.data(), tensor);
  CHECK(read == std::vector<float>(3, 0.0F));
  CHECK(signal_of([&] { static_cast<void>(data[0]); }) == SIGSEGV);
}

TEST_CASE("emulated runtime: a capture runs nothing, a replay what was captured") {
  const std::unique_ptr<Backend> backend = make_emulated_cuda_backend(DType::f32);
  const Buffer step = backend->allocate(sizeof(StepState), "a test's step");
  int called = 0;
  const std::function<void()> replay = backend->record([&] {
    ++called;
    backend->advance({.step = static_cast<StepState*>(step.data()), .batch = 10 * called});
  });
  CHECK(called == 1);
  CHECK(state_in(*backend, step).position == 0);
  for (int i = 0; i < 3; ++i) replay();
  CHECK(called == 1);
  CHECK(state_in(*backend, step).position == 3);
  CHECK(state_in(*backend, step).first == 30);
  const std::function<void()> clear =
      backend->record([&] { backend->fill_zero(step.tensor(DType::u8, {sizeof(StepState)})); });
  CHECK(state_in(*backend, step).position == 3);
  clear();
  CHECK(state_in(*backend, step).position == 0);
}

TEST_CASE("emulated runtime: a capture refuses what breaks a graph and names it") {
  const std::unique_ptr<Backend> backend = make_emulated_cuda_backend(DType::f32);
  Buffer buffer = backend->allocate(sizeof(StepState), "a test");
  const Tensor tensor = buffer.tensor(DType::u8, {sizeof(StepState)});
  const std::unique_ptr<Readback> readback = backend->make_readback(sizeof(StepState));
  StepState state;
  const auto fault = [&](const std::function<void()>& sequence) {
    return fault_of([&] { static_cast<void>(backend->record(sequence)); });
  };
  const std::string rest = " during the capture of a sequence";
  CHECK(fault([&] { static_cast<void>(backend->allocate(1, "a test")); }) == "an allocation" + rest);
  CHECK(fault([&] { static_cast<void>(backend->make_readback(1)); }) == "an allocation" + rest);
  CHECK(fault([&] { backend->copy_in(tensor, &state); }) == "a copy from the host" + rest);
  CHECK(fault([&] { backend->copy_out(&state, tensor); }) == "a copy to the host" + rest);
  CHECK(fault([&] { backend->synchronize(); }) == "waiting for the device" + rest);
  CHECK(fault([&] { readback->start(tensor); }) == "starting to read back" + rest);
  CHECK(fault([&] { static_cast<void>(readback->wait()); }) == "waiting to read back" + rest);
  CHECK(fault([&] { static_cast<void>(backend->record([] {})); }) == "record" + rest);
  CHECK(fault([&] { backend->fill_zero(tensor); }) == "");
  CHECK(fault([&] { buffer = Buffer(); }) == "a release of memory" + rest);
  // And everything works on.
  buffer = backend->allocate(sizeof(StepState), "a test");
  CHECK(state_in(*backend, buffer).position == 0);
}
