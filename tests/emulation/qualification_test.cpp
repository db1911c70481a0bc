// What the program does about GPUs: the program of emulated_engine.cpp, started as a user would start it.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// A tiny run on GPUs that behave as told, with a cache of its own.
class GpuRuns {
 public:
  ProcessResult run(const std::string& gpus, const std::string& name,
                    const std::vector<std::string>& settings = {}, bool resume = false) const {
    return run_process(command(gpus, name, settings, resume));
  }
  std::vector<std::string> command(const std::string& gpus, const std::string& name,
                                   const std::vector<std::string>& settings = {}, bool resume = false) const {
    write_text(
        folder_.file("config.ini"),
        fmt::format(
            "[run]\nthreads = 1\nepochs = 1\nout_dir = {}\ntuning_cache =\n"
            "[data]\ndataset = fashion_mnist\npath = {}\nverify = false\n"
            "[candidates]\nrate = 0.3\n[views]\npolicy = none\nstrong = 1\n"
            "[model]\narchitecture = mlp\nhidden = 8\n[optimiser]\nbatch = 16\n[log]\ncharts = false\n",
            folder_.file("runs"), kFashionFolder));
    std::vector<std::string> command = {
        "/usr/bin/env", "DPLL_EMULATED_GPUS=" + gpus,
        // Sanitizers are slow: only who waits in vain waits briefly.
        fmt::format("DPLL_EMULATED_SILENCE={}", has(gpus, "hangs") ? 20 : 600), "XDG_CACHE_HOME=" + cache_,
        DPLL_ENGINE_EMULATED, folder_.file("config.ini"), "--set", "run.name=" + name};
    for (const std::string& setting : settings) command.insert(command.end(), {"--set", setting});
    if (resume) command.emplace_back("--resume");
    return command;
  }
  std::string log(const std::string& name) const {
    return read_text(folder_.file("runs/" + name + "/train.log"));
  }
  SafetensorsFile model(const std::string& name) const {
    return SafetensorsFile::read(folder_.file("runs/" + name + "/model.safetensors"));
  }
  std::string config(const std::string& name) const {
    return read_text(folder_.file("runs/" + name + "/config.ini"));
  }
  // Processes that qualify a GPU for these runs: told by their environment.
  int qualifying() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const auto text_of = [&](const char* name) {
        std::ifstream file(entry.path() / name, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
      };
      count +=
          has(text_of("cmdline"), std::string("\0qualify", 8)) && has(text_of("environ"), cache_) ? 1 : 0;
    }
    return count;
  }
  void forget() const { std::filesystem::remove_all(cache_); }
  std::size_t remembered() const {
    if (!std::filesystem::exists(cache_ + "/dpll_engine")) return 0;
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(cache_ + "/dpll_engine"), {}));
  }
  void set_cache(const std::string& cache) { cache_ = cache; }

 private:
  TempDir folder_;
  std::string cache_ = folder_.file("cache");
};

