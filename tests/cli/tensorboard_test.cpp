// What [log] tensorboard leaves in a run's folder, read byte by byte and by TensorBoard's own reader.
#include <cmath>
#include <filesystem>

#include "cli/engine_runs.h"
#include "data/image_file.h"
#include "dpll/run_charts.h"
#include "report/epoch_figures.h"
#include "support/event_reader.h"

using namespace dpll;
using namespace dpll::test;

namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kBoard = {"log.tensorboard=true", "log.charts=false",
                                         "data.selection_fraction=0.25"};

std::vector<std::string> event_files_of(const EngineRuns& runs, const std::string& run) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(runs.run_folder(run))) {
    if (has(entry.path().filename().string(), "tfevents")) files.push_back(entry.path().string());
  }
  return files;
}

// The events of the run's only file.
std::vector<ReadEvent> events_of(const EngineRuns& runs, const std::string& run) {
  const std::vector<std::string> files = event_files_of(runs, run);
  REQUIRE(files.size() == 1);
  return read_events(read_text(files[0]));
}

// The scalars are those of metrics.csv, each epoch is there once.
void check_is_the_table(const EngineRuns& runs, const std::string& run, std::size_t epochs) {
  const History table = read_metrics_csv(runs.run_file(run, "metrics.csv"));
  const std::vector<ReadEvent> events = events_of(runs, run);
  REQUIRE(table.rows.size() == epochs);
  REQUIRE(events.size() == epochs + 2);
  for (std::size_t i = 0; i < epochs; ++i) {
    std::map<std::string, float> want;
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      const std::string tag = tensorboard_tag(table.columns[column]);
      const double value = table.rows[i][column];
      if (!tag.empty() && !std::isnan(value)) want[tag] = static_cast<float>(value);
    }
    CHECK(events[i + 2].step == static_cast<std::int64_t>(i) + 1);
    CHECK(events[i + 2].scalars == want);
  }
}

}  // namespace

TEST_CASE("tensorboard: scalars are those of metrics.csv, the views come first, and nothing else changes") {
  const EngineRuns runs(kBoard);
  require_done(runs.train("board", {"evaluation.every=2"}));
  require_done(runs.train("plain", {"evaluation.every=2", "log.tensorboard=false"}));
  CHECK(event_files_of(runs, "plain").empty());
  for (const char* name : {"model.safetensors", "labels.csv"}) {
    CHECK(read_file(runs.run_file("board", name)) == read_file(runs.run_file("plain", name)));
  }
  check_is_the_table(runs, "board", 2);
  const std::vector<ReadEvent> events = events_of(runs, "board");
  CHECK(events[0].file_version == "brain.Event:2");
  // Only the last epoch was evaluated, and there is no validation part.
  CHECK(events[2].scalars.count("accuracy/test") == 0);
  CHECK(events[3].scalars.count("accuracy/test") == 1);
  CHECK(events[3].scalars.count("selection/covering_rate") == 1);
  CHECK(events[3].scalars.count("accuracy/validation") == 0);
  const ReadEvent::Image& views = events[1].images.at("views");
  const ImageSet sheet = decode_image(
      {reinterpret_cast<const std::uint8_t*>(views.encoded.data()), views.encoded.size()}, "views", 0);
  // As `preview` draws it: original, weak and two strong views of eight images.
  CHECK(sheet.width == 16 + 4 * (4 * 28 + 16));
  CHECK(views.width == sheet.width);
  CHECK(views.height == sheet.height);
}

TEST_CASE("tensorboard: what lies beyond the checkpoint is not there twice when a run goes on") {
  const EngineRuns runs(kBoard);
  require_done(runs.train("a"));
  const std::string before = event_files_of(runs, "a").at(0);
  // As if killed before the second epoch's checkpoint, while its record was being written.
  for (const char* name : {"checkpoint.safetensors", "model.safetensors", "summary.json"}) {
    fs::remove(runs.run_file("a", name));
  }
  write_text(before, read_text(before) + "half a rec");
  require_done(runs.resume("a", {"run.epochs=3"}));
  check_is_the_table(runs, "a", 3);
  CHECK_FALSE(fs::exists(before));
  // Begun without it, a run that goes on with it has the earlier epochs, too.
  require_done(runs.train("late", {"log.tensorboard=false"}));
  require_done(runs.resume("late", {"log.tensorboard=true", "run.epochs=3"}));
  check_is_the_table(runs, "late", 3);
}

TEST_CASE("tensorboard: a rollback takes the lost epochs away") {
  const EngineRuns runs({"optimiser.lr=1000", "optimiser.momentum=0", "optimiser.weight_decay=1000",
                         "run.epochs=4", "log.charts=false", "model.architecture=mlp", "model.hidden=8",
                         "guard.on_nonfinite=rollback", "guard.retries=100", "log.tensorboard=true"});
  const ProcessResult result = runs.train("a");
  require_done(result);
  CHECK(has(result.out, "Rollback 1 of 100"));
  check_is_the_table(runs, "a", 4);
}

TEST_CASE("tensorboard: a set of features has curves and no picture") {
  const EngineRuns runs({"log.tensorboard=true", "log.charts=false", "data.dataset=tabular",
                         std::string("data.path=") + DPLL_TEST_FIXTURES + "/tabular/sparse.mat",
                         "data.folds=3", "candidates.mode=dataset", "model.architecture=mlp",
                         "model.hidden=16"});
  require_done(runs.train("a"));
  const std::vector<ReadEvent> events = events_of(runs, "a");
  REQUIRE(events.size() == 3);
  CHECK(events[1].scalars.count("accuracy/test") == 1);
  for (const ReadEvent& event : events) CHECK(event.images.empty());
}

TEST_CASE("tensorboard: its own reader finds the same") {
  const ProcessResult installed =
      run_process({"/usr/bin/env", "python3", "-c",
                   "from tensorboard.backend.event_processing import event_multiplexer"});
  if (installed.exit_code != 0) DPLL_SKIP("python3 has no package tensorboard");
  const EngineRuns runs(kBoard);
  require_done(runs.train("a"));
  require_done(runs.train("b", {"run.seed=2"}));
  const ProcessResult read =
      run_process({"/usr/bin/env", "python3", "-c",
                   "import sys\n"
                   "from tensorboard.backend.event_processing import event_multiplexer\n"
                   "runs = event_multiplexer.EventMultiplexer().AddRunsFromDirectory(sys.argv[1]).Reload()\n"
                   "print(*sorted(runs.Runs()))\n"
                   "for run in sorted(runs.Runs()):\n"
                   "  image, = runs.Images(run, 'views')\n"
                   "  print(image.width, image.height, image.encoded_image_string[1:4].decode())\n"
                   "  for tag in 'loss/total', 'accuracy/test':\n"
                   "    print(*(f'{event.step}:{event.value:.6g}' for event in runs.Scalars(run, tag)))\n",
                   runs.file("runs")});
  require_done(read);
  std::string want = "a b\n";
  for (const char* run : {"a", "b"}) {
    const std::vector<ReadEvent> events = events_of(runs, run);
    const ReadEvent::Image& views = events[1].images.at("views");
    want += fmt::format("{} {} PNG\n", views.width, views.height);
    for (const char* tag : {"loss/total", "accuracy/test"}) {
      want += fmt::format("1:{:.6g} 2:{:.6g}\n", events[2].scalars.at(tag), events[3].scalars.at(tag));
    }
  }
  CHECK(read.out == want);
}
