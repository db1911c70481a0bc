// Users' own paths and files: any bytes in a path, files as editors save them, samples that are called by one
// number everywhere, tables that a spreadsheet reads.
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "cli/engine_runs.h"
#include "dpll/chart.h"
#include "dpll/safetensors.h"
#include "io/csv.h"
#include "io/text.h"

using dpll::read_file;
using namespace dpll::test;

namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kQuick = {"run.epochs=1", "log.charts=false"};

// The rows of a table behind its header, and behind its comment; no field holds a line break.
std::vector<std::vector<std::string>> rows_of(const std::string& path) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line : lines_of(read_text(path))) {
    if (line.starts_with("#") || line.starts_with("sample,")) continue;
    rows.push_back(dpll::csv_fields(line).value());
  }
  return rows;
}

ProcessResult export_sets(const EngineRuns& runs, const std::string& out,
                          const std::vector<std::string>& settings = {}) {
  std::vector<std::string> arguments = {"candidates", runs.config(), "--out", runs.file(out)};
  for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
  return run_process(engine(arguments));
}

void check_refused(const ProcessResult& result, int exit_code, const std::vector<std::string>& parts) {
  CAPTURE(result.out);
  CAPTURE(result.err);
  CHECK(result.exit_code == exit_code);
  CHECK(lines_of(result.err).size() == 1);
  for (const std::string& part : parts) CHECK_MESSAGE(has(result.err, part), "lacks: ", part);
}

// A file of `count` images of `side` x `side` pixels in grey, with labels 0, 1, ..., classes - 1, 0, ...
void write_arrays(const std::string& path, std::int64_t count, std::int64_t side, std::int64_t classes) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * side * side));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7919 % 251);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(i % classes);
  dpll::SafetensorsWriter writer;
  for (const char* part : {"images", "test_images"}) {
    writer.add(part, dpll::DType::u8, {count, side, side, 1}, pixels.data());
  }
  for (const char* part : {"labels", "test_labels"})
    writer.add(part, dpll::DType::i64, {count}, labels.data());
  writer.write(path);
}

}  // namespace

TEST_CASE("paths of any bytes: a run trains, goes on, is evaluated, predicts and is plotted") {
  const EngineRuns runs(kQuick);
  for (const std::string name : {"r\xFF", "line\nbreak \"and\" # more", "\xC3\x28\x1b[2J"}) {
    CAPTURE(name);
    const std::string folder = runs.file("out " + name), run = folder + "/" + name;
    const std::vector<std::string> settings = {"run.out_dir=" + folder, "run.name=" + name};
    const ProcessResult trained = runs.train("a", settings);
    require_done(trained);
    CHECK(has(trained.out, dpll::escaped(folder)));
    for (const char* file : {"config.ini", "train.log", "summary.json", "metrics.csv"}) {
      CHECK_MESSAGE(dpll::is_utf8(read_text(run + "/" + file)), file);
    }
    CHECK_FALSE(has(read_text(run + "/train.log"), "\x1b"));
    const ProcessResult resumed =
        run_process(engine({run + "/config.ini", "--resume", "--set", "run.epochs=2"}));
    require_done(resumed);
    CHECK(has(resumed.out, "going on from epoch 2"));
    CHECK_FALSE(has(resumed.out, "run.out_dir was"));
    CHECK(lines_of(read_text(run + "/metrics.csv")).size() == 3);
    require_done(run_process(engine({"evaluate", run})));
    const std::string images = folder + "/images", out = folder + "/p.csv";
    fs::copy_file(kFashionFolder + "/t10k-images-idx3-ubyte", images);
    require_done(run_process(engine({"predict", run, "--images", images, "--out", out})));
    CHECK(has(read_text(out), dpll::csv_line({images, "0"}).substr(0, images.size())));
    require_done(run_process(engine({"plot", run, "--out", folder + "/p.png"})));
    check_refused(runs.train("a", settings), 5, {dpll::escaped(run), "already holds a run"});
    check_refused(run_process(engine({folder + "/none.ini"})), 3, {dpll::escaped(folder)});
  }
}

