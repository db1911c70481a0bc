// tools/bench_ops and tools/bench_step as a user runs them. Nothing here asks how fast anything is.
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/engine_runs.h"

using namespace dpll::test;

namespace {

// Unused in a build without the tools.
[[maybe_unused]] nlohmann::json json_of(const std::string& path) {
  return nlohmann::json::parse(read_text(path));
}

[[maybe_unused]] ProcessResult run_tool(const std::string& tool, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), tool);
  return run_process(arguments);
}

[[maybe_unused]] double sum_of(const nlohmann::json& numbers) {
  double sum = 0;
  for (const nlohmann::json& number : numbers) sum += number.get<double>();
  return sum;
}

}  // namespace

TEST_CASE("bench_ops: figures of the benchmarks that were named, as table, CSV and JSON") {
#ifndef DPLL_BENCH_OPS
  DPLL_SKIP("this build has no bench_ops");
#else
  const TempDir dir;
  const std::vector<std::string> names = {"feature_views", "linear/LeNet last", "WRN-28-2 and WRN-16-2 tail"};
  std::vector<std::string> arguments = names;
  arguments.insert(arguments.end(), {"--threads", "1", "--seconds", "0.001", "--repetitions", "2", "--rotate",
                                     "1", "--json", dir.file("ops.json"), "--csv", dir.file("ops.csv")});
  const ProcessResult done = run_tool(DPLL_BENCH_OPS, arguments);
  require_done(done);
  const nlohmann::json json = json_of(dir.file("ops.json"));
  CHECK(json.at("benchmarks").size() == 5);
  CHECK(lines_of(read_text(dir.file("ops.csv"))).size() == 6);
  const double copy = json.at("ceilings").at("copy_gb_per_s"),
               product = json.at("ceilings").at("product_gflop_per_s");
  CHECK((copy > 0 && product > 0));
  for (const nlohmann::json& row : json.at("benchmarks")) {
    CAPTURE(row.dump());
    const double us = row.at("median_us"), bytes = row.at("bytes");
    CHECK(has(done.out, row.at("name").get<std::string>()));
    CHECK(row.at("verified").get<bool>());
    CHECK((row.at("least_us") <= us && us <= row.at("p90_us")));
    CHECK(row.at("repetitions") == 2);
    CHECK(row.at("samples") >= 2);
    CHECK(row.at("gb_per_s").get<double>() == doctest::Approx(bytes / us * 1e-3));
    CHECK(row.at("copy_percent").get<double>() == doctest::Approx(bytes / us * 1e-1 / copy));
    CHECK(row.at("rotated_bytes").get<double>() > 0x1p20);
    if (row.at("operations") > 0) {
      const double rate = row.at("operations").get<double>() / us * 1e-3;
      CHECK(row.at("gflop_per_s").get<double>() == doctest::Approx(rate));
      CHECK(row.at("product_percent").get<double>() == doctest::Approx(100 * rate / product));
    } else {
      CHECK(row.at("gflop_per_s").is_null());
    }
  }
  arguments.insert(arguments.end(), {"--compare", dir.file("ops.json")});
  const ProcessResult compared = run_tool(DPLL_BENCH_OPS, arguments);
  require_done(compared);
  CHECK(has(compared.out, " of 5 benchmarks changed beyond noise since '"));
#endif
}

TEST_CASE("bench_ops: what it does not know is refused in one line") {
#ifndef DPLL_BENCH_OPS
  DPLL_SKIP("this build has no bench_ops");
#else
  const ProcessResult unknown = run_tool(DPLL_BENCH_OPS, {"linear", "no such benchmark"});
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.out.empty());
  CHECK(lines_of(unknown.err).size() == 1);
  CHECK(has(unknown.err, "no benchmark has 'no such benchmark' in its name"));
  const ProcessResult list = run_tool(DPLL_BENCH_OPS, {"--list", "sgd"});
  require_done(list);
  CHECK(lines_of(list.out).size() == 4);
  const ProcessResult precision = run_tool(DPLL_BENCH_OPS, {"sgd/LeNet", "--precision", "f16"});
  CHECK(precision.exit_code == 2);
  CHECK(precision.err == "bench_ops: --precision f16 needs --device cuda; the CPU computes in f32 or bf16\n");
  const ProcessResult option = run_tool(DPLL_BENCH_OPS, {"--device", "tpu"});
  CHECK(option.exit_code == 2);
  CHECK(lines_of(option.err).size() == 1);
