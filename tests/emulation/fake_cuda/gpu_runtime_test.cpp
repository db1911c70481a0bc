// What the GPU's runtime says when something is missing or fails, against a GPU that does as it is told; and
// what is said of the libraries that are opened at run time.
#include "backend/cuda/gpu/runtime.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "backend/cuda/vendor/libraries.h"
#include "dpll/core/check.h"
#include "emulation/fake_cuda/cuda_runtime_api.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace dpll::fake_cuda {
[[noreturn]] void throw_launch_error(const char* kernel, int error);
}

using namespace dpll;
using namespace dpll::test;
using namespace dpll::fake_cuda;

namespace {

// A GPU as it should be, again at the end.
struct Healthy {
  Healthy() { fake_gpu() = FakeGpu{}; }
  ~Healthy() { fake_gpu() = FakeGpu{}; }
};

// One line, exit code 6, with all of `parts`.
void check_refused(const std::function<void()>& action, const std::vector<std::string>& parts) {
  const Error error = error_of(action);
  const std::string text = error.what();
  CAPTURE(text);
  CHECK(error.code() == ExitCode::device);
  CHECK(text.find('\n') == std::string::npos);
  for (const std::string& part : parts) CHECK_MESSAGE(text.find(part) != std::string::npos, part);
}

void check_no_gpu(const std::vector<std::string>& parts) {
  check_refused([] { static_cast<void>(make_gpu_runtime(0)); }, parts);
  // One that is too old is listed.
  if (fake_gpu().count_error == cudaSuccess && fake_gpu().count > 0) {
    CHECK_FALSE(fake_cuda::list_gpus().front().supported);
  } else {
    check_refused([] { static_cast<void>(fake_cuda::list_gpus()); }, parts);
  }
}

}  // namespace

TEST_CASE("gpu runtime: no driver, an old one, no GPU and one that is too old are told apart") {
  const Healthy healthy;
  CHECK(make_gpu_runtime(0)->description() == "Fake GPU, sm_90, CUDA 13.0");
  const std::vector<GpuFacts> gpus = fake_cuda::list_gpus();
  REQUIRE(gpus.size() == 1);
  CHECK(gpus[0].name == "Fake GPU");
  CHECK(gpus[0].uuid == "8f2c0001000000000000000000000000");
  CHECK(gpus[0].architecture == 90);
  CHECK(gpus[0].supported);
  fake_gpu().count_error = cudaErrorInsufficientDriver;
  fake_gpu().driver = 0;
  check_no_gpu(
      {"no usable NVIDIA GPU", "driver for CUDA none, this program needs 13.0", "device = cpu works"});
  fake_gpu().driver = 11040;
  check_no_gpu({"driver for CUDA 11.4, this program needs 13.0"});
  fake_gpu().driver = 13000;
  fake_gpu().count_error = cudaErrorNoDevice;
  check_no_gpu({"no CUDA-capable device is detected"});
  fake_gpu().count_error = cudaSuccess;
  fake_gpu().count = 0;
  check_no_gpu({"no usable NVIDIA GPU: none is there"});
  fake_gpu() = FakeGpu{.major = 7, .minor = 5};
  check_no_gpu({"Fake GPU is sm_75, sm_80 is the oldest"});
  fake_gpu() = FakeGpu{};
  check_refused([] { static_cast<void>(make_gpu_runtime(1)); },
                {"device = cuda:1: there is 1 GPU, counted from 0"});
}

TEST_CASE("gpu runtime: memory that is not there is the caller's to report and leaves no error behind") {
  const Healthy healthy;
  {
    const auto runtime = make_gpu_runtime(0);
    void* const most = runtime->allocate(fake_gpu().memory - 100);
    CHECK(most != nullptr);
    CHECK(runtime->free_bytes() == 100);
    CHECK(runtime->allocate(101) == nullptr);
    CHECK(cudaGetLastError() == cudaSuccess);  // else the next launch would be blamed
    runtime->release(most);
    CHECK(runtime->free_bytes() == fake_gpu().memory);
  }
  CHECK(fake_gpu().allocated.empty());
}

TEST_CASE("gpu runtime: a launch that is refused names the kernel") {
  check_refused([] { throw_launch_error("sgd update", cudaErrorInvalidConfiguration); },
                {"the GPU refused kernel sgd update: invalid configuration argument"});
}

