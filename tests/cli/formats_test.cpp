// What earlier releases wrote is read: tests/fixtures/runs holds a run of each, stopped before its end.
#include <filesystem>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"

using namespace dpll;
using namespace dpll::test;

namespace fs = std::filesystem;

TEST_CASE("formats: a run of every release goes on, keeps what it had, and its model is read") {
  const fs::path kept = fs::path(DPLL_TEST_FIXTURES) / "runs";
  int releases = 0;
  for (const auto& release : fs::directory_iterator(kept)) {
    if (!release.is_directory()) continue;
    ++releases;
    CAPTURE(release.path().string());
    const TempDir dir;
    const std::string run = dir.file(release.path().filename().string());
    fs::copy(release.path(), run, fs::copy_options::recursive);
    const std::vector<std::string> before = lines_of(read_text(run + "/metrics.csv"));
    REQUIRE(before.size() == 3);  // the names and two epochs

    const ProcessResult done = run_process(engine(
        {run + "/config.ini", "--resume", "--set", "data.path=" + kFashionFolder, "--set", "run.epochs=3"}));
    require_done(done);
    CHECK(has(done.out, "going on from epoch 3, step 0"));
    CHECK_FALSE(has(done.out, "was not set"));
    const std::vector<std::string> after = lines_of(read_text(run + "/metrics.csv"));
    REQUIRE(after.size() == 4);
    for (std::size_t row = 1; row < before.size(); ++row) CHECK(after[row].starts_with(before[row]));
    CHECK(SafetensorsFile::read(run + "/model.safetensors").metadata().at("epochs") == "3");
    require_done(run_process(engine({"evaluate", run, "--data", kFashionFolder, "--no-verify"})));
  }
  CHECK(releases > 0);
}
