// tools/measure, tools/compare_torch and tools/peers/torch_plcr.py as a user runs them, without PyTorch: what
// they make of figures, and of packages that are not there.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/engine_runs.h"

using namespace dpll::test;

namespace {

ProcessResult python(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"/usr/bin/env", "python3"});
  return run_process(arguments);
}

std::string script(const TempDir& dir, const std::string& name, const std::string& text) {
  write_text(dir.file(name), "#!/bin/sh\n" + text);
  std::filesystem::permissions(dir.file(name), std::filesystem::perms::owner_all);
  return dir.file(name);
}

// An interpreter without any package.
std::string bare_python(const TempDir& dir) {
  return script(dir, "bare-python", "exec python3 -S \"$@\"\n");
}

// Stands in for bench_step: its step takes 10 ms.
std::string steady_engine(const TempDir& dir) {
  return script(dir, "bench_step", R"(for out; do :; done
cat >"$out" <<'END'
{"backend": "cpu, a test", "commit": "c0ffee", "step_ms_median": 10, "step_ms_min": 10,
 "memory": {"backend_peak_bytes": 1048576}}
END
)");
}

// Stands in for an interpreter that has PyTorch: eager has a slow variant and one that takes `first` ms, then
// `second`, in turn; inductor fails.
std::string steady_peer(const TempDir& dir, int first, int second) {
  const std::string commands = R"([ "$1" = -c ] && exit 0
for out; do :; done
count=$(cat COUNT 2>/dev/null || echo 0)
echo $((count + 1)) >COUNT
ms=FIRST
[ $((count % 2)) = 0 ] || ms=SECOND
row() {
  echo "{\"variant\": \"$1\", \"includes\": \"a step\", \"median_ms\": $2, \"min_ms\": $2}"
}
{
  echo '{"machine": {"torch": "2.0", "onednn": "3.0"}, "rows": ['
  case "$*" in
    *"--variants eager/b/y "*) row eager/b/y $ms ;;
    *"--variants eager "*) row eager/a/x 90; echo ,; row eager/b/y $ms ;;
    *) echo '{"variant": "inductor/a/x", "error": "no compiler here"}' ;;
  esac
  echo ']}'
} >"$out"
)";
  std::string text = commands;
  for (const auto& [word, value] :
       std::vector<std::pair<std::string, std::string>>{{"COUNT", dir.file("count")},
                                                        {"COUNT", dir.file("count")},
                                                        {"FIRST", std::to_string(first)},
                                                        {"SECOND", std::to_string(second)}}) {
    text.replace(text.find(word), word.size(), value);
  }
  return script(dir, "python", text);
}

}  // namespace

TEST_CASE("compare_torch: each peer's fastest variant goes on; ratios and their spread are the rounds'") {
  const TempDir dir;
  const auto compare = [&](int first, int second) {
    return python({kTools + "compare_torch", "--network", "lenet", "--rounds", "3", "--python",
                   steady_peer(dir, first, second), "--bench-step", steady_engine(dir), "--peers", "inductor",
                   "eager", "--json", dir.file("out.json")});
  };
  // After a trial of each peer the rounds take 20, 21 and 20 ms.
  const ProcessResult done = compare(20, 21);
  require_done(done);
  CHECK(has(done.out, "inductor skipped: no compiler here"));
  CHECK(has(done.out,
            "lenet against eager/b/y: 2.00 times as fast (2.00 to 2.10 over 3 rounds; by minima 2.00)"));
  const nlohmann::json json = nlohmann::json::parse(read_text(dir.file("out.json")));
  const nlohmann::json& network = json.at("networks").at(0);
  CHECK(network.at("commit") == "c0ffee");
  CHECK(network.at("torch").at("torch") == "2.0");
  CHECK(network.at("screened").at("eager/a/x") == 90);
  CHECK(network.at("rounds").size() == 3);
  CHECK(network.at("summary").at("eager").at("ratio_most") == 2.1);
  CHECK_FALSE(network.at("summary").contains("inductor"));
  CHECK_FALSE(json.at("machine").at("cpu").get<std::string>().empty());

  std::filesystem::remove(dir.file("count"));
  const ProcessResult steady = compare(20, 20);
  require_done(steady);
  CHECK_FALSE(has(steady.out, "machine busy"));
  std::filesystem::remove(dir.file("count"));
  const ProcessResult busy = compare(20, 30);
  require_done(busy);
  CHECK(has(busy.out, "2.00 times as fast (2.00 to 3.00 over 3 rounds; by minima 2.00)  machine busy"));
}

