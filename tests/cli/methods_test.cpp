// The methods besides PLCR as a user runs them.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"
#include "objectives/methods.h"

using namespace dpll;
using namespace dpll::test;

namespace {

std::vector<std::string> columns_of(const std::string& line) {
  std::vector<std::string> columns;
  std::istringstream in(line);
  for (std::string column; std::getline(in, column, ',');) columns.push_back(column);
  return columns;
}

std::size_t column_of(const std::string& head, const std::string& name) {
  const std::vector<std::string> names = columns_of(head);
  const auto at = std::find(names.begin(), names.end(), name);
  REQUIRE(at != names.end());
  return static_cast<std::size_t>(at - names.begin());
}

}  // namespace

TEST_CASE("dpll_engine methods: name, paper, formula and keys of each") {
  const ProcessResult result = run_process(engine({"methods"}));
  require_done(result);
  for (const char* part :
       {"plcr\n", "ICML 2022", "[plcr] lambda_max = 1 ", "proden\n", "ICML 2020", "t <- norm_S(p)",
        "[proden] variant = article ", "cross_entropy\n", "[abs_gce] q = 0.7 ", "[lwc] beta = 2 ",
        "[fredis] lambda = 10 ", "[fredis] change_size = 500 "}) {
    CAPTURE(part);
    CHECK(has(result.out, part));
  }
}

TEST_CASE("dpll_engine config: every key as a run would have it, or what is wrong with one") {
  const EngineRuns runs;
  const ProcessResult shown = run_process(
      engine({"config", runs.config(), "--set", "optimiser.lr=0.25", "--set", "objective.method=lws"}));
  require_done(shown);
  CHECK(has(shown.out, "\nlr = 0.25\n"));
  CHECK(has(shown.out, "\nmethod = lws\n"));
  CHECK(has(shown.out, "[lws]\nbeta = 2\n"));
  CHECK_FALSE(std::filesystem::exists(runs.file("runs")));
  const ProcessResult wrong = run_process(
      engine({"config", runs.config(), "--set", "optimiser.schedule=cosine", "--set", "optimiser.lr_min=3"}));
  CHECK(wrong.exit_code == 3);
  CHECK(has(wrong.err, "lr_min = 3 is more than lr = 0.05"));
}

TEST_CASE("objective.method: runs of every kind of method train, are gone on with and keep their method") {
  const EngineRuns runs({"log.charts=false", "optimiser.lr=0.01"});
  struct Run {
    std::string method;
    std::vector<std::string> settings, columns;  // of its own
  };
  // Rows besides the table's, sums over the batch, and what happens to the table at the end of an epoch.
  for (const Run& run : std::vector<Run>{
           {"proden", {}, {}},
           {"cross_entropy", {}, {}},
           {"lws", {}, {}},
           {"nn", {}, {"risk"}},
           {"ga", {}, {"risk"}},
           {"cavl", {"cavl.variant=published"}, {}},
           {"exp", {}, {"undefined"}},
           {"ill", {"ill.balance=0.1"}, {}},
           {"dirk", {"dirk.momentum=0.9"}, {"ema_test_accuracy"}},
           {"rc", {"objective.update=after"}, {}},
           {"lwc", {"objective.update=before"}, {}},
           {"fredis",
            {"fredis.interval=1", "fredis.theta=0.2", "fredis.change_size=20"},
            {"candidates", "theta", "delta"}},
           {"pop", {"pop.warm_up=0", "pop.window=2", "pop.theta=0.6"}, {"candidates", "theta"}}}) {
    const std::string& method = run.method;
    CAPTURE(method);
    std::vector<std::string> settings = run.settings;
    settings.push_back("objective.method=" + method);
    const auto with = [&](const std::string& more) {
      std::vector<std::string> all = settings;
      all.push_back(more);
      return all;
    };
    require_done(run_process(runs.command(method, with("run.epochs=3"))));
    require_done(run_process(runs.command(method + "-cut", with("run.epochs=1"))));
    require_done(runs.resume(method + "-cut", {"run.epochs=3"}));
    for (const char* file : {"model.safetensors", "labels.csv"}) {
      CAPTURE(file);
      CHECK(read_text(runs.run_file(method, file)) == read_text(runs.run_file(method + "-cut", file)));
    }
    if (method == "dirk") {  // the teacher, whose weights and running statistics are its own
      const std::string teacher = "model_ema.safetensors";
      CHECK(read_text(runs.run_file(method, teacher)) == read_text(runs.run_file(method + "-cut", teacher)));
      const SafetensorsFile own = SafetensorsFile::read(runs.run_file(method, teacher)),
                            trained = SafetensorsFile::read(runs.run_file(method, "model.safetensors"));
      for (const auto& [name, entry] : own.entries()) {
        CAPTURE(name);
        if (name.ends_with("running_mean")) CHECK(own.get<float>(name) != trained.get<float>(name));
      }
    }
    const std::vector<std::string> lines = lines_of(read_text(runs.run_file(method, "metrics.csv")));
    REQUIRE(lines.size() == 4);
    const auto column = [&](std::size_t line, const std::string& name) {
      return columns_of(lines[line]).at(column_of(lines[0], name));
    };
    CHECK(std::isfinite(std::stod(column(3, "train_loss"))));
    CHECK(column(3, "lambda") == "");  // PLCR's
    for (const std::string& name : run.columns) CHECK(std::isfinite(std::stod(column(3, name))));
    if (method == "pop") CHECK(std::stod(column(3, "candidates")) < std::stod(column(2, "candidates")));
    CHECK(has(read_text(runs.run_file(method, "config.ini")), "method = " + method + "\n"));

    const ProcessResult refused = runs.resume(method + "-cut", {"objective.method=plcr", "run.epochs=4"});
    CHECK(refused.exit_code != 0);
    CHECK(has(refused.err, "objective.method is " + method + " there and plcr here"));
  }
}