TEST_CASE("paths of any bytes: a configuration may hold them as they are") {
  const EngineRuns runs(kQuick);
  const std::string data = runs.file(
      "donn\xE9"
      "es");
  fs::copy(kFashionFolder, data);
  std::string config = read_text(runs.config());
  config.replace(config.find("path = "), 7 + kFashionFolder.size(), "path = " + data);
  write_text(runs.config(), config);
  require_done(runs.train("a"));
  require_done(run_process(engine({"evaluate", runs.run_folder("a")})));
  fs::remove_all(data);
  check_refused(runs.train("b"), 4,
                {"donn\\xe9"
                 "es"});
}

TEST_CASE(
    "candidate files with a byte order mark and blank last lines are read, and what cannot be seen is "
    "shown") {
  const EngineRuns runs(kQuick);
  require_done(export_sets(runs, "s.csv"));
  const std::string good = read_text(runs.file("s.csv"));
  const std::vector<std::string> from_file = {"candidates.mode=file",
                                              "candidates.file=" + runs.file("s.csv")};
  write_text(runs.file("s.csv"), "\ufeff" + good + "\r\n\n");
  require_done(export_sets(runs, "again.csv", from_file));
  CHECK(read_text(runs.file("again.csv")) == good);
  std::string odd = good;
  odd.insert(odd.find("\n0,") + 3, "\u200b");
  write_text(runs.file("s.csv"), odd);
  check_refused(export_sets(runs, "again.csv", from_file), 4, {"s.csv:3: sample 0: \"\\u200b"});
}

TEST_CASE(
    "a sample has one number in every file, and sets of the whole training file serve every part of it") {
  const EngineRuns runs(kQuick);
  const std::vector<std::string> part = {"data.train_limit=24", "data.validation_fraction=0.5"};
  require_done(export_sets(runs, "all.csv"));
  require_done(export_sets(runs, "half.csv", part));
  CHECK(rows_of(runs.file("all.csv")).size() == 32);
  const auto half = rows_of(runs.file("half.csv"));
  REQUIRE(half.size() == 12);
  CHECK(lines_of(read_text(runs.file("half.csv")))[1] == "sample,position,candidates");

  std::vector<std::string> settings = part;
  settings.insert(settings.end(), {"candidates.mode=file", "candidates.file=" + runs.file("all.csv")});
  require_done(runs.train("from_all", settings));
  const std::string labels = runs.run_file("from_all", "labels.csv");
  CHECK(lines_of(read_text(labels))[0] == "sample,position,candidates,label,probability,posterior,miss");
  std::map<std::string, std::string> sets;
  for (const auto& row : rows_of(runs.file("all.csv"))) sets[row.at(0)] = row.at(1);
  const auto rows = rows_of(labels);
  REQUIRE(rows.size() == 12);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i].at(0) == half[i].at(0));
    CHECK(rows[i].at(1) == std::to_string(i));
    CHECK(half[i].at(1) == std::to_string(i));
    CHECK(rows[i].at(2) == sets.at(rows[i].at(0)));
  }

  // A file of just these samples is read back, by their numbers or, as earlier versions wrote it, by their
  // order.
  std::string by_order = "# dpll candidates, classes = 10, count = 12\nsample,candidates\n";
  for (const auto& row : half) by_order += dpll::csv_line({row.at(1), row.at(2)});
  write_text(runs.file("order.csv"), by_order);
  for (const char* file : {"half.csv", "order.csv"}) {
    settings.back() = "candidates.file=" + runs.file(file);
    require_done(export_sets(runs, "again.csv", settings));
    CHECK_MESSAGE(read_text(runs.file("again.csv")) == read_text(runs.file("half.csv")), file);
  }
  check_refused(
      runs.train("whole", {settings[2], "candidates.file=" + runs.file("half.csv")}), 4,
      {"half.csv: sample ", " has no set: the file has those of 12 samples", "training takes 32 of 32"});
}