TEST_CASE(
    "gpu runtime: a GPU that is lost is an error of whatever comes next, and checkpoints are mentioned") {
  const Healthy healthy;
  const auto runtime = make_gpu_runtime(0);
  const auto readback = runtime->make_readback(4);
  const std::function<void()> replay = runtime->record([] {});
  void* const data = runtime->allocate(4);
  std::array<char, 4> host = {};
  const Tensor tensor{data, DType::u8, {4}};
  fake_gpu().failing = "all";
  const std::vector<std::string> parts = {"the GPU failed at ", ": unspecified launch failure",
                                          "checkpoints written so far are complete"};
  check_refused([&] { runtime->copy_in(data, host.data(), 4); }, parts);
  check_refused([&] { runtime->copy_out(host.data(), data, 4); }, parts);
  check_refused([&] { runtime->copy(data, data, 4); }, parts);
  check_refused([&] { runtime->fill_zero(data, 4); }, parts);
  check_refused([&] { runtime->synchronize(); }, parts);
  check_refused([&] { readback->start(tensor); }, parts);
  check_refused([&] { static_cast<void>(readback->wait()); }, parts);
  check_refused([&] { static_cast<void>(runtime->make_readback(4)); }, parts);
  check_refused([&] { static_cast<void>(runtime->free_bytes()); }, parts);
  check_refused([&] { static_cast<void>(runtime->milliseconds([] {})); }, parts);
  check_refused([&] { static_cast<void>(runtime->record([] {})); }, parts);
  check_refused([&] { replay(); }, parts);
  runtime->release(data);  // and destructors say nothing
}

TEST_CASE("gpu runtime: with other ranks the host asks until the work is done, and can give up") {
  const Healthy healthy;
  const auto runtime = make_gpu_runtime(0);
  const auto readback = runtime->make_readback(4);
  char bytes[4] = {};
  readback->start({bytes, DType::u8, {4}});
  int asked = 0;
  runtime->wait_by([&](const std::function<bool()>& done) {
    while (!done()) {
      if (++asked > 5) fail(ExitCode::device, "rank 1 is gone");
    }
  });
  fake_gpu().not_ready = 3;
  runtime->synchronize();
  CHECK(asked == 3);
  fake_gpu().not_ready = 1;
  static_cast<void>(readback->wait());
  CHECK(asked == 4);
  CHECK(cudaGetLastError() == cudaSuccess);
  fake_gpu().not_ready = 9;
  check_refused([&] { runtime->synchronize(); }, {"rank 1 is gone"});
  fake_gpu().not_ready = 0;
  fake_gpu().failing = "cudaStreamQuery";
  check_refused([&] { runtime->synchronize(); }, {"the GPU failed at waiting for its work"});
}

TEST_CASE("gpu runtime: what has been abandoned gives nothing back and waits for nothing") {
  const Healthy healthy;
  for (const bool abandoned : {false, true}) {
    auto runtime = make_gpu_runtime(0);
    std::function<void()> replay = runtime->record([] {});
    void* const data = runtime->allocate(16);
    const int graphs = fake_gpu().graphs;
    if (abandoned) runtime->abandon();
    replay = nullptr;
    runtime->release(data);
    runtime.reset();
    CHECK(fake_gpu().graphs == graphs - (abandoned ? 0 : 1));
    CHECK(fake_gpu().allocated.count(data) == (abandoned ? 1U : 0U));
    if (abandoned) cudaFree(data);
  }
}

TEST_CASE("gpu runtime: an error is taken back, and one that ends the context is told apart") {
  const Healthy healthy;
  const auto runtime = make_gpu_runtime(0);
  char byte = 0;
  const auto ends_context = [&](const std::function<void()>& action) {
    try {
      action();
    } catch (const ContextLost&) {
      return true;
    } catch (const Error&) {
      return false;
    }
    FAIL("nothing failed");
    return false;
  };
  for (const std::pair<const cudaError_t, bool>& expected :
       std::map<cudaError_t, bool>{{cudaErrorInvalidConfiguration, false},
                                   {cudaErrorMemoryAllocation, false},
                                   {cudaErrorIllegalAddress, true},
                                   {cudaErrorLaunchTimeout, true},
                                   {cudaErrorLaunchFailure, true}}) {
    const cudaError_t error = expected.first;
    const bool ends = expected.second;
    CAPTURE(static_cast<int>(error));
    fake_gpu().error = error;
    fake_gpu().failing = "cudaMemcpyAsync";
    CHECK(ends_context([&] { runtime->copy_in(&byte, &byte, 1); }) == ends);
    CHECK(cudaGetLastError() == cudaSuccess);
    fake_gpu().last_error = error;
    CHECK(ends_context([&] { throw_launch_error("sgd", error); }) == ends);
    CHECK(cudaGetLastError() == cudaSuccess);
    // What ends a capture may say so again when the capture is left.
    fake_gpu().failing = "cudaStreamEndCapture";
    check_refused(
        [&] { static_cast<void>(runtime->record([] { fail(ExitCode::device, "in the middle"); })); },
        {"in the middle"});
    CHECK(cudaGetLastError() == cudaSuccess);
  }
}

