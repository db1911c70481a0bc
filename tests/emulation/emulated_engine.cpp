// The whole program with made-up GPUs behind its port, for tests alone: its kernels run on the emulator, and
// the environment variable DPLL_EMULATED_GPUS says how each GPU behaves, one word each, separated by commas:
//   right          computes right
//   wrong_engine   so, but the library's first engine for convolutions and products computes wrong
//   wrong          every engine computes wrong
//   changing       other bits in every run
//   crashes        running an engine ends the process
//   loses_context  running an engine ends the GPU's context
//   hangs          running an engine never returns
//   no_memory      64 KiB of memory
//   busy           lets nobody in
//   old            sm_75
// Nothing: there is no GPU. DPLL_EMULATED_FAULT: at which of the calls of a GPU it fails (faulty_runtime.h).
// DPLL_EMULATED_SILENCE: seconds after which one that says nothing is given up.
#include <cstdlib>
#include <sstream>

#include "backend/cuda/cuda_backend.h"
#include "backend/gpu_port.h"
#include "cli/commands.h"
#include "dpll/core/check.h"
#include "emulation/faulty_runtime.h"
#include "emulation/made_up_nccl.h"
#include "emulation/reference_library.h"
#include "train/qualification.h"

namespace dpll {
namespace {

using emulated_cuda::Behaviour;
using emulated_cuda::LoopOffer;

std::vector<std::string> words_of(const char* name) {
  std::vector<std::string> words;
  const char* const text = std::getenv(name);
  std::istringstream in(text == nullptr ? "" : text);
  for (std::string word; std::getline(in, word, ',');) words.push_back(word);
  return words;
}

std::vector<LoopOffer> ways_of(const std::string& behaviour) {
  const LoopOffer right = {.name = "loops"};
  if (behaviour == "wrong_engine") return {{.name = "first", .behaviour = Behaviour::wrong}, right};
  if (behaviour == "wrong") return {{.name = "loops", .behaviour = Behaviour::wrong}};
  if (behaviour == "changing") return {{.name = "loops", .behaviour = Behaviour::different_each_run}};
  if (behaviour == "crashes") return {{.name = "loops", .behaviour = Behaviour::kills}};
  if (behaviour == "loses_context") return {{.name = "loops", .behaviour = Behaviour::ends_context}};
  if (behaviour == "hangs") return {{.name = "loops", .behaviour = Behaviour::hangs}};
  return {right};
}

class EmulatedPort final : public GpuPort {
 public:
  std::vector<GpuFacts> list() override {
    if (behaviours_.empty()) fail(ExitCode::device, "no usable NVIDIA GPU: none is there");
    std::vector<GpuFacts> gpus;
    for (const std::string& behaviour : behaviours_) {
      const int index = static_cast<int>(gpus.size());
      const bool old = behaviour == "old";
      gpus.push_back({.index = index,
                      .name = "Emulated GPU",
                      .uuid = std::to_string(index) + behaviour,
                      .architecture = old ? 75 : 90,
                      .supported = !old});
    }
    return gpus;
  }
  std::string libraries() override { return "plain loops"; }
  // The later, the more.
  std::size_t free_bytes(int index) override {
    if (behaviour(index) == "busy") fail_busy();
    return memory_of(index) + static_cast<std::size_t>(index);
  }
  std::unique_ptr<Backend> make(const GpuOptions& options) override {
    if (behaviour(options.index) == "busy") fail_busy();
    const char* const fault = std::getenv("DPLL_EMULATED_FAULT");
    return emulated_cuda::make_backend(
        std::make_unique<emulated_cuda::FaultyRuntime>(
            emulated_cuda::make_emulated_runtime(memory_of(options.index)),
            emulated_cuda::GpuFault::parse(fault == nullptr ? "" : fault)),
        emulated_cuda::make_reference_library(ways_of(behaviour(options.index))), options.compute,
        {.enabled = options.tuning,
         .prove = true,
         .deterministic = options.deterministic,
         .tf32 = options.tf32,
         .seconds = options.tuning_seconds,
         .identity = "emulated",
         .cache_folder = options.tuning_cache,
         .known_choices = options.choices,
         .timed_runs = 1,
         .warn = options.warn,
         .progress = options.progress},
        [](Ranks& ranks) { return emulated_cuda::make_emulated_collectives(ranks); });
  }

 private:
  [[noreturn]] static void fail_busy() {
    fail(ExitCode::device,
         "the GPU failed at selecting it: all CUDA-capable devices are busy or unavailable");
  }
  const std::string& behaviour(int index) const {
    if (index < 0 || index >= static_cast<int>(behaviours_.size())) {
      fail(ExitCode::device, "device = cuda:{}: there are {} GPUs", index, behaviours_.size());
    }
    return behaviours_[static_cast<std::size_t>(index)];
  }
  std::size_t memory_of(int index) const {
    return behaviour(index) == "no_memory" ? std::size_t{1} << 16 : std::size_t{1} << 30;
  }

  std::vector<std::string> behaviours_ = words_of("DPLL_EMULATED_GPUS");
};

}  // namespace
}  // namespace dpll

int main(int argc, char** argv) {
  dpll::EmulatedPort port;
  dpll::set_gpu_port(&port);
  const char* const silence = std::getenv("DPLL_EMULATED_SILENCE");
  if (silence != nullptr) dpll::qualification_limits().silence = std::atof(silence);
  return dpll::run_command_line(argc, argv);
}