TEST_CASE("predictions.csv quotes what a file's or a class's name makes necessary") {
  const EngineRuns runs(kQuick);
  require_done(runs.train("a"));
  const std::string name = runs.file("dress, red \"new\"\n.png"), out = runs.file("p.csv");
  const std::vector<std::uint8_t> grey(28 * 28, 100);
  dpll::write_png(name, 28, 28, 1, grey.data());
  require_done(run_process(engine({"predict", runs.run_folder("a"), "--images", name, "--out", out})));
  const std::string text = read_text(out);
  const std::size_t header = text.find('\n');
  const auto fields = dpll::csv_fields(text.substr(header + 1, text.size() - header - 2));
  REQUIRE(fields.has_value());
  REQUIRE(fields->size() == 5);
  CHECK(fields->front() == name);
}

TEST_CASE(
    "evaluate refuses images of another size and unknown classes, and takes data that lack the last "
    "classes") {
  const EngineRuns runs(kQuick);
  const auto settings = [&](const char* file) {
    return std::vector<std::string>{"data.dataset=safetensors", "data.path=" + runs.file(file)};
  };
  for (const auto& [file, side, classes] : {std::tuple{"ten.st", 8, 10}, std::tuple{"large.st", 16, 10},
                                            std::tuple{"more.st", 8, 12}, std::tuple{"less.st", 8, 4}}) {
    write_arrays(runs.file(file), 24, side, classes);
  }
  for (const char* network : {"lenet", "wide_resnet"}) {
    CAPTURE(network);
    std::vector<std::string> train = settings("ten.st");
    train.insert(train.end(), {std::string("model.architecture=") + network, "model.depth=10",
                               "model.width=1", "views.pad=1", "views.cutout=2"});
    require_done(runs.train(network, train));
    const auto evaluate = [&](const char* file) {
      return run_process(engine({"evaluate", runs.run_folder(network), "--data", runs.file(file)}));
    };
    require_done(evaluate("ten.st"));
    check_refused(evaluate("large.st"), 4,
                  {"large.st: 16x16 pixels with 1 channels; the network takes 8x8 with 1"});
    check_refused(evaluate("more.st"), 4, {"more.st: the data has 12 classes; the network tells 10 apart"});
    const ProcessResult less = evaluate("less.st");
    require_done(less);
    CHECK(lines_of(less.out).size() == 2 + 10);
  }
}

TEST_CASE(
    "batches of one sample before a batch norm are refused, or said where only an epoch's last one is") {
  const EngineRuns runs(kQuick);
  check_refused(runs.train("a", {"optimiser.batch=1"}), 3,
                {"optimiser.batch = 1: batch norm in lenet would have a single value per channel"});
  const std::string said =
      "warning: the last step of each epoch has a single sample (32 samples, optimiser.batch = 31)";
  const ProcessResult last = runs.train("a", {"optimiser.batch=31"});
  require_done(last);
  CHECK(has(last.out, said));
  const ProcessResult dropped = runs.train("b", {"optimiser.batch=31", "optimiser.drop_last=true"});
  require_done(dropped);
  CHECK_FALSE(has(dropped.out, "single sample"));
  const ProcessResult wide = runs.train("c", {"optimiser.batch=1", "data.train_limit=4", "model.depth=10",
                                              "model.width=1", "model.architecture=wide_resnet"});
  require_done(wide);
  CHECK_FALSE(has(wide.out, "single sample"));
}

TEST_CASE("labels that seem to start at 1 are pointed out, in sets and in data") {
  const EngineRuns runs(kQuick);
  std::string sets = "# dpll candidates, classes = 10, count = 32\nsample,candidates\n";
  for (int i = 0; i < 32; ++i) sets += fmt::format("{},{} 9\n", i, 1 + i % 8);
  write_text(runs.file("s.csv"), sets);
  const ProcessResult result =
      runs.train("a", {"candidates.mode=file", "candidates.file=" + runs.file("s.csv")});
  require_done(result);
  CHECK(has(
      result.out,
      "warning: label 0 is a candidate of no training sample: do the labels start at 1? They count from 0"));
}
