// tools/gpu_check on a machine without a GPU: the program with emulated GPUs in place of dpll_engine, and
// scripts in place of the other programs, of the driver's and CUDA's tools and of the Python that has
// PyTorch.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/engine_runs.h"
#include "cli/machine.h"

using namespace dpll::test;

namespace {

const std::string kSource = DPLL_SOURCE_DIR;

// What tools/bundle makes for this, as far as a rehearsal needs it.
class Rehearsal {
 public:
  Rehearsal() {
    for (const char* name : {"timeout", "ls", "tar", "xz"}) machine_.link(name);
    std::filesystem::create_directories(tree("bin"));
    std::filesystem::create_directories(tree("lib"));
    std::filesystem::create_directories(tree("data"));
    std::filesystem::create_directories(machine_.file("tmp"));
    std::filesystem::create_directories(tree("tools"));
    for (const char* name : {"tools/gpu_check", "tools/compare_torch", "tools/gpu", "tools/peers"}) {
      std::filesystem::copy(kSource + "/" + name, tree(name), std::filesystem::copy_options::recursive);
    }
    std::filesystem::copy(kSource + "/configs", tree("configs"), std::filesystem::copy_options::recursive);
    std::filesystem::create_directory_symlink(kFashionFolder, tree("data/fashion-mnist"));
    write_text(tree("COMMIT"), "c0ffee\n");
    write_text(tree("data/expected.json"), R"({"commit": "c0ffee", "settings": ["run.epochs=1",
        "model.architecture=mlp", "model.hidden=8", "optimiser.batch=16"],
        "accuracies": {"1": 12.5, "2": 0.0}})");
    // Emulated, the self-test takes minutes.
    program("dpll_engine",
            "[ \"$1\" != selftest ] || { echo '9 passed, 0 failed, 0 skipped'; exit 0; }\n"
            "exec " DPLL_ENGINE_EMULATED " \"$@\"");
    cases({"gpu: layers are right, all of them", "linear: the backends agree with the reference"});
    program(
        "bench_step",
        "for out; do :; done\n"
        // As cudaGraphDebugDotPrint writes it: a training step with a copy, and one engine tried twice.
        "node() { printf '\"graph_1_node_%s\"[style=\"bold\" shape=\"record\" label=\"{KERNEL\\n"
        "| {ID | %s (topoId: 9) | %s\\\\<\\\\<\\\\<1,128,0\\\\>\\\\>\\\\>}\\n"
        "| {{node handle | func handle} | {0x0055 | 0x0056}}}\"];\\n' $1 $1 $2; }\n"
        "{ echo 'digraph dot {'; for i in 0 1 2 3 4 5; do node $i _Z7kernel${i}v; done; node 6 _Z7kernel0v\n"
        "printf '\"graph_1_node_7\"[style=\"solid\" shape=\"record\" label=\"{\\nMEMCPY\\n| {{ID | "
        "x}}}\"];\\n'\n"
        "echo '\"graph_1_node_0\" -> \"graph_1_node_1\";'; echo '}'; } >\"$DPLL_GRAPHS/graph-2.dot\"\n"
        "{ node 0 _Z5trialv; node 1 _Z5trialv; } >\"$DPLL_GRAPHS/graph-1.dot\"\n"
        "echo '{\"backend\": \"cuda\", \"commit\": \"c0ffee\", \"step_ms_median\": 10, \"step_ms_min\": 10,"
        " \"images_per_second\": 19200, \"mfu_percent\": 40, \"kernel_gap_us\": 1.25,"
        " \"memory\": {\"backend_peak_bytes\": 1048576}}' >\"$out\"");
    program("scaling_curves", "echo 'curves are drawn'");
    program("bench_ops", "echo 'all operations are timed'");
    program("cudnn_plans", "echo '{\"deviceName\": \"NVIDIA Made-up\", \"multiProcessorCount\": 132}'");
    machine_.script("nvidia-smi", "echo 'NVIDIA Made-up'");
    machine_.script("compute-sanitizer",
                    "echo '========= COMPUTE-SANITIZER'\necho \"$*\"\n"
                    "echo '========= ERROR SUMMARY: 0 errors'");
    machine_.script("python3",
                    "[ \"$1\" = -c ] && exit 0\nfor out; do :; done\nvariant=\n"
                    "for word; do [ \"$variant\" = next ] && variant=$word && break\n"
                    "[ \"$word\" = --variants ] && variant=next; done\n"
                    "echo '{\"machine\": {\"torch\": \"2.11\"}, \"rows\": [{\"variant\": \"'$variant'\","
                    " \"includes\": \"a step\", \"median_ms\": 20, \"min_ms\": 20}]}' >\"$out\"");
  }

  std::string tree(const std::string& name) const { return machine_.file("tree/" + name); }
  std::string out(const std::string& name = "") const { return machine_.file("out/" + name); }
  std::string place() const { return machine_.file(""); }
  Machine& machine() { return machine_; }
  void program(const std::string& name, const std::string& body) const {
    for (const std::string& path : {tree(name), tree("bin/" + name)}) {
      write_text(path, "#!/bin/sh\n" + body + "\n");
      std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    }
  }
  // The test program has these cases, and does as `body` says: $1 is the name of the one to run.
  void cases(const std::vector<std::string>& names, const std::string& body = "") const {
    std::string list;
    for (const std::string& name : names) list += name + "\n";
    program("dpll_tests",
            "case \"$*\" in\n*--list-test-cases*gpu:*views*) pattern=agree ;;\n"
            "*--list-test-cases*backends*) pattern=agree ;;\n*--list-test-cases*) pattern=^gpu: ;;\n*) "
            "pattern= ;;\nesac\n"
            "if [ -n \"$pattern\" ]; then echo '[doctest] all test cases'; echo ====; grep -e \"$pattern\" "
            "<<'END'\n" +
                list + "END\necho ====; exit 0; fi\nfor last; do :; done\nset -- \"${last#--test-case=}\"\n" +
                body + "\necho \"$1\"\necho '1 passed, 0 failed, 0 skipped'");
  }

  std::vector<std::string> command(const std::vector<std::string>& options,
                                   const std::string& gpus = "right") const {
    static const std::string python =
        lines_of(run_process({"/usr/bin/env", "python3", "-c", "import sys; print(sys.executable)"}).out)
            .at(0);
    std::vector<std::string> words = {"/usr/bin/env",
                                      "-i",
                                      "PATH=" + machine_.file("bin"),
                                      "HOME=" + machine_.file("home"),
                                      "TMPDIR=" + machine_.file("tmp"),
                                      "DPLL_EMULATED_GPUS=" + gpus,
                                      "DPLL_EMULATED_SILENCE=600",
                                      python,
                                      tree("tools/gpu_check"),
                                      "--quick",
                                      "--out",
                                      out()};
    for (const char* setting : {"model.architecture=mlp", "model.hidden=8", "views.policy=none",
                                "views.strong=1", "run.threads=1"}) {
      words.insert(words.end(), {"--set", setting});
    }
    words.insert(words.end(), options.begin(), options.end());
    return words;
  }
  ProcessResult run(const std::vector<std::string>& options, const std::string& gpus = "right") const {
    return run_process(command(options, gpus));
  }
  nlohmann::json results() const { return nlohmann::json::parse(read_text(out("results.json"))); }
  // Of a part's line in the summary: "passed goldens: gpu: layers", without the time.
  std::vector<std::string> verdicts() const {
    std::vector<std::string> found;
    const nlohmann::json all = results();
    for (const nlohmann::json& part : all.at("parts")) {
      found.push_back(part.at("result").get<std::string>() + " " + part.at("name").get<std::string>());
    }
    return found;
  }
  std::string finding(const std::string& name) const {
    const nlohmann::json all = results();
    for (const nlohmann::json& part : all.at("parts")) {
      if (part.at("name") == name) return part.at("finding");
    }
    return "there is no part " + name;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out())) {
      found.push_back(std::filesystem::relative(entry.path(), out()).string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

 private:
  Machine machine_;
};

const std::vector<std::string> kFourFiles = {"all.txt", "rest.tar.xz", "results.json", "summary.txt"};

void wait_half_a_minute_for(const std::function<bool()>& condition) {
  for (int i = 0; i < 600 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  REQUIRE(condition());
}

bool has_lines(const std::string& path, std::size_t count) {
  return std::filesystem::exists(path) && lines_of(read_text(path)).size() >= count;
}

}  // namespace

TEST_CASE("tools/gpu_check: all parts in order of worth, four files in the end, no paths of the machine") {
  const Rehearsal rehearsal;
  // The limits of the parts grow with the minutes; under a sanitizer each takes several times as long.
  const ProcessResult done = rehearsal.run({"--minutes", "90"});
  CAPTURE(done.out);
  require_done(done);
  const std::string layers = "gpu: layers are right, all of them",
                    linear = "linear: the backends agree with the reference";
  std::vector<std::string> expected;
  for (const std::string& name : {std::string("versions"),
                                  std::string("cudnn-device"),
                                  "goldens: " + layers,
                                  "parity: " + linear,
                                  std::string("selftest-f32"),
                                  std::string("selftest-f16"),
                                  std::string("selftest-bf16"),
                                  std::string("check-lenet-f32"),
                                  std::string("check-wrn-f16"),
                                  std::string("train-1"),
                                  std::string("train-2"),
                                  std::string("accuracy"),
                                  std::string("device-auto"),
                                  std::string("step-lenet"),
                                  std::string("step-wrn-28-2"),
                                  std::string("step-wrn-34-10"),
                                  std::string("torch-amp-lenet"),
                                  std::string("torch-amp-wrn-28-2"),
                                  std::string("torch-amp-wrn-34-10"),
                                  "memcheck: " + linear,
                                  std::string("tune-wrn-34-10"),
                                  "racecheck: " + linear,
                                  "initcheck: " + linear,
                                  "synccheck: " + linear,
                                  std::string("curves"),
                                  std::string("torch-compiled-lenet"),
                                  std::string("torch-compiled-wrn-28-2"),
                                  std::string("torch-compiled-wrn-34-10"),
                                  std::string("torch-published-lenet"),
                                  std::string("torch-published-wrn-28-2"),
                                  std::string("torch-published-wrn-34-10"),
                                  std::string("ops")}) {
    // What stands in for PyTorch has the packages, as its find_spec says nothing is missing.
    expected.push_back("passed " + name);
    if (name == "synccheck: " + linear) expected.push_back("skipped ranks");  // there is one GPU
  }
  CHECK(rehearsal.verdicts() == expected);
  CHECK(rehearsal.files() == kFourFiles);
  const std::string summary = read_text(rehearsal.out("summary.txt"));
  CHECK(summary == done.out);
  CHECK(has(summary, "NVIDIA Made-up, commit c0ffee, 90 minutes from "));
  CHECK(has(summary, "32 passed, 0 failed, 1 skipped, 0 not reached in "));
  CHECK(has(summary, "an empty kernel takes 1.25 us"));
  CHECK(has(summary, "2.00 times as fast as amp"));
  for (const char* name : {"summary.txt", "all.txt", "results.json"}) {
    const std::string text = read_text(rehearsal.out(name));
    for (const std::string& path : {rehearsal.place(), kSource, std::string("/usr/"), std::string("/tmp/")}) {
      CHECK_FALSE_MESSAGE(has(text, path), text.substr(text.find(path), 200));
    }
  }
  CHECK(std::filesystem::is_empty(rehearsal.place() + "tmp"));

  const nlohmann::json results = rehearsal.results();
  CHECK(results.at("cudnn_device").at("multiProcessorCount") == 132);
  CHECK(results.at("machine").size() > 3);
  for (const nlohmann::json& part : results.at("parts")) {
    if (part.at("name") != "step-lenet") continue;
    const nlohmann::json& graphs = part.at("numbers").at("graphs");
    REQUIRE(graphs.size() == 1);
    CHECK(graphs[0].at("nodes") == nlohmann::json{{"KERNEL", 7}, {"MEMCPY", 1}});
    CHECK(graphs[0].at("kernels").size() == 6);
    CHECK(graphs[0].at("kernels").at("_Z7kernel0v") == 2);
  }
  CHECK(has(summary, "8 nodes in the largest graph"));
  const nlohmann::json& engine = results.at("engines").at(0);
  CHECK(engine.at("chosen") == "loops");
  CHECK(engine.at("ms") > 0);
  for (const nlohmann::json& part : results.at("parts")) {
    if (!part.at("numbers").contains("bound")) continue;
    CHECK(part.at("numbers").at("worst") <= part.at("numbers").at("bound"));
  }
  // The tests run on the GPU alone; of what compute-sanitizer sees only our kernels count.
  CHECK(has(
      read_text(rehearsal.out("all.txt")),
      "--tool racecheck --report-api-errors no --kernel-name kns=dpll --error-exitcode 9 ./bin/dpll_tests"));
}

TEST_CASE("tools/gpu_check: with several GPUs ranks are compared and timed") {
  Rehearsal rehearsal;
  rehearsal.machine().script("nvidia-smi",
                             "echo 'NVIDIA Made-up'; echo 'NVIDIA Made-up'; echo 'NVIDIA Made-up'");
  rehearsal.machine().script("mpirun.openmpi", "exit 9");
  for (const char* tool : {"compare_ranks", "rank_speed"}) {
    write_text(rehearsal.tree(std::string("tools/") + tool),
               "import os, sys\n"
               "assert sys.argv[sys.argv.index('--ranks') + 1] == '2', sys.argv\n"
               "assert sys.argv[sys.argv.index('--mpirun') + 1].endswith('mpirun.openmpi')\n"
               "assert os.environ['OMPI_ALLOW_RUN_AS_ROOT'] == '1'\n"
               "print('| a | b |\\n| --- | --- |\\n| LeNet | 2 |')\n");
  }
  const ProcessResult done = rehearsal.run({"--minutes", "3", "--only", "ranks*"}, "right,right,right");
  CHECK_MESSAGE(done.exit_code == 0, done.out, done.err);
  CHECK(rehearsal.verdicts() == std::vector<std::string>{"passed ranks-equal", "passed ranks-speed"});
  CHECK(rehearsal.finding("ranks-equal") == "1 rows; | LeNet | 2 |");
}

TEST_CASE("tools/gpu_check: what hangs, crashes or is off has failed, and the rest goes on") {
  const Rehearsal rehearsal;
  rehearsal.cases(
      {"gpu: a", "gpu: hangs", "gpu: is deaf", "gpu: crashes", "gpu: is off", "gpu: lacks it", "gpu: b"},
      "echo 'before the end'\ncase $1 in\n"
      "*hangs) sleep 100 ;;\n*deaf) trap '' TERM; while :; do sleep 1; done ;;\n*crashes) kill -SEGV $$ ;;\n"
      "*off) echo '  logged: linear y [2,3], seed 1: at [0,1] got 2, want 1; 1 of 6 values off by more "
      "than 0.25; worst at [0,1]: got 2, want 1, off by 1'; echo '0 passed, 1 failed, 0 skipped'; exit 1 ;;\n"
      "*lacks*) echo \"skipped: $1: no GPU\"; echo '0 passed, 0 failed, 1 skipped'; exit 0 ;;\nesac");
  const ProcessResult done = rehearsal.run({"--limit", "2", "--only", "goldens", "accuracy"});
  CHECK(done.exit_code == 1);
  CHECK(rehearsal.verdicts() ==
        std::vector<std::string>{"passed goldens: gpu: a", "failed goldens: gpu: hangs",
                                 "failed goldens: gpu: is deaf", "failed goldens: gpu: crashes",
                                 "failed goldens: gpu: is off", "skipped goldens: gpu: lacks it",
                                 "passed goldens: gpu: b", "not reached accuracy"});
  CHECK(rehearsal.finding("goldens: gpu: hangs") == "no end after 2 s: before the end");
  CHECK(has(rehearsal.finding("goldens: gpu: is deaf"), "no end after "));
  CHECK(has(rehearsal.finding("goldens: gpu: crashes"), "ended by SIGSEGV: "));
  const nlohmann::json off = rehearsal.results().at("parts").at(4);
  CHECK(off.at("numbers").at("worst") == 1);
  CHECK(off.at("numbers").at("bound") == 0.25);
  CHECK(has(done.out, "2 passed, 4 failed, 1 skipped, 1 not reached in "));
  CHECK(rehearsal.files() == kFourFiles);
}

TEST_CASE("tools/gpu_check: a GPU that crashes") {
  // A network with convolutions: that is where they fail.
  const std::vector<std::string> options = {"--set",           "model.architecture=lenet",
                                            "--only",          "goldens",
                                            "check-lenet-f32", "train-*",
                                            "accuracy",        "device-auto",
                                            "step-lenet"};
  const Rehearsal crashing;
  CHECK(crashing.run(options, "crashes").exit_code == 1);
  CHECK(crashing.verdicts() == std::vector<std::string>{"passed goldens: gpu: layers are right, all of them",
                                                        "failed check-lenet-f32", "failed train-1",
                                                        "failed train-2", "skipped accuracy",
                                                        "failed device-auto", "passed step-lenet"});
  CHECK(has(crashing.finding("check-lenet-f32"), "ended by SIGKILL: "));
  CHECK(has(crashing.finding("device-auto"), "it ended the process: signal 9"));
  CHECK(crashing.files() == kFourFiles);
}

TEST_CASE("tools/gpu_check: whoever kills it loses nothing before; asked to stop it leaves a summary") {
  for (const int number : {SIGKILL, SIGTERM}) {
    const Rehearsal rehearsal;
    rehearsal.cases({"gpu: a", "gpu: waits", "gpu: b"},
                    "case $1 in *waits) echo $$ >\"" + rehearsal.place() + "waits\"; sleep 100 ;; esac");
    Child check(rehearsal.command({"--only", "versions", "goldens"}), {});
    wait_half_a_minute_for([&] { return has_lines(rehearsal.place() + "waits", 1); });
    check.signal(number);
    const ProcessResult ended = check.wait();
    const std::string summary = read_text(rehearsal.out("summary.txt"));
    CHECK(has(summary, "passed      versions ("));
    CHECK(has(summary, "passed      goldens: gpu: a ("));
    CHECK(has(read_text(rehearsal.out("all.txt")), "==== goldens: gpu: a: passed"));
    const std::vector<std::string> verdicts = rehearsal.verdicts();
    REQUIRE(verdicts.size() >= 2);
    CHECK(verdicts[1] == "passed goldens: gpu: a");
    if (number == SIGKILL) {
      CHECK(ended.exit_code == 128 + SIGKILL);
      // It would end at its limit.
      kill(static_cast<pid_t>(std::stol(read_text(rehearsal.place() + "waits"))), SIGKILL);
      continue;
    }
    CHECK(ended.exit_code == 1);
    CHECK(verdicts.size() == 4);
    CHECK(rehearsal.finding("goldens: gpu: waits") == "stopped in the middle");
    CHECK(rehearsal.finding("goldens: gpu: b") == "stopped by SIGTERM");
    CHECK(has(summary, "2 passed, 1 failed, 0 skipped, 1 not reached in "));
    CHECK(has(lines_of(summary).back(), "; stopped by SIGTERM"));
    CHECK(rehearsal.files() == kFourFiles);
  }
}

TEST_CASE("tools/gpu_check: it ends in time, and says what it did not reach") {
  const Rehearsal rehearsal;
  rehearsal.cases({"gpu: a", "gpu: waits", "gpu: b"}, "case $1 in *waits) sleep 100 ;; esac");
  const auto begin = std::chrono::steady_clock::now();
  const ProcessResult done =
      rehearsal.run({"--minutes", "0.3", "--only", "goldens", "selftest-f32", "curves"});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(took.count() < 18);
  CHECK(done.exit_code == 1);
  CHECK(rehearsal.verdicts() == std::vector<std::string>{"passed goldens: gpu: a",
                                                         "failed goldens: gpu: waits",
                                                         "not reached goldens: gpu: b",
                                                         "not reached selftest-f32", "not reached curves"});
  CHECK(has(done.out, "not reached goldens (1 of its test cases): 0 s were left, it needs 10\n"));
  CHECK(has(done.out, "1 passed, 1 failed, 0 skipped, 3 not reached in "));

  const Rehearsal hasty;
  CHECK(hasty.run({"--minutes", "0.05", "--only", "goldens"}).exit_code == 1);
  CHECK(hasty.verdicts() ==
        std::vector<std::string>{"not reached goldens: gpu: layers are right, all of them"});
  CHECK(hasty.files() == kFourFiles);
}

TEST_CASE("tools/gpu_check: on a full disk what was written stays, and the summary says so") {
  const Rehearsal rehearsal;
  rehearsal.cases({"gpu: a", "gpu: b", "gpu: c"},
                  "case $1 in *c) ;; *) for i in 0 1 2 3 4 5; do head -c 10000 /dev/zero | tr '\\0' x; echo; "
                  "done ;; esac");
  ProcessOptions full;
  full.file_size_limit = 100000;
  const ProcessResult done = Child(rehearsal.command({"--only", "goldens", "versions"}), full).wait();
  CHECK_MESSAGE(done.exit_code == 0, done.out, done.err);
  const std::string all = read_text(rehearsal.out("all.txt"));
  CHECK(has(all, "==== goldens: gpu: a: passed"));
  CHECK_FALSE(has(all, "gpu: b"));
  CHECK(has(all, "==== goldens: gpu: c: passed"));
  CHECK(rehearsal.verdicts().size() == 4);
  CHECK(
      has(read_text(rehearsal.out("summary.txt")), "the disk took not everything: all.txt: File too large"));
  CHECK(rehearsal.files() == kFourFiles);
}

TEST_CASE("tools/gpu_check: where it cannot begin it says why in one line") {
  Rehearsal rehearsal;
  const auto refused = [&](const std::vector<std::string>& options, const std::string& why) {
    const ProcessResult result = rehearsal.run(options);
    CHECK(result.exit_code == 2);
    REQUIRE_MESSAGE(lines_of(result.err).size() == 1, result.err);
    CHECK_MESSAGE(has(result.err, why), result.err);
  };
  refused({"--only", "nonsense"}, "--only nonsense: there is no such part");
  refused({"--build", rehearsal.tree("lib")}, "build them: cmake --preset cuda");
  std::filesystem::create_directories(rehearsal.out("there"));
  refused({}, "or it is there already");
  rehearsal.machine().script("nvidia-smi", "echo 'No devices were found'; exit 6");
  refused({}, "nvidia-smi finds no GPU");
  std::filesystem::remove(rehearsal.machine().file("bin/nvidia-smi"));
  refused({}, "NVIDIA's driver is not installed");
}
