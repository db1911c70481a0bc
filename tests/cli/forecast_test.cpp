// A long run says after its first steps what it is going to take.
#include <chrono>
#include <csignal>
#include <thread>

#include "cli/engine_runs.h"

using namespace dpll::test;

namespace {

// Starts a run and sends SIGINT as soon as its log has a forecast.
ProcessResult stop_after_forecast(const std::vector<std::string>& command, const std::string& log) {
  Child child(command, {});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  const auto told = [&] { return std::filesystem::exists(log) && has(read_text(log), " a step: about "); };
  while (child.running() && !told() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  child.signal(SIGINT);
  return child.wait();
}

std::vector<std::string> forecasts_in(const std::string& text) {
  std::vector<std::string> lines = lines_of(text);
  std::erase_if(lines, [](const std::string& line) { return !has(line, " a step: about "); });
  return lines;
}

}  // namespace

TEST_CASE("a long run says once, on the console and in its log, what it will take, and again when resumed") {
  const EngineRuns runs({"run.epochs=1000000", "model.architecture=wide_resnet", "model.depth=10",
                         "model.width=4", "optimiser.batch=2", "log.charts=false"});
  const std::string log = runs.run_file("long", "train.log");
  const ProcessResult stopped = stop_after_forecast(runs.command("long"), log);
  CHECK_MESSAGE(stopped.exit_code == 128 + SIGINT, stopped.out, stopped.err);
  const std::vector<std::string> told = forecasts_in(stopped.out);
  REQUIRE(told.size() == 1);
  CHECK(has(told[0], " days for the whole run, evaluation included; "));
  CHECK(has(told[0], " for this long is meant for a GPU: [run] device = cuda"));
  REQUIRE(forecasts_in(read_text(log)).size() == 1);
  CHECK(forecasts_in(read_text(log))[0].ends_with("  " + told[0]));

  std::filesystem::rename(log, runs.file("first.log"));
  const ProcessResult resumed = stop_after_forecast(runs.resume_command("long"), log);
  CHECK_MESSAGE(resumed.exit_code == 128 + SIGINT, resumed.out, resumed.err);
  REQUIRE(forecasts_in(resumed.out).size() == 1);
  CHECK(has(forecasts_in(resumed.out)[0], " days for what is left of the run"));
}