#endif
}

TEST_CASE("bench_step: a configuration's step, epoch and profile; the parts make up the whole") {
#ifndef DPLL_BENCH_STEP
  DPLL_SKIP("this build has no tools");
#else
  const EngineRuns runs;
  const ProcessResult done = run_tool(
      DPLL_BENCH_STEP, {runs.config(), "--set", "run.epochs=7", "--steps", "6", "--ceiling-seconds", "0.001",
                        "--epoch", "--json", runs.file("step.json"), "--profile", runs.file("trace.json")});
  require_done(done);
  CHECK_FALSE(std::filesystem::exists(runs.run_folder("")));
  const nlohmann::json json = json_of(runs.file("step.json"));
  CHECK(json.at("model") == "LeNet");
  const double median = json.at("step_ms_median"), images = 8 * 3;
  CHECK(json.at("images_per_second").get<double>() == doctest::Approx(images / median * 1e3));
  // The optimiser's own count and the operations' differ by the first layer, which needs no input gradient.
  CHECK(json.at("operations") < json.at("model_operations"));
  CHECK(json.at("operations").get<double>() > 0.9 * json.at("model_operations").get<double>());
  CHECK(json.at("mfu_percent").get<double>() ==
        doctest::Approx(100 * json.at("gflops").get<double>() /
                        json.at("product_ceiling_gflops").get<double>()));
  CHECK(sum_of(json.at("phases_bytes")) == doctest::Approx(json.at("bytes").get<double>()));
  const nlohmann::json& phases = json.at("phases_ms");
  CHECK(phases.size() == 6);
  for (const char* phase : {"augment", "forward", "objective", "backward", "update", "host"}) {
    CHECK(phases.at(phase).get<double>() > 0);
  }
  CHECK(sum_of(phases) == doctest::Approx(json.at("profiled_step_ms").get<double>()));
  const nlohmann::json& epoch = json.at("epoch");
  CHECK(epoch.at("phases_ms").at("evaluation").get<double>() > 0);
  CHECK(epoch.at("phases_ms").at("host").get<double>() > 0);
  CHECK(sum_of(epoch.at("phases_ms")) == doctest::Approx(epoch.at("seconds").get<double>() * 1e3));
  CHECK(json.at("memory").at("backend_peak_bytes") > json.at("memory").at("activations_bytes"));
  CHECK(json.at("memory").at("host_peak_rss_bytes") > json.at("memory").at("backend_peak_bytes"));

  // Every slice lies within the one around it, and the layers are there.
  std::set<std::string> names;
  double step_begin = 0, step_end = 0;
  const nlohmann::json trace = json_of(runs.file("trace.json"));
  for (const nlohmann::json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    const std::string name = event.at("name");
    const double begin = event.at("ts"), end = begin + event.at("dur").get<double>();
    names.insert(name);
    CHECK(end >= begin);
    if (name == "step" || name == "evaluation") {
      step_begin = begin;
      step_end = end;
    }
    CHECK((begin >= step_begin && end <= step_end + 1e-6));
  }
  for (const std::string name :
       {"step", "augment", "forward", "conv.0", "linear.0", "backward", "update", "evaluation"}) {
    CAPTURE(name);
    CHECK(names.count(name) == 1);
  }
#endif
}

TEST_CASE("bench_step: random images of a network, and what is refused") {
#ifndef DPLL_BENCH_STEP
  DPLL_SKIP("this build has no tools");
#else
  const TempDir dir;
  const ProcessResult done =
      run_tool(DPLL_BENCH_STEP, {"--model", "wrn-10-1", "--batch", "2", "--steps", "3", "--threads", "1",
                                 "--ceiling-seconds", "0.001", "--json", dir.file("step.json")});
  require_done(done);
  CHECK(json_of(dir.file("step.json")).at("model") == "WRN-10-1");
  CHECK(has(done.out, "evaluation: 8 samples in "));
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--model", "wrn-12-1"},
                                                {"--model", "wrn-16-2x"},
                                                {"--model", "vgg"},
                                                {"--epoch"},
                                                {"--set", "run.epochs=1"}}) {
    const ProcessResult refused = run_tool(DPLL_BENCH_STEP, wrong);
    CHECK(refused.exit_code == 2);
    CHECK(lines_of(refused.err).size() == 1);
  }
  CHECK(run_tool(DPLL_BENCH_STEP, {dir.file("none.ini")}).exit_code == 3);
