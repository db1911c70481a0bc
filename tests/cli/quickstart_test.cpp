// What tools/quickstart builds on a machine with an NVIDIA GPU, and what it says is missing: programs of the
// same names stand in for the driver's, CUDA's and our own.
#include "cli/engine_runs.h"
#include "cli/machine.h"

using namespace dpll::test;

namespace {

// A tree whose tools/build makes a program that says how it was called.
class Quickstart {
 public:
  Quickstart() {
    machine_.link("chmod");
    make_folder("tree/tools");
    make_folder("root");
    for (const char* name : {"quickstart", "find_cuda"}) {
      std::filesystem::copy_file(kTools + name, file("tree/tools/") + name);
    }
    script("tree/tools/install_deps", "exit 0");
    script("tree/tools/build",
           "echo \"build $3 with nvcc ${CUDACXX:-}, cuDNN ${CUDNN_PATH:-}\"\n"
           "[ ! -e fails ] || exit 1\n"
           "mkdir -p \"$2/$3\"\n"
           "printf '#!/bin/sh\\necho \"train $0 $*\"\\n' >\"$2/$3/dpll_engine\"\n"
           "chmod +x \"$2/$3/dpll_engine\"");
  }

  std::string file(const std::string& name) const { return machine_.file(name); }
  void make_folder(const std::string& name) const { std::filesystem::create_directories(file(name)); }
  void script(const std::string& name, const std::string& body) const {
    make_folder(std::filesystem::path(name).parent_path());
    write_text(file(name), "#!/bin/sh\n" + body + "\n");
    std::filesystem::permissions(file(name), std::filesystem::perms::owner_all);
  }
  void add_gpu(const std::string& cuda = "13.0") {
    machine_.script("nvidia-smi",
                    "if [ \"${1:-}\" = -L ]; then echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)'; else\n"
                    "echo '| NVIDIA-SMI 580.1   Driver Version: 580.1   CUDA Version: " +
                        cuda + "  |'; fi");
  }
  // `compiles`: what it does when it is to compile.
  void add_nvcc(const std::string& name, const std::string& version,
                const std::string& compiles = "exit 0") const {
    script(name, "[ \"${1:-}\" = --version ] || { " + compiles +
                     "; }\n"
                     "echo 'Cuda compilation tools, release " +
                     version + ", V" + version + ".88'");
  }
  void add_cudnn(const std::string& folder) const {
    make_folder(folder);
    write_text(file(folder + "/cudnn_graph.h"), "");
    write_text(file(folder + "/cudnn_version.h"), "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 19\n");
  }
  ProcessResult run(const std::vector<std::string>& arguments = {},
                    const std::vector<std::string>& environment = {}) const {
    std::vector<std::string> command = {file("tree/tools/quickstart")};
    command.insert(command.end(), arguments.begin(), arguments.end());
    std::vector<std::string> variables = {"FIND_CUDA_ROOT=" + file("root")};
    variables.insert(variables.end(), environment.begin(), environment.end());
    return machine_.run(command, variables);
  }
  Machine& machine() { return machine_; }

 private:
  Machine machine_;
};

const std::string kTrainsOnCpu =
    "train build/release/dpll_engine configs/quickstart.ini --set run.resume=auto";
const std::string kTrainsOnGpu = "train build/cuda/dpll_engine configs/quickstart.ini --set run.resume=auto";

}  // namespace

TEST_CASE("tools/quickstart: without a GPU it builds for the CPU and has nothing to say about CUDA") {
  Quickstart quickstart;
  const std::vector<std::string> expected = {"build release with nvcc , cuDNN ", kTrainsOnCpu};
  CHECK(lines_of(quickstart.run().out) == expected);
  // A driver without its GPU, and a toolkit.
  quickstart.machine().script("nvidia-smi", "echo 'No devices were found'; exit 6");
  quickstart.add_nvcc("bin/nvcc", "13.0");
  CHECK(lines_of(quickstart.run().out) == expected);
}

TEST_CASE("tools/quickstart: on a machine with a GPU, nvcc and cuDNN it builds and trains for it") {
  Quickstart quickstart;
  quickstart.add_gpu();
  quickstart.add_nvcc("root/usr/local/cuda/bin/nvcc", "13.0");
  quickstart.add_cudnn("root/usr/include/x86_64-linux-gnu");
  const ProcessResult result = quickstart.run({"--set", "run.epochs=2"});
  require_done(result);
  const std::vector<std::string> expected = {
      "NVIDIA H200; nvcc 13.0 and cuDNN 9.19: building with the CUDA backend",
      "build cuda with nvcc " + quickstart.file("root/usr/local/cuda/bin/nvcc") + ", cuDNN ",
      kTrainsOnGpu + " --set run.epochs=2"};
  CHECK(lines_of(result.out) == expected);
  CHECK(lines_of(quickstart.run({"--cpu"}).out).back() == kTrainsOnCpu);

  write_text(quickstart.file("tree/fails"), "");
  const ProcessResult failed = quickstart.run();
  CHECK(failed.exit_code == 1);
  CHECK(has(failed.err, "tools/quickstart --cpu does without the CUDA backend"));
}