TEST_CASE("objective.method: every method trains") {
  const EngineRuns runs({"log.charts=false", "optimiser.lr=0.01", "run.epochs=1"});
  std::vector<std::string> names;
  Methods methods;
  for_each_method(methods, [&](const auto& method) { names.emplace_back(method.about.name); });
  CHECK(names.size() >= 33);
  for (const std::string& name : names) {
    CAPTURE(name);
    const ProcessResult result = run_process(runs.command(name, {"objective.method=" + name}));
    require_done(result);
    CHECK(!has(result.err, "warning"));
    const std::vector<std::string> lines = lines_of(read_text(runs.run_file(name, "metrics.csv")));
    REQUIRE(lines.size() == 2);
    CHECK(std::isfinite(std::stod(columns_of(lines[1]).at(column_of(lines[0], "train_loss")))));
  }
}

TEST_CASE("objective.method: what cannot be is said in a line") {
  const EngineRuns runs({"log.charts=false"});
  const ProcessResult unknown = run_process(runs.command("a", {"objective.method=prodan"}));
  CHECK(unknown.exit_code == 3);
  CHECK(has(unknown.err, "--set objective.method=prodan: not known; did you mean proden?"));
  const ProcessResult unused =
      run_process(runs.command("b", {"objective.method=proden", "plcr.lambda_max=2", "run.epochs=1"}));
  require_done(unused);
  CHECK(has(unused.err, "warning: --set plcr.lambda_max=2 is not used: objective.method is proden"));
  const ProcessResult averaged =
      run_process(runs.command("c", {"objective.method=dirk", "optimiser.ema=0.9"}));
  CHECK(averaged.exit_code == 3);
  CHECK(has(averaged.err,
            "the averaged weights are the teacher of dirk, which dirk.momentum averages; expected "
            "ema = 0"));
}

TEST_CASE(
    "optimiser.kind: runs of adam and adamw are gone on with to the same bytes, and none of another kind "
    "is") {
  const EngineRuns runs({"log.charts=false", "optimiser.lr=0.001", "checkpoint.every_steps=1"});
  for (const std::string kind : {"adam", "adamw"}) {
    CAPTURE(kind);
    const std::string setting = "optimiser.kind=" + kind;
    require_done(run_process(runs.command(kind, {setting, "run.epochs=3"})));
    require_done(run_process(runs.command(kind + "-cut", {setting, "run.epochs=1"})));
    const ProcessResult refused = runs.resume(kind + "-cut", {"optimiser.kind=sgd", "run.epochs=3"});
    CHECK(refused.exit_code != 0);
    CHECK(has(refused.err, "optimiser.kind is adam there and sgd here"));
    require_done(runs.resume(kind + "-cut", {"run.epochs=3"}));
    CHECK(read_text(runs.run_file(kind, "model.safetensors")) ==
          read_text(runs.run_file(kind + "-cut", "model.safetensors")));
  }
  CHECK(read_text(runs.run_file("adam", "model.safetensors")) !=
        read_text(runs.run_file("adamw", "model.safetensors")));
  const ProcessResult nesterov =
      run_process(runs.command("n", {"optimiser.kind=adam", "optimiser.nesterov=true"}));
  CHECK(nesterov.exit_code == 3);
  CHECK(has(nesterov.err, "Nesterov momentum is of kind = sgd"));
}
