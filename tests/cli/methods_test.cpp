// The methods besides PLCR as a user runs them.
#include <algorithm>
#include <string>
#include <vector>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"

using namespace dpll;
using namespace dpll::test;

namespace {

std::vector<std::string> columns_of(const std::string& line) {
  std::vector<std::string> columns;
  std::istringstream in(line);
  for (std::string column; std::getline(in, column, ',');) columns.push_back(column);
  return columns;
}

}  // namespace

TEST_CASE("dpll_engine methods: name, paper, formula and keys of each") {
  const ProcessResult result = run_process(engine({"methods"}));
  require_done(result);
  for (const char* part : {"plcr\n", "ICML 2022", "[plcr] lambda_max = 1 ", "proden\n", "ICML 2020",
                           "t <- norm_S(p)", "[proden] variant = article ", "cross_entropy\n"}) {
    CAPTURE(part);
    CHECK(has(result.out, part));
  }
}

TEST_CASE(
    "objective.method: runs of proden and cross_entropy train, are gone on with and keep their method") {
  const EngineRuns runs({"log.charts=false", "optimiser.lr=0.01"});
  for (const std::string method : {"proden", "cross_entropy"}) {
    CAPTURE(method);
    const std::string setting = "objective.method=" + method;
    require_done(run_process(runs.command(method, {setting, "run.epochs=3"})));
    require_done(run_process(runs.command(method + "-cut", {setting, "run.epochs=1"})));
    require_done(runs.resume(method + "-cut", {"run.epochs=3"}));
    for (const char* file : {"model.safetensors", "labels.csv"}) {
      CAPTURE(file);
      CHECK(read_text(runs.run_file(method, file)) == read_text(runs.run_file(method + "-cut", file)));
    }
    const std::vector<std::string> lines = lines_of(read_text(runs.run_file(method, "metrics.csv")));
    REQUIRE(lines.size() == 4);
    const std::vector<std::string> names = columns_of(lines[0]), values = columns_of(lines[3]);
    const auto column = [&](const char* name) {
      const auto at = std::find(names.begin(), names.end(), name);
      REQUIRE(at != names.end());
      return values.at(static_cast<std::size_t>(at - names.begin()));
    };
    CHECK(std::stod(column("train_loss")) > 0);
    CHECK(column("lambda") == "");  // PLCR's
    CHECK(has(read_text(runs.run_file(method, "config.ini")), "method = " + method + "\n"));

    const ProcessResult refused = runs.resume(method + "-cut", {"objective.method=plcr", "run.epochs=4"});
    CHECK(refused.exit_code != 0);
    CHECK(has(refused.err, "objective.method is " + method + " there and plcr here"));
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
}
