// tools/fetch_data, and its table of names and sums against the engine's.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/engine_runs.h"
#include "data/catalogue.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("tools/fetch_data: mirrors that behave, stop half-way, serve other bytes or a page") {
  const std::string python = "/usr/bin/env";  // finds it on PATH
  if (run_process({python, "python3", "-c", "import http.server"}).exit_code != 0) {
    DPLL_SKIP("python3 is not installed");
  }
  const std::string script = std::string(DPLL_SOURCE_DIR) + "/tests/cli/fetch_data_test.py";
  const ProcessResult result = run_process({python, "python3", script, kTools + "fetch_data"});
  CHECK_MESSAGE(result.exit_code == 0, result.out, result.err);
  CHECK(has(result.err, "Ran 16 tests"));
}

TEST_CASE("tools/fetch_data: its table is what the catalogue says") {
  const ProcessResult table = run_process(engine({"data", "list", "--json"}));
  require_done(table);
  CHECK_MESSAGE(table.out == read_text(std::string(DPLL_SOURCE_DIR) + "/tools/fetch_data.json"),
                "to renew it: dpll_engine data list --json > tools/fetch_data.json");
  const nlohmann::json sets = nlohmann::json::parse(table.out);
  CHECK(sets.size() >= 6);
  CHECK(sets.at("svhn_extra").at("folder") == sets.at("svhn").at("folder"));
  CHECK(sets.at("cifar10").at("files").size() == 6);
}
