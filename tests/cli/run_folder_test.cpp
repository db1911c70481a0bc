// The life of a run's folder: what a kill, a copy, a damaged file or a refused resume leaves, and what comes
// of it.
#include <filesystem>

#include "cli/engine_runs.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kOneEpoch = {"run.epochs=1", "log.charts=false"};

}  // namespace

TEST_CASE("run folder: a resume that is refused leaves every byte as it was") {
  const EngineRuns runs(kOneEpoch);
  require_done(runs.train("a"));
  const auto before = hashes_of(runs.run_folder("a"));
  for (const char* change : {"optimiser.batch=4", "run.seed=9", "views.strong=3"}) {
    const ProcessResult refused = runs.resume("a", {"run.epochs=2", change});
    CHECK_MESSAGE(refused.exit_code == 4, change);
    CHECK(has(refused.err, "belongs to another run: "));
    CHECK(hashes_of(runs.run_folder("a")) == before);
  }
  require_done(runs.resume("a", {"run.epochs=2"}));
  // One that has nowhere to go on from makes no folder.
  const ProcessResult nowhere = run_process(engine({runs.config(), "--set", "run.name=nowhere", "--resume"}));
  CHECK(nowhere.exit_code == 5);
  CHECK(has(nowhere.err, "there is no run folder '"));
  CHECK_FALSE(fs::exists(runs.run_folder("nowhere")));
}

TEST_CASE("run folder: killed before the first checkpoint, a run begins anew") {
  const EngineRuns runs(kOneEpoch);
  require_done(runs.train("whole"));
  require_done(runs.train("killed"));
  // What is there behind the first rows of tables and before the first checkpoint.
  for (const char* name : {"checkpoint.safetensors", "model.safetensors", "labels.csv", "summary.json"}) {
    fs::remove(runs.run_file("killed", name));
  }
  const ProcessResult refused = runs.resume("killed");
  CHECK(refused.exit_code == 5);
  CHECK(has(refused.err, "has no checkpoint to resume from; without --resume it begins anew"));
  const ProcessResult again = runs.train("killed");
  require_done(again);
  CHECK(has(again.out,
            "warning: an earlier start was killed before its first checkpoint; this one begins anew"));
  for (const char* name : {"model.safetensors", "labels.csv"}) {
    CHECK(read_file(runs.run_file("killed", name)) == read_file(runs.run_file("whole", name)));
  }
  CHECK(lines_of(read_text(runs.run_file("killed", "metrics.csv"))).size() == 2);
}

TEST_CASE("run folder: results that are missing, or of fewer epochs than the checkpoint, are written again") {
  const EngineRuns runs(kOneEpoch);
  require_done(runs.train("a"));
  const std::string summary = read_text(runs.run_file("a", "summary.json"));
  const std::vector<std::uint8_t> model = read_file(runs.run_file("a", "model.safetensors"));
  for (const char* name : {"model.safetensors", "labels.csv", "summary.json"}) {
    fs::remove(runs.run_file("a", name));
    const ProcessResult result = runs.resume("a");
    require_done(result);
    CHECK(has(result.out, "is complete: 1 epochs"));
    CHECK_MESSAGE(fs::exists(runs.run_file("a", name)), name);
  }
  CHECK(read_file(runs.run_file("a", "model.safetensors")) == model);
  // Extended, and killed between the last checkpoint and the results: those of one epoch lie there.
  require_done(runs.resume("a", {"run.epochs=2"}));
  write_file_atomically(runs.run_file("a", "model.safetensors"), model.data(), model.size());
  write_text(runs.run_file("a", "summary.json"), summary);
  require_done(runs.resume("a", {"run.epochs=2"}));
  CHECK(has(read_text(runs.run_file("a", "summary.json")), "\"epochs\": 2"));
  CHECK(read_file(runs.run_file("a", "model.safetensors")) != model);
}

TEST_CASE("run folder: a copied or renamed run goes on where it lies") {
  const EngineRuns runs(kOneEpoch);
  require_done(runs.train("a"));
  fs::copy(runs.run_folder("a"), runs.run_folder("b"), fs::copy_options::recursive);
  const auto original = hashes_of(runs.run_folder("a"));
  const ProcessResult copied = runs.resume("b", {"run.epochs=2"});
  require_done(copied);
  CHECK(hashes_of(runs.run_folder("a")) == original);
  CHECK(lines_of(read_text(runs.run_file("b", "metrics.csv"))).size() == 3);
  CHECK_FALSE(has(copied.out, "changed since the checkpoint: run.name"));
  fs::rename(runs.run_folder("a"), runs.run_folder("c"));
  // From inside, by a relative path.
  const ProcessResult inside = run_process(engine({"config.ini", "--resume", "--set", "run.epochs=2"}),
                                           {.folder = runs.run_folder("c")});
  require_done(inside);
  CHECK_FALSE(fs::exists(runs.run_folder("a")));
  for (const char* name : {"model.safetensors", "labels.csv"}) {
    CHECK(read_file(runs.run_file("b", name)) == read_file(runs.run_file("c", name)));
  }
}

TEST_CASE("run folder: a newest checkpoint that is damaged or missing is replaced by the one before it") {
  const EngineRuns runs({"run.epochs=2", "log.charts=false"});
  require_done(runs.train("whole", {"run.epochs=3"}));
  for (const bool missing : {false, true}) {
    const std::string name = missing ? "missing" : "damaged";
    require_done(runs.train(name));
    const std::string newest = runs.run_file(name, "checkpoint.safetensors");
    std::vector<std::uint8_t> bytes = read_file(newest);
    bytes[bytes.size() / 2] ^= 1;
    fs::remove(newest);
    if (!missing) write_file_atomically(newest, bytes.data(), bytes.size());
    const ProcessResult result = runs.resume(name, {"run.epochs=3"});
    require_done(result);
    CHECK(has(result.out,
              missing ? "checkpoint.safetensors is missing; going on from the checkpoint before it: epoch 2"
                      : "damaged: its contents do not match its SHA-256; going on from the checkpoint before "
                        "it: epoch 2"));
    CHECK(read_file(runs.run_file(name, "model.safetensors")) ==
          read_file(runs.run_file("whole", "model.safetensors")));
    CHECK(lines_of(read_text(runs.run_file(name, "metrics.csv"))).size() == 4);
    CHECK(fs::exists(runs.run_file(name, "checkpoint.damaged.safetensors")) == !missing);
  }
}

TEST_CASE("run folder: what a kill left of files that were being written is removed") {
  const EngineRuns runs(kOneEpoch);
  fs::create_directories(runs.run_folder("a"));
  for (const char* name : {"metrics.csv.0123456789abcdef.tmp", "model.safetensors.7-0.tmp", "notes.tmp"}) {
    write_text(runs.run_file("a", name), "left");
  }
  require_done(runs.train("a"));
  CHECK_FALSE(fs::exists(runs.run_file("a", "metrics.csv.0123456789abcdef.tmp")));
  CHECK_FALSE(fs::exists(runs.run_file("a", "model.safetensors.7-0.tmp")));
  CHECK(fs::exists(runs.run_file("a", "notes.tmp")));  // somebody else's
}