TEST_CASE("tools/quickstart: takes nvcc and cuDNN from the wheels of a Python environment") {
  Quickstart quickstart;
  quickstart.add_gpu();
  const std::string wheels = "my environment/lib/python3.11/site-packages/nvidia/";
  quickstart.add_nvcc(wheels + "cu13/bin/nvcc", "13.0");
  quickstart.add_cudnn(wheels + "cudnn/include");
  const std::string build = "build cuda with nvcc " + quickstart.file(wheels + "cu13/bin/nvcc") + ", cuDNN " +
                            quickstart.file(wheels + "cudnn");
  CHECK(has(quickstart.run({}, {"VIRTUAL_ENV=" + quickstart.file("my environment")}).out, build));
  // The environment of the python3 on the PATH: here bin/ beside lib/.
  std::filesystem::rename(quickstart.file("my environment/lib"), quickstart.file("lib"));
  CHECK(has(quickstart.run().out, "building with the CUDA backend") == false);
  quickstart.machine().script("python3", "exit 0");
  CHECK(has(quickstart.run().out, "building with the CUDA backend"));
}

TEST_CASE("tools/quickstart: a GPU without nvcc and cuDNN is named with what brings them, the CPU trains") {
  Quickstart quickstart;
  quickstart.add_gpu();
  const ProcessResult result = quickstart.run();
  require_done(result);
  const std::vector<std::string> lines = lines_of(result.out);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == "NVIDIA H200, but no nvcc 12 or newer and no headers of cuDNN 9: training on the CPU");
  CHECK(lines[1] ==
        "what brings it: pip install 'cuda-toolkit[nvcc,cudart,cccl,cublas,nvtx]==13.*' nvidia-cudnn-cu13, "
        "in an active Python environment; or apt-get install cuda-toolkit-13-0 cudnn9-cuda-13, with NVIDIA's "
        "package repository for Debian and Ubuntu");
  CHECK(lines[3] == kTrainsOnCpu);
}

TEST_CASE("tools/quickstart: an nvcc that is too old or cannot compile here is named") {
  Quickstart quickstart;
  quickstart.add_gpu();
  quickstart.add_cudnn("root/usr/include");
  quickstart.add_nvcc("bin/nvcc", "11.8");
  quickstart.add_nvcc("root/usr/local/cuda/bin/nvcc", "12.0",
                      "echo 'x.h: error: -- unsupported GNU version!'; exit 1");
  const ProcessResult result = quickstart.run();
  require_done(result);
  CHECK(has(result.out, "no nvcc 12 or newer (" + quickstart.file("bin/nvcc") + " is 11.8; "));
  CHECK(has(result.out, "cuda/bin/nvcc cannot build a program: x.h: error: -- unsupported GNU version!)"));
  CHECK_FALSE(has(result.out, "cudnn"));
  CHECK(has(result.out, kTrainsOnCpu));
}

TEST_CASE("tools/quickstart: what is named fits the driver's and nvcc's CUDA") {
  Quickstart quickstart;
  quickstart.add_gpu("12.4");
  CHECK(has(quickstart.run().out, "what brings it: apt-get install cuda-toolkit-12-9 cudnn9-cuda-12, with"));
  quickstart.add_nvcc("bin/nvcc", "12.4");
  const ProcessResult result = quickstart.run();
  CHECK(has(result.out, "NVIDIA H200, but no headers of cuDNN 9: training on the CPU"));
  CHECK(has(result.out,
            "pip install nvidia-cudnn-cu12, in an active Python environment; or apt-get install "
            "cudnn9-cuda-12, with"));
}

TEST_CASE(
    "tools/quickstart: a GPU is also found without nvidia-smi; --cuda insists, --build goes elsewhere") {
  Quickstart quickstart;
  quickstart.make_folder("root/dev");
  write_text(quickstart.file("root/dev/nvidia0"), "");
  CHECK(has(quickstart.run().out, "an NVIDIA GPU, but no nvcc 12 or newer"));
  quickstart.make_folder("root/proc/driver/nvidia/gpus/0000:01:00.0");
  write_text(quickstart.file("root/proc/driver/nvidia/gpus/0000:01:00.0/information"),
             "Model: \t\t NVIDIA L4\nIRQ:   1\n");
  CHECK(has(quickstart.run().out, "NVIDIA L4, but no nvcc 12 or newer"));

  const ProcessResult refused = quickstart.run({"--cuda"});
  CHECK(refused.exit_code == 1);
  CHECK(has(refused.err,
            "tools/quickstart: --cuda: there is no nvcc 12 or newer and no headers of cuDNN 9; "
            "what brings it: pip install "));
  std::filesystem::remove_all(quickstart.file("root/proc"));
  std::filesystem::remove_all(quickstart.file("root/dev"));
  quickstart.add_nvcc("bin/nvcc", "13.0");
  quickstart.add_cudnn("root/usr/include");
  const std::string elsewhere = quickstart.file("elsewhere");
  const ProcessResult built = quickstart.run({"--build", elsewhere, "--cuda"});
  require_done(built);
  CHECK(has(built.out, "no GPU here; nvcc 13.0 and cuDNN 9.19: building with the CUDA backend"));
  CHECK(has(built.out, "train " + elsewhere +
                           "/cuda/dpll_engine configs/quickstart.ini --set "
                           "run.resume=auto --set run.out_dir=" +
                           elsewhere + "/runs"));
}