TEST_CASE("gpu runtime: a sequence that fails while it is captured ends the capture and leaves no graph") {
  const Healthy healthy;
  {
    const auto runtime = make_gpu_runtime(0);
    check_refused(
        [&] { static_cast<void>(runtime->record([] { fail(ExitCode::device, "in the middle"); })); },
        {"in the middle"});
    CHECK(!fake_gpu().capturing);
    CHECK(fake_gpu().graphs == 0);
    fake_gpu().failing = "cudaGraphInstantiate";
    check_refused([&] { static_cast<void>(runtime->record([] {})); }, {"making a graph of a step"});
    CHECK(fake_gpu().graphs == 0);
    fake_gpu().failing.clear();
    const std::function<void()> replay = runtime->record([] {});
    replay();
    CHECK(fake_gpu().graphs == 1);
  }
  CHECK(fake_gpu().graphs == 0);
}

TEST_CASE("gpu runtime: graphs are written where DPLL_GRAPHS says, and training goes on where that fails") {
  const Healthy healthy;
  const auto runtime = make_gpu_runtime(0);
  static_cast<void>(runtime->record([] {}));
  CHECK(fake_gpu().printed.empty());
  setenv("DPLL_GRAPHS", "/some/folder", 1);
  static_cast<void>(runtime->record([] {}));
  static_cast<void>(runtime->record([] {}));
  REQUIRE(fake_gpu().printed.size() == 2);
  for (const auto& [path, flags] : fake_gpu().printed) {
    CHECK(path.starts_with("/some/folder/graph-"));
    CHECK(path.ends_with(".dot"));
    CHECK(flags == cudaGraphDebugDotFlagsVerbose);
  }
  CHECK(fake_gpu().printed[0].first != fake_gpu().printed[1].first);
  fake_gpu().failing = "cudaGraphDebugDotPrint";
  const std::function<void()> replay = runtime->record([] {});
  unsetenv("DPLL_GRAPHS");
  CHECK(cudaGetLastError() == cudaSuccess);
  replay();
}

TEST_CASE("vendor libraries: those of the python3 on the PATH are looked for, without following its link") {
  const TempDir folder;
  namespace fs = std::filesystem;
  const std::string lib = folder.file("env/lib/python3.12/site-packages/nvidia/cudnn/lib");
  fs::create_directories(lib);
  fs::create_directories(folder.file("env/bin"));
  fs::create_directories(folder.file("usr/bin"));
  std::ofstream(folder.file("usr/bin/real")) << "#!/bin/sh\n";
  fs::create_symlink(folder.file("usr/bin/real"), folder.file("env/bin/python3"));
  const char* const path = std::getenv("PATH");
  const std::string before = path == nullptr ? "" : path;
  REQUIRE(setenv("PATH", (folder.file("none") + ":" + folder.file("env/bin") + ":" + before).c_str(), 1) ==
          0);
  const std::vector<std::string> folders = library_folders();
  check_refused([] { open_library("cuDNN 9", {"libdpll_no_such.so.9"}); },
                {"found no libdpll_no_such.so.9 by the loader or in ", lib});
  REQUIRE(setenv("PATH", before.c_str(), 1) == 0);
  CHECK(std::find(folders.begin(), folders.end(), lib) != folders.end());
}

TEST_CASE("vendor libraries: missing, damaged, without a function and of another version are told apart") {
  check_refused([] { open_library("cuDNN 9", {"libdpll_no_such.so.9"}); },
                {"device = cuda needs cuDNN 9: found no libdpll_no_such.so.9", "DPLL_CUDA_LIBRARIES"});
  const TempDir folder;
  std::ofstream(folder.file("libdpll_damaged.so.9")) << "no library";
  REQUIRE(setenv("DPLL_CUDA_LIBRARIES", folder.path().c_str(), 1) == 0);
  check_refused([] { open_library("cuDNN 9", {"libdpll_damaged.so.9"}); },
                {"device = cuda needs cuDNN 9: ", folder.file("libdpll_damaged.so.9")});
  REQUIRE(unsetenv("DPLL_CUDA_LIBRARIES") == 0);

  const SharedLibrary libc = open_library("the C library", {"libc.so.6"});
  void (*function)() = nullptr;
  libc.load(function, "abs");
  CHECK((function != nullptr));
  check_refused([&] { libc.load(function, "cudnnNoSuchFunction"); },
                {"libc.so.6 has no function cudnnNoSuchFunction: it is too old or damaged"});
  check_refused(
      [&] {
        require_version("cuDNN", libc, {8, 9, 7}, {9, 0, 0});
      },
      {"cuDNN 8.9.7 (libc.so.6) is too old: this program needs 9.0.0 or newer, below 10"});
  check_refused([&] { require_version("cuDNN", libc, {10, 0, 0}, {9, 0, 0}); }, {"10.0.0", "is too new"});
  require_version("cuDNN", libc, {9, 19, 0}, {9, 0, 0});
}
