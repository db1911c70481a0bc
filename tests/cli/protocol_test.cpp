// Last epoch, best epoch (oracle) and label-free selection side by side, also over a stop and a resume.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"

using dpll::read_file;
using namespace dpll::test;

namespace {

using dpll::SafetensorsFile;

int epoch_of_selected_file(const EngineRuns& runs, const std::string& run) {
  const auto file = SafetensorsFile::read(runs.run_file(run, "model_selected.safetensors"));
  return std::stoi(file.metadata().at("epochs"));
}

int selected_epoch(const EngineRuns& runs, const std::string& run) {
  const auto summary = nlohmann::json::parse(read_text(runs.run_file(run, "summary.json")));
  return summary.at("protocols").at("approximated_accuracy").at("epoch");
}

// Of the first `epochs` rows of metrics.csv: the one with the best approximated accuracy.
int best_of_first(const EngineRuns& runs, const std::string& run, int epochs) {
  const std::vector<std::string> lines = lines_of(read_text(runs.run_file(run, "metrics.csv")));
  std::size_t column = 0;
  std::istringstream header(lines[0]);
  for (std::string name; std::getline(header, name, ',') && name != "selection_approximated_accuracy";)
    ++column;
  int best = 0;
  double value = -1;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    std::istringstream row(lines[static_cast<std::size_t>(epoch)]);
    std::string cell;
    for (std::size_t i = 0; i <= column; ++i) std::getline(row, cell, ',');
    if (std::stod(cell) > value) value = std::stod(cell), best = epoch;
  }
  return best;
}

// Writes a checkpoint again after `edit` has changed its metadata, without the tensors in `dropped`.
void edit_checkpoint(const std::string& path, const std::vector<std::string>& dropped,
                     const std::function<void(std::map<std::string, std::string>&)>& edit) {
  const auto file = SafetensorsFile::read(path);
  dpll::SafetensorsWriter writer;
  for (const auto& [name, entry] : file.entries()) {
    if (std::find(dropped.begin(), dropped.end(), name) != dropped.end()) continue;
    writer.add(name, entry.dtype, entry.shape, file.data(name));
  }
  auto metadata = file.metadata();
  metadata.erase(dpll::kDigestKey);
  edit(metadata);
  for (const auto& [key, value] : metadata) writer.set_metadata(key, value);
  writer.set_metadata(dpll::kDigestKey, writer.digest());
  writer.write(path);
}

ProcessResult resume_with(const EngineRuns& runs, const std::string& name,
                          const std::vector<std::string>& settings) {
  std::vector<std::string> command = runs.resume_command(name);
  for (const std::string& setting : settings) command.insert(command.end(), {"--set", setting});
  return run_process(command);
}

}  // namespace

TEST_CASE("a run with a held-out part reports every protocol and keeps the selected model") {
  const EngineRuns runs({"run.epochs=4", "log.charts=false", "data.selection_fraction=0.25"});
  const ProcessResult result = runs.train("a");
  require_done(result);
  const auto summary = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json")));
  CHECK(summary.at("training_samples") == 24);
  const auto& protocols = summary.at("protocols");
  CHECK(protocols.at("held_out_samples") == 8);
  CHECK(protocols.at("kept_by") == "approximated_accuracy");
  CHECK(protocols.at("last_epoch").at("epoch") == 4);
  CHECK(protocols.at("last_epoch").at("test_accuracy") == summary.at("last_epoch").at("test_accuracy"));
  CHECK(protocols.at("best_epoch").at("oracle") == true);
  const double best = protocols.at("best_epoch").at("test_accuracy");
  for (const char* rule : {"covering_rate", "approximated_accuracy"}) {
    CAPTURE(rule);
    const double held_out = protocols.at(rule).at(rule), accuracy = protocols.at(rule).at("test_accuracy");
    CHECK(held_out >= 0);
    CHECK(held_out <= 1);
    CHECK(accuracy <= best);
  }
  CHECK(protocols.at("approximated_accuracy").at("approximated_accuracy").get<double>() <=
        protocols.at("covering_rate").at("covering_rate").get<double>());
  const std::string log = read_text(runs.run_file("a", "train.log"));
  for (const char* line : {"last epoch", "best epoch, oracle: the test set chose it",
                           "selected by covering rate", "selected by approximated accuracy"}) {
    CHECK_MESSAGE(has(log, line), "lacks: ", line);
  }
  CHECK(has(read_text(runs.run_file("a", "metrics.csv")),
            ",selection_covering_rate,selection_approximated_accuracy,"));

  // The kept model is that of a run that ends with the selected epoch.
  const int epoch = protocols.at("approximated_accuracy").at("epoch");
  require_done(runs.train("until", {fmt::format("run.epochs={}", epoch)}));
  CHECK(read_file(runs.run_file("a", "model_selected.safetensors")) ==
        read_file(runs.run_file("until", "model_selected.safetensors")));

  // And it is what `evaluate --selected` opens.
  const ProcessResult evaluated = run_process(engine({"evaluate", runs.run_folder("a"), "--selected"}));
  require_done(evaluated);
  const double accuracy = protocols.at("approximated_accuracy").at("test_accuracy");
  CHECK_MESSAGE(has(evaluated.out, fmt::format(": accuracy {:.2f}%,", 100 * accuracy)), evaluated.out);
  CHECK(run_process(engine({"evaluate", runs.run_folder("a"), "--selected", "--ema"})).exit_code == 2);
}