// Of what the program printed; empty where there are not so many.
std::string line(const ProcessResult& result, std::size_t index) {
  const std::vector<std::string> lines = lines_of(result.out);
  return index < lines.size() ? lines[index] : "";
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("device = auto: a GPU that shows that it computes right is used, and remembered") {
  const GpuRuns runs;
  const ProcessResult first = runs.run("right", "first");
  CHECK_MESSAGE(first.exit_code == 0, first.err);
  CHECK(has(line(first, 0),
            "device: cuda:0 (Emulated GPU), f16, chosen by device = auto; qualified: 7 golden checks, "));
  CHECK(has(line(first, 0), " convolutions and products, equal bits in "));
  CHECK(count_of(first.out, "warning:") == 0);
  CHECK(has(runs.config("first"), "\ndevice = cuda\n"));
  CHECK(has(runs.config("first"), "\nprecision = f16\n"));
  CHECK(runs.remembered() == 1);

  const ProcessResult second = runs.run("right", "second", {"run.device=cuda"});
  CHECK(second.exit_code == 0);
  CHECK(has(line(second, 0), "device: cuda:0 (Emulated GPU), f16, asked for; qualified: remembered from "));
  // Another network, precision or GPU has to show it anew.
  CHECK(has(line(runs.run("right", "third", {"run.precision=bf16"}), 0), " bf16, chosen by"));
  CHECK(runs.remembered() == 2);

  // Where there are none any more a resumed run does not go on elsewhere by itself.
  const ProcessResult gone = runs.run("", "first", {"run.epochs=2"}, true);
  CHECK(gone.exit_code == 6);
  CHECK(has(
      gone.err,
      "device = cuda: no usable NVIDIA GPU: none is there (the run began on cuda; to go on on the CPU: --set "
      "run.device=cpu --set run.precision=f32)"));
  const ProcessResult moved =
      runs.run("", "first", {"run.epochs=2", "run.device=cpu", "run.precision=f32"}, true);
  CHECK_MESSAGE(moved.exit_code == 0, moved.err);
  CHECK(has(runs.log("first"), "device: cpu, 1 thread"));
}

TEST_CASE(
    "device = auto: a GPU that computes wrong, crashes, hangs or lacks memory is left for the CPU, and said "
    "once") {
  struct BadGpu {
    const char *gpus, *said;
    bool remembered;
  };
  const BadGpu faults[] = {
      {"wrong", " is right: ", true},
      {"changing", "not the same bits in a second run", true},
      {"crashes", "it ended the process: signal 9 (Killed)", false},
      {"loses_context", "ended the GPU's context: an illegal address", false},
      {"hangs", "no end after ", false},
      {"no_memory", "not enough GPU memory", false},
      {"busy", "all CUDA-capable devices are busy or unavailable", false},
  };
  for (const BadGpu& fault : faults) {
    CAPTURE(std::string(fault.gpus));
    const GpuRuns runs;
    const ProcessResult result = runs.run(fault.gpus, "run");
    CAPTURE(result.out);
    CHECK_MESSAGE(result.exit_code == 0, result.err);
    CHECK(has(line(result, 0), "device: cpu, 1 thread, instruction set "));
    CHECK(
        has(line(result, 1), "warning: cuda:0 (Emulated GPU) is not used, training continues on the CPU: "));
    CHECK(has(line(result, 1), fault.said));
    CHECK(has(line(result, 1), "; dpll_engine selftest --device cuda:0 CONFIG shows more"));
    CHECK(count_of(result.out, "warning:") == 1);
    CHECK(has(runs.config("run"), "\ndevice = cpu\n"));
    CHECK(runs.remembered() == (fault.remembered ? 1 : 0));
    if (std::string(fault.gpus) == "hangs") continue;  // once is long enough

    // Whoever insists gets no other device.
    const ProcessResult insisted = runs.run(fault.gpus, "insisted", {"run.device=cuda"});
    CHECK(insisted.exit_code == 6);
    CHECK(has(insisted.err, "device = cuda: cuda:0 (Emulated GPU) "));
    CHECK(has(insisted.err, fault.said));
    CHECK(count_of(insisted.err, "\n") == 1);
  }
}

TEST_CASE("device = auto: no GPU, one that is too old, and a precision that the CPU does not have") {
  const GpuRuns runs;
  const ProcessResult none = runs.run("", "none");
  CHECK(none.exit_code == 0);
  CHECK(has(line(none, 0), "device: cpu, 1 thread, instruction set "));
  CHECK(has(line(none, 0), " (no usable NVIDIA GPU: none is there)"));
  const ProcessResult old = runs.run("old", "old");
  CHECK(has(line(old, 0), " (Emulated GPU is sm_75, sm_80 is the oldest that is supported)"));
  CHECK(count_of(none.out + old.out, "warning:") == 0);
  const ProcessResult f16 = runs.run("", "f16", {"run.precision=f16"});
  CHECK(f16.exit_code == 6);
  CHECK(has(f16.err,
            "precision = f16 is for a GPU, and no usable NVIDIA GPU: none is there; --set run.precision=f32 "
            "trains"));
  CHECK(runs.run("old", "insists", {"run.device=cuda"}).exit_code == 6);
}

TEST_CASE("device: one of several GPUs by its number, or that with the most free memory") {
  const GpuRuns runs;
  CHECK(has(runs.run("right,right", "most").out, "device: cuda:1 (Emulated GPU)"));
  CHECK(has(runs.run("right,busy", "free").out, "device: cuda:0 (Emulated GPU)"));
  CHECK(has(runs.run("right,right", "named", {"run.device=cuda:0"}).out,
            "device: cuda:0 (Emulated GPU), f16, asked for"));
  CHECK(has(runs.config("named"), "\ndevice = cuda:0\n"));
  const ProcessResult missing = runs.run("right,right", "missing", {"run.device=cuda:2"});
  CHECK(missing.exit_code == 6);
  CHECK(has(missing.err, "there is no GPU 2; they are counted from 0, and 2 are visible"));
}

TEST_CASE("device = auto: a wrong engine beside a right one is left out, said, and the GPU used") {
  GpuRuns runs;
  const ProcessResult result = runs.run("wrong_engine", "run");
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  CHECK(has(result.out, "device: cuda:0 (Emulated GPU)"));
  CHECK(has(result.out, "'first' is left out: "));
  // A cache that cannot be written to: the GPU shows it each time, which is said.
  runs.set_cache("/dev/null/cache");
  const ProcessResult readonly = runs.run("right", "readonly");
  CHECK(readonly.exit_code == 0);
  CHECK(count_of(readonly.out, "warning: the result of the GPU test is not stored: ") == 1);
}

TEST_CASE("device = auto: whoever is stopped while the GPU qualifies takes the other process along") {
  const GpuRuns runs;
  Child engine(runs.command("hangs", "run"), {});
  for (int i = 0; i < 200 && runs.qualifying() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  REQUIRE(runs.qualifying() > 0);
  engine.signal(SIGTERM);
  const ProcessResult stopped = engine.wait();
  CHECK(stopped.exit_code == 128 + SIGTERM);
  CHECK(has(stopped.out, "stopped by SIGTERM before the first step; the same command begins it again"));
  for (int i = 0; i < 200 && runs.qualifying() > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(runs.qualifying() == 0);
  CHECK(runs.remembered() == 0);
}

// Seven units are eight in the GPU's memory.
TEST_CASE("device = cuda: a run that a GPU began goes on on the CPU, and the reverse, whatever is padded") {
  const GpuRuns runs;
  const std::vector<std::string> gpu = {"run.device=cuda", "run.precision=f16", "run.qualify=false"},
                                 cpu = {"run.device=cpu", "run.precision=f32"};
  for (const bool gpu_first : {true, false}) {
    CAPTURE(gpu_first);
    const std::string name = gpu_first ? "gpu-cpu" : "cpu-gpu";
    for (const bool second : {false, true}) {
      std::vector<std::string> settings = gpu_first != second ? gpu : cpu;
      settings.insert(settings.end(), {"model.hidden=7", fmt::format("run.epochs={}", second ? 2 : 1)});
      const ProcessResult done = runs.run("right", name, settings, second);
      CHECK_MESSAGE(done.exit_code == 0, done.err);
    }
    CHECK(has(runs.log(name), "MLP-7: 5589 parameters"));
    CHECK(has(runs.log(name), "going on from epoch 2"));
    const SafetensorsFile model = runs.model(name);
    CHECK(model.entry("hidden.0.linear.weight").shape == std::vector<std::int64_t>{7, 784});
    CHECK(model.entry("hidden.0.bn.running_var").shape == std::vector<std::int64_t>{7});
    CHECK(model.entry("last.weight").shape == std::vector<std::int64_t>{10, 7});
  }
}

TEST_CASE("selftest on an emulated GPU that computes wrong: every check says so, to the end") {
  const GpuRuns runs;
  std::vector<std::string> command = runs.command("wrong", "unused");
  const auto config = std::find_if(command.begin(), command.end(),
                                   [](const std::string& word) { return word.ends_with("config.ini"); });
  command.insert(config, {"selftest", "--device", "cuda:0", "--precision", "f16"});
  const ProcessResult result = run_process(command);
  CAPTURE(result.out);
  CHECK(result.exit_code == 1);
  CHECK(has(result.out, "\nfailed   operations: "));
  CHECK(has(result.out, "\nfailed   repeat: "));
  CHECK(has(result.out, "\nfailed   network: "));
  CHECK(has(result.out, "\n0 passed, 4 failed, 0 skipped\n"));
}