#endif
}

TEST_CASE("scaling_curves: a chart and a table for every curve that was named, with its limit") {
#ifndef DPLL_SCALING_CURVES
  DPLL_SKIP("this build has no tools");
#else
  const TempDir dir;
  const std::vector<std::string> common = {
      "--out", dir.file("curves"), "--quick", "--threads",         "1",    "--batch", "2", "--rounds",
      "2",     "--seconds",        "0.001",   "--ceiling-seconds", "0.001"};
  std::vector<std::string> arguments = common;
  arguments.insert(arguments.end(),
                   {"--model", "wrn-10-1", "--only", "views", "width", "memory-batch", "epoch"});
  const ProcessResult done = run_tool(DPLL_SCALING_CURVES, arguments);
  require_done(done);
  CHECK(has(done.out, "4 curves in "));
  const nlohmann::json curves = json_of(dir.file("curves/curves.json"));
  REQUIRE(curves.size() == 4);
  for (const nlohmann::json& curve : curves) {
    const std::string file = dir.file("curves/" + curve.at("name").get<std::string>());
    CAPTURE(file);
    CHECK(std::filesystem::file_size(file + ".png") > 5000);
    CHECK(lines_of(read_text(file + ".csv")).size() == 3);
  }
  const nlohmann::json& views = curves[0].at("columns");
  CHECK(views.at("views") == nlohmann::json::array({0, 1}));
  for (int i = 0; i < 2; ++i) {
    CHECK(views.at("images_per_s")[i] > 0);
    CHECK(views.at("slowest_round")[i] <= views.at("fastest_round")[i]);
    CHECK(views.at("limit")[i] == views.at("limit")[0]);
  }
  // A network twice as wide has more than twice the operations, and so less than half the limit.
  const nlohmann::json& width = curves[1].at("columns");
  CHECK(width.at("limit")[0].get<double>() > 2 * width.at("limit")[1].get<double>());
  const nlohmann::json& memory = curves[2].at("columns");
  CHECK(memory.at("planned_mib")[1] > memory.at("planned_mib")[0]);
  CHECK(memory.at("planned_mib")[0] > memory.at("activations_mib")[0]);
  const nlohmann::json& epoch = curves[3].at("columns");
  CHECK(epoch.at("seconds")[0] > 0);
  // Twice the images, twice the operations; the fifth of them that is evaluated is rounded.
  CHECK(epoch.at("limit")[1].get<double>() ==
        doctest::Approx(2 * epoch.at("limit")[0].get<double>()).epsilon(0.01));

  for (const auto& [wrong, complaint] : std::vector<std::pair<std::vector<std::string>, std::string> >{
           {{"--only", "batch", "height"},
            "no curve 'height'; there are batch, views, depth, width, threads"},
           {{"--model", "lenet", "--only", "depth"}, "no curve 'depth' here: lenet has no depth"},
           {{"--model", "vgg"}, "expected lenet, resnet18, preact_resnet18, resnet-DEPTH or wrn-DEPTH-WIDTH"},
           {{"--rounds", "1"}, "--rounds"}}) {
    std::vector<std::string> words = {"--out", dir.file("none"), "--ceiling-seconds", "0.001"};
    words.insert(words.end(), wrong.begin(), wrong.end());
    const ProcessResult refused = run_tool(DPLL_SCALING_CURVES, words);
    CHECK(refused.exit_code == 2);
    CHECK(lines_of(refused.err).size() == 1);
    CHECK(has(refused.err, complaint));
    CHECK_FALSE(std::filesystem::exists(dir.file("none")));
  }
#endif
}