TEST_CASE("compare_torch: what is missing is named, and the exit code says that nothing was compared") {
  const TempDir dir;
  const std::vector<std::string> start = {kTools + "compare_torch", "--bench-step", steady_engine(dir)};
  const auto compare = [&](const std::vector<std::string>& options) {
    std::vector<std::string> words = start;
    words.insert(words.end(), options.begin(), options.end());
    return python(words);
  };
  const ProcessResult bare = compare({"--python", bare_python(dir), "--peers", "eager", "published"});
  CHECK(bare.exit_code == 3);
  CHECK(has(bare.out, "eager: skipped: torch, numpy not installed for"));
  CHECK(has(bare.out, "published: skipped: torch, numpy, Pillow not installed for"));
  CHECK(lines_of(bare.err).size() == 1);
  const ProcessResult none = compare({"--python", dir.file("no-python")});
  CHECK(none.exit_code == 3);
  CHECK(has(none.out, "cannot run"));
  const ProcessResult failing = compare({"--python", steady_peer(dir, 1, 1), "--peers", "inductor"});
  CHECK(failing.exit_code == 1);
  CHECK(has(failing.err, "nothing could be compared"));
  CHECK(compare({"--peers", "keras"}).exit_code == 2);
  const ProcessResult unbuilt = python({kTools + "compare_torch", "--bench-step", dir.file("none")});
  CHECK(unbuilt.exit_code == 1);
  CHECK(has(unbuilt.err, "is not there: run tools/build release"));

  const ProcessResult peer = run_process({bare_python(dir), kTools + "peers/torch_plcr.py", "bench"});
  CHECK(peer.exit_code == 1);
  CHECK(lines_of(peer.err).size() == 1);
  CHECK(has(peer.err, "torch_plcr: the package numpy is not installed"));
}

TEST_CASE("measure: raw outputs and their tables in one folder; what is missing is skipped and says so") {
#ifndef DPLL_BENCH_STEP
  DPLL_SKIP("this build has no tools");
#else
  const TempDir dir;
  const std::string programs = std::filesystem::path(DPLL_BENCH_STEP).parent_path().string();
  const auto measure = [&](const std::vector<std::string>& options) {
    std::vector<std::string> words = {
        kTools + "measure", "--quick", "--network", "lenet",          "--curves-model", "lenet",
        "--programs",       programs,  "--python",  bare_python(dir), "--out",          dir.file("figures")};
    words.insert(words.end(), options.begin(), options.end());
    return python(words);
  };
  const ProcessResult done = measure({"--parts", "torch", "curves", "step", "ops"});
  require_done(done);
  CHECK(has(done.out, "skipped: compare_torch: nothing to compare with: packages are missing"));
  const std::string tables = read_text(dir.file("figures/tables.md"));
  const nlohmann::json step = nlohmann::json::parse(read_text(dir.file("figures/step-lenet.json")));
  CHECK(has(tables, "## Phases of a step"));
  CHECK(has(tables, fmt::format("| {:.0f} | {:.0f} | {:.1f} % |", step.at("images_per_second").get<double>(),
                                step.at("gflops").get<double>(), step.at("mfu_percent").get<double>())));
#ifdef DPLL_BENCH_OPS
  // LeNet's last layer, 192 rows of 500 features to 10 classes, is limited by memory or by arithmetic.
  const nlohmann::json ops = nlohmann::json::parse(read_text(dir.file("figures/ops.json")));
  const nlohmann::json &op = ops.at("benchmarks").at(0), &ceilings = ops.at("ceilings");
  const double us =
      std::max(op.at("bytes").get<double>() / ceilings.at("copy_gb_per_s").get<double>(),
               op.at("operations").get<double>() / ceilings.at("product_gflop_per_s").get<double>()) *
      1e-3;
  CHECK(has(tables, "| " + op.at("name").get<std::string>() + " | "));
  CHECK(has(tables, fmt::format(" | {:.4g} | {:.0f} % |", us, 100 * us / op.at("median_us").get<double>())));
#else
  CHECK(has(tables, "| ops | skipped: there is no bench_ops in "));
#endif
  CHECK(has(tables, "![lenet: images/s against samples a step](curves/batch.png)"));
  CHECK(has(tables, "| torch | skipped: "));
  CHECK_FALSE(has(tables, "beside PyTorch"));
  CHECK(std::filesystem::exists(dir.file("figures/curves/batch.png")));
  CHECK_FALSE(std::filesystem::exists(dir.file("figures/curves/depth.png")));
  CHECK(nlohmann::json::parse(read_text(dir.file("figures/machine.json"))).at("cores") >= 1);

  std::filesystem::remove(dir.file("figures/tables.md"));
  require_done(python({kTools + "measure", "--tables", dir.file("figures")}));
  CHECK(read_text(dir.file("figures/tables.md")) == tables);

  const ProcessResult again = measure({"--parts", "step"});
  CHECK(again.exit_code == 2);
  CHECK(has(again.err, "cannot make the folder"));
  CHECK(measure({"--parts", "everything"}).exit_code == 2);
  std::filesystem::remove_all(dir.file("figures"));
  const ProcessResult nothing = measure({"--parts", "torch"});
  CHECK(nothing.exit_code == 1);
  CHECK(has(nothing.err, "nothing was measured"));
  std::filesystem::remove_all(dir.file("figures"));
  const ProcessResult failed = measure({"--parts", "step", "--network", "vgg"});
  CHECK(failed.exit_code == 1);
  CHECK(has(failed.out,
            "failed, exit code 2: bench_step: --model vgg: expected lenet, resnet18, preact_resnet18, "
            "resnet-DEPTH or wrn-DEPTH-WIDTH"));
#endif
}
