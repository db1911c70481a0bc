// The candidate models from the command line, and what they refuse.
#include <nlohmann/json.hpp>

#include "cli/engine_runs.h"

using dpll::read_file;
using namespace dpll::test;

namespace {

ProcessResult export_sets(const EngineRuns& runs, const std::string& out,
                          const std::vector<std::string>& settings) {
  std::vector<std::string> arguments = {"candidates", runs.config(), "--out", out};
  for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
  return run_process(engine(arguments));
}

// A matrix of ten rows by value of the diagonal, the next label, and the rest.
std::string matrix(double same, double next, double rest) {
  std::string text = "# row: the truth\n";
  for (int y = 0; y < 10; ++y) {
    for (int c = 0; c < 10; ++c) {
      text += fmt::format("{}{}", c > 0 ? "," : "", c == y ? same : c == (y + 1) % 10 ? next : rest);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("every candidate model is drawn, exported, read back and trained on with the same result") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  write_text(runs.file("inclusion.csv"), matrix(1, 0.8, 0.1));
  write_text(runs.file("distractor.csv"), matrix(0.2, 0.8, 0));
  write_text(runs.file("super.csv"), "0,0\n1,0\n2,0\n3,1\n4,1\n5,1\n6,2\n7,2\n8,2\n9,2\n");
  const std::map<std::string, std::vector<std::string>> models = {
      {"inclusion", {"candidates.mode=class_dependent", "candidates.matrix=" + runs.file("inclusion.csv")}},
      {"distractor",
       {"candidates.mode=class_dependent", "candidates.matrix=" + runs.file("distractor.csv"),
        "candidates.matrix_kind=distractor"}},
      {"pair", {"candidates.mode=pair", "candidates.rate=0.9"}},
      {"hierarchical", {"candidates.mode=hierarchical", "candidates.superclasses=" + runs.file("super.csv")}},
      {"noisy", {"candidates.rate=0.5", "candidates.noise_rate=0.5"}},
      {"instance",
       {"candidates.mode=instance", "annotator.epochs=1", "annotator.batch=8",
        "annotator.cache=" + runs.file("cache")}}};
  for (const auto& model : models) {
    const std::string name = model.first;
    const auto& settings = model.second;
    CAPTURE(name);
    const std::string csv = runs.file(name + ".sets.csv");
    const ProcessResult exported = export_sets(runs, csv, settings);
    require_done(exported);
    CHECK(has(exported.out, "32 sets over 10 classes"));
    CHECK(has(exported.out, ", 0 without the true label") == (name != "noisy"));
    const ProcessResult trained = runs.train(name, settings);
    require_done(trained);
    CHECK(has(trained.out, "candidate sets do not have the true label") == (name == "noisy"));
    require_done(runs.train(name + "-read", {"candidates.mode=file", "candidates.file=" + csv}));
    CHECK(read_file(runs.run_file(name, "model.safetensors")) ==
          read_file(runs.run_file(name + "-read", "model.safetensors")));
    const auto summary = nlohmann::json::parse(read_text(runs.run_file(name, "summary.json")));
    const std::string sha256 = summary.at("identity").at("candidate sets (SHA-256)");
    CHECK(has(read_text(csv), "sha256 = " + sha256));
  }
  // The export trained the annotator, the run found it.
  CHECK(has(read_text(runs.run_file("instance", "train.log")), "annotator: its output is read from"));
}

TEST_CASE("what candidate models cannot be drawn from ends in one line and its exit code") {
  const EngineRuns runs;
  const auto refuse = [&](const std::vector<std::string>& settings, int exit_code,
                          const std::vector<std::string>& parts) {
    const ProcessResult result = export_sets(runs, runs.file("out.csv"), settings);
    CAPTURE(result.err);
    CHECK(result.exit_code == exit_code);
    CHECK(lines_of(result.err).size() == 1);
    for (const std::string& part : parts) CHECK_MESSAGE(has(result.err, part), "lacks: ", part);
    CHECK_FALSE(std::filesystem::exists(runs.file("out.csv")));
  };
  const std::string file = runs.file("m.csv");
  const auto with_matrix = [&](const std::string& text, const std::string& kind) {
    write_text(file, text);
    return std::vector<std::string>{"candidates.mode=class_dependent", "candidates.matrix=" + file,
                                    "candidates.matrix_kind=" + kind};
  };
  refuse({"candidates.mode=class_dependent"}, 3, {"candidates.matrix"});
  refuse({"candidates.mode=hierarchical"}, 3, {"candidates.superclasses", "cifar100"});
  refuse({"candidates.mode=file", "candidates.file=x.csv", "candidates.noise_rate=0.1"}, 3, {"noise_rate"});
  refuse({"candidates.mode=instance", "annotator.architecture=wide_resnet", "annotator.depth=17"}, 3,
         {"annotator.depth", "6n + 4"});
  refuse(with_matrix(matrix(0.5, 0.1, 0.1), "inclusion"), 4,
         {"m.csv:2", "does not keep its true label", "0.5"});
  refuse(with_matrix(matrix(1, 0.1, 0.1), "distractor"), 4, {"m.csv:2", "sums to 1.9", "expected 1"});
  refuse(with_matrix("1,0\n0,1\n", "inclusion"), 4, {"m.csv:1", "2 numbers", "10 classes"});
  refuse(with_matrix("words\n", "inclusion"), 4, {"m.csv:1", "\"words\""});
  write_text(file, "0,1\n");
  refuse({"candidates.mode=hierarchical", "candidates.superclasses=" + file}, 4, {"m.csv", "10"});
  refuse({"candidates.mode=hierarchical", "candidates.superclasses=" + runs.file("none.csv")}, 4,
         {"none.csv"});
  write_text(runs.file("in_the_way"), "a file");
  refuse({"candidates.mode=instance", "annotator.epochs=1", "annotator.cache=" + runs.file("in_the_way/x")},
         5, {"annotator.cache"});
}