TEST_CASE("a run without a held-out part says so in its summary") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  require_done(runs.train("a"));
  const auto protocols = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json"))).at("protocols");
  CHECK(protocols.at("held_out_samples") == 0);
  CHECK(protocols.at("covering_rate").is_null());
  CHECK(protocols.at("approximated_accuracy").is_null());
  CHECK_FALSE(std::filesystem::exists(runs.run_file("a", "model_selected.safetensors")));
  const ProcessResult evaluated = run_process(engine({"evaluate", runs.run_folder("a"), "--selected"}));
  CHECK(evaluated.exit_code == 4);
  CHECK(has(evaluated.err,
            "has no model_selected.safetensors: it was trained without data.selection_fraction"));
}

TEST_CASE("a run with a held-out part that is killed and resumed ends with the same files") {
  const EngineRuns runs({"run.epochs=4", "log.charts=false", "log.steps=1", "checkpoint.every_steps=1",
                         "data.selection_fraction=0.25"});
  require_done(runs.train("whole"));
  {
    Child child(runs.command("killed"), {});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    const auto enough = [&] {
      std::ifstream steps(runs.run_file("killed", "steps.csv"));
      return std::count(std::istreambuf_iterator<char>(steps), std::istreambuf_iterator<char>(), '\n') > 7 &&
             std::filesystem::exists(runs.run_file("killed", "checkpoint.safetensors"));
    };
    while (child.running() && !enough() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    child.signal(SIGKILL);
    REQUIRE(child.wait().exit_code == 128 + SIGKILL);
  }
  require_done(run_process(runs.resume_command("killed")));
  for (const char* name : {"model.safetensors", "model_selected.safetensors", "labels.csv"}) {
    CAPTURE(name);
    CHECK(read_file(runs.run_file("whole", name)) == read_file(runs.run_file("killed", name)));
  }
  const auto protocols_of = [&](const std::string& run) {
    return nlohmann::json::parse(read_text(runs.run_file(run, "summary.json"))).at("protocols").dump();
  };
  CHECK(protocols_of("whole") == protocols_of("killed"));
  // Another held-out part is another training set.
  const ProcessResult other =
      runs.train("killed", {"run.resume=yes", "run.epochs=5", "data.selection_fraction=0.5"});
  CHECK(other.exit_code == 4);
  CHECK(has(other.err, "belongs to another run"));
}

TEST_CASE("the selected model belongs to the checkpoint, whatever is killed, changed or damaged") {
  // 200 test images, one at a time: an epoch lasts long enough to be killed in.
  const EngineRuns runs({"data.selection_fraction=0.25", "evaluation.batch=1", "log.charts=false",
                         "optimiser.lr=0.001", "run.epochs=6"});
  dpll::SafetensorsWriter data;
  for (const auto& [prefix, count] : {std::pair{std::string(), 32}, std::pair{std::string("test_"), 200}}) {
    std::vector<std::uint8_t> images;
    std::vector<std::int32_t> labels;
    for (int i = 0; i < count; ++i) {
      labels.push_back(i % 4);
      for (int p = 0; p < 28 * 28; ++p) images.push_back(static_cast<std::uint8_t>(60 * (i % 4) + p % 40));
    }
    data.add(prefix + "images", dpll::DType::u8, {count, 28, 28, 1}, images.data());
    data.add(prefix + "labels", dpll::DType::i32, {count}, labels.data());
  }
  data.write(runs.file("data.safetensors"));
  const auto train = [&](const std::string& name, std::vector<std::string> settings) {
    settings.insert(settings.end(),
                    {"data.dataset=safetensors", "data.path=" + runs.file("data.safetensors")});
    return runs.command(name, settings);
  };
  require_done(run_process(train("whole", {})));
  const int best_of_three = best_of_first(runs, "whole", 3);
  REQUIRE(best_of_first(runs, "whole", 5) > 3);  // or there is nothing to be mixed up

  SUBCASE("killed between two checkpoints, and changed") {
    Child child(train("killed", {"checkpoint.every=3"}), {});
    const std::string metrics = runs.run_file("killed", "metrics.csv");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (child.running() && std::chrono::steady_clock::now() < deadline &&
           !(std::filesystem::exists(metrics) && lines_of(read_text(metrics)).size() == 6)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    child.signal(SIGKILL);
    REQUIRE(child.wait().exit_code == 128 + SIGKILL);
    CHECK(epoch_of_selected_file(runs, "killed") == best_of_three);
    // So large a rate that nothing is learnt any more.
    require_done(resume_with(runs, "killed", {"optimiser.lr=5"}));
    CHECK(selected_epoch(runs, "killed") == epoch_of_selected_file(runs, "killed"));
    CHECK(lines_of(read_text(metrics)).size() == 7);
  }
  SUBCASE("the newest checkpoint is damaged, or the model's file is gone") {
    const std::string newest = runs.run_file("whole", "checkpoint.safetensors");
    const std::string selected = runs.run_file("whole", "model_selected.safetensors");
    const std::vector<std::uint8_t> good = read_file(selected);
    std::filesystem::remove(selected);
    require_done(resume_with(runs, "whole", {}));
    CHECK(read_file(selected) == good);
    std::vector<std::uint8_t> bytes = read_file(newest);
    bytes[bytes.size() / 2] ^= 1;
    dpll::write_file_atomically(newest, bytes.data(), bytes.size());
    CHECK(resume_with(runs, "whole", {"run.max_hours=1e-9"}).exit_code == 75);
    CHECK(epoch_of_selected_file(runs, "whole") == best_of_first(runs, "whole", 5));
  }
  SUBCASE("a rule that chooses an epoch whose model was not kept is refused") {
    const auto before = hashes_of(runs.run_folder("whole"));
    const ProcessResult refused =
        resume_with(runs, "whole", {"run.epochs=7", "evaluation.selection=covering_rate"});
    CHECK(refused.exit_code == 3);
    CHECK_MESSAGE(has(refused.err, "evaluation.selection = covering_rate selects epoch "), refused.err);
    CHECK(has(refused.err, ", whose model was not kept: there is that of epoch "));
    CHECK(hashes_of(runs.run_folder("whole")) == before);
  }
  SUBCASE("checkpoints of earlier versions, without the model and with the history as text") {
    nlohmann::json history;
    const std::vector<std::string> lines = lines_of(read_text(runs.run_file("whole", "metrics.csv")));
    std::istringstream names(lines[0]);
    for (std::string name; std::getline(names, name, ',');) history["columns"].push_back(name);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      nlohmann::json row = nlohmann::json::array();
      std::istringstream cells(lines[i] + ",");
      for (std::string cell; std::getline(cells, cell, ',');) {
        row.push_back(cell.empty() ? nlohmann::json() : nlohmann::json(std::stod(cell)));
      }
      history["rows"].push_back(row);
    }
    const std::string metrics = read_text(runs.run_file("whole", "metrics.csv"));
    edit_checkpoint(runs.run_file("whole", "checkpoint.safetensors"), {"history", "selected_model"},
                    [&](auto& metadata) {
                      metadata.erase("selected_epoch");
                      metadata.erase("history_columns");
                      metadata["history"] = history.dump();
                    });
    const int epoch = epoch_of_selected_file(runs, "whole");
    require_done(resume_with(runs, "whole", {}));
    CHECK(read_text(runs.run_file("whole", "metrics.csv")) == metrics);
    CHECK(epoch_of_selected_file(runs, "whole") == epoch);
  }
}
