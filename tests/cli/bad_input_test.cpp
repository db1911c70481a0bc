// Bad input ends in one clear line and the documented exit code, and overwrites nothing.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/engine_runs.h"

using namespace dpll::test;

namespace {

// One line on stderr that holds each of `parts`, and the exit code.
void check_refused(const ProcessResult& result, int exit_code, const std::vector<std::string>& parts) {
  CAPTURE(result.out);
  CAPTURE(result.err);
  CHECK(result.exit_code == exit_code);
  CHECK(lines_of(result.err).size() == 1);
  for (const std::string& part : parts) CHECK_MESSAGE(has(result.err, part), "lacks: ", part);
}

// A copy of the data folder in which one file has other bytes.
std::string damaged_data(const EngineRuns& runs, const std::string& name, const std::string& bytes) {
  const std::string folder = runs.file("data");
  std::filesystem::remove_all(folder);
  std::filesystem::copy(kFashionFolder, folder);
  write_text(folder + "/" + name, bytes);
  return "data.path=" + folder;
}

}  // namespace

TEST_CASE(
    "configurations that are missing, empty, not INI, unknown or out of range are refused with code 3") {
  const EngineRuns runs;
  check_refused(run_process(engine({runs.file("none.ini")})), 3, {"none.ini"});
  write_text(runs.file("empty.ini"), "");
  check_refused(run_process(engine({runs.file("empty.ini")})), 3, {"empty.ini", "holds no configuration"});
  write_text(runs.file("not.ini"), "these words are no settings\n");
  check_refused(run_process(engine({runs.file("not.ini")})), 3, {"not.ini", "1"});
  check_refused(runs.train("a", {"optimiser.lrr=1"}), 3, {"optimiser.lrr", "optimiser.lr"});
  check_refused(runs.train("a", {"optimiser.momentum=1"}), 3, {"optimiser.momentum", "1"});
  check_refused(runs.train("a", {"model.architecture=wide_resnet", "model.depth=12"}), 3, {"depth", "6n"});
  check_refused(runs.train("a", {"optimiser.batch=33"}), 3, {"optimiser.batch", "33", "32"});
  check_refused(runs.train("a", {"run.device=cuda"}), 6, {"cuda"});
  check_refused(run_process(engine({"tune", DPLL_SOURCE_DIR "/configs/reference.ini"})), 6, {"cuda"});
  for (const char* sizes : {"32x32,10", "32x32x3", "32x32x0,10", "32x32x3,1", "32x32x3,10x"}) {
    check_refused(
        run_process(engine({"tune", DPLL_SOURCE_DIR "/configs/reference.ini", "--synthetic", sizes})), 2,
        {"--synthetic", sizes, "32x32x3,10"});
  }
}

TEST_CASE("damaged data files are refused with code 4, naming the file") {
  const EngineRuns runs;
  const std::string images = "train-images-idx3-ubyte", labels = "train-labels-idx1-ubyte";
  const std::string good_images = read_text(kFashionFolder + "/" + images),
                    good_labels = read_text(kFashionFolder + "/" + labels);
  check_refused(runs.train("a", {"data.path=" + runs.file("nowhere")}), 4, {"nowhere"});
  const auto refuse = [&](const std::string& name, const std::string& bytes) {
    check_refused(runs.train("a", {damaged_data(runs, name, bytes)}), 4, {name});
  };
  refuse(images, good_images.substr(0, good_images.size() - 1));
  refuse(images, good_images + "x");
  refuse(images, "\x01" + good_images.substr(1));
  refuse(labels, good_labels.substr(0, good_labels.size() - 1) + "\x0a");  // label 10 of 10 classes
  refuse(labels, std::string("\0\0\x08\x01\0\0\0\x01\x01", 9));            // one label, 32 images
  write_text(runs.file("lie.safetensors"), std::string(7, '\xff') + "\x7f{}");
  check_refused(runs.train("a", {"data.dataset=safetensors", "data.path=" + runs.file("lie.safetensors")}), 4,
                {"lie.safetensors"});
}

TEST_CASE("candidate files with an empty row or of other classes are refused with code 4") {
  const EngineRuns runs;
  const auto refuse = [&](const std::string& text) {
    write_text(runs.file("sets.csv"), text);
    check_refused(runs.train("a", {"candidates.mode=file", "candidates.file=" + runs.file("sets.csv")}), 4,
                  {"sets.csv"});
  };
  require_done(run_process(engine({"candidates", runs.config(), "--out", runs.file("good.csv")})));
  const std::string good = read_text(runs.file("good.csv"));
  REQUIRE(has(good, "classes = 10"));
  std::string other = good;
  refuse(other.replace(other.find("classes = 10"), 12, "classes = 11"));
  std::vector<std::string> lines = lines_of(good);
  lines[2] = "0,";
  std::string empty_row;
  for (const std::string& line : lines) empty_row += line + "\n";
  refuse(empty_row);
}

TEST_CASE("a run folder that cannot be made, is in use, or already holds a run is refused with code 5") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  write_text(runs.file("in_the_way"), "a file");
  check_refused(runs.train("a", {"run.out_dir=" + runs.file("in_the_way")}), 5, {"in_the_way"});
  require_done(runs.train("a"));
  const auto before = hashes_of(runs.run_folder("a"));
  check_refused(runs.train("a"), 5, {"already holds a run", "--resume"});
  CHECK(hashes_of(runs.run_folder("a")) == before);
  const int lock = open(runs.run_file("a", ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  REQUIRE(lock >= 0);
  REQUIRE(flock(lock, LOCK_EX | LOCK_NB) == 0);
  check_refused(run_process(runs.resume_command("a")), 5, {"in use by another process"});
  close(lock);
}

TEST_CASE("a checkpoint that does not fit on the disk ends the run with code 5 and leaves the one before") {
  const EngineRuns runs({"log.charts=false", "run.epochs=3"});
  require_done(runs.train("a", {"run.epochs=1"}));
  const auto checkpoint = dpll::read_file(runs.run_file("a", "checkpoint.safetensors"));
  const ProcessResult full =
      run_process(runs.command("a", {"run.resume=yes"}), {.folder = "", .file_size_limit = 1 << 20});
  check_refused(full, 5, {"checkpoint.safetensors"});
  CHECK(dpll::read_file(runs.run_file("a", "checkpoint.safetensors")) == checkpoint);
  require_done(runs.train("a", {"run.resume=yes"}));
}

TEST_CASE("checkpoints that are damaged or of another run are refused with code 4 and left alone") {
  const EngineRuns runs({"log.charts=false", "run.epochs=1"});
  require_done(runs.train("a"));
  const std::string path = runs.run_file("a", "checkpoint.safetensors");
  const std::string good = read_text(path);
  const auto refuse = [&](const std::string& bytes, const std::vector<std::string>& settings,
                          const std::vector<std::string>& parts) {
    write_text(path, bytes);
    std::vector<std::string> all = {"run.resume=yes", "run.epochs=2"};
    all.insert(all.end(), settings.begin(), settings.end());
    check_refused(runs.train("a", all), 4, parts);
    CHECK(read_text(path) == bytes);
  };
  refuse(good.substr(0, good.size() / 2), {}, {"checkpoint.safetensors"});
  std::string flipped = good;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  refuse(flipped, {}, {"damaged", "SHA-256"});
  std::string other_format = good;
  const std::size_t format = other_format.find("dpll checkpoint 2");
  REQUIRE(format != std::string::npos);
  other_format.replace(format, 17, "dpll checkpoint 9");
  refuse(other_format, {}, {"dpll checkpoint 9", "dpll checkpoint 2"});
  refuse(good, {"model.architecture=wide_resnet", "model.depth=10", "model.width=1"}, {"network", "LeNet"});
  refuse(good, {"data.train_limit=24"}, {"another run"});
  refuse(good, {"candidates.seed=3"}, {"candidate sets"});
}

TEST_CASE("a learning rate that blows up stops the run with code 5, naming step, samples and tensor") {
  const EngineRuns runs({"log.charts=false"});
  check_refused(runs.train("a", {"optimiser.lr=1000", "optimiser.momentum=0.999",
                                 "optimiser.weight_decay=1000", "run.epochs=20"}),
                5, {"epoch", "step", "first: ", "samples", "optimiser.lr"});
}

TEST_CASE("predict refuses images of the wrong size and files that are no images with code 4") {
  const EngineRuns runs({"log.charts=false", "run.epochs=1"});
  require_done(runs.train("a"));
  write_text(runs.file("no.png"), "no picture");
  const auto predict = [&](const std::string& image) {
    return run_process(
        engine({"predict", runs.run_folder("a"), "--images", image, "--out", runs.file("p.csv")}));
  };
  check_refused(predict(runs.file("no.png")), 4, {"no.png"});
  check_refused(predict(std::string(DPLL_TEST_FIXTURES) + "/cifar-10-batches-bin/test_batch.bin"), 4,
                {"test_batch.bin", "32x32", "28x28"});
  CHECK_FALSE(std::filesystem::exists(runs.file("p.csv")));
}

TEST_CASE("the command line explains itself, and wrong ones end with code 2") {
  const ProcessResult none = run_process(engine({}));
  CHECK(none.exit_code == 2);
  CHECK(has(none.out, "config.ini"));
  CHECK(run_process(engine({"--help"})).exit_code == 0);
  const ProcessResult version = run_process(engine({"--version"}));
  CHECK(version.exit_code == 0);
  CHECK(has(version.out, "dpll_engine "));
  CHECK(run_process(engine({"--no-such-flag"})).exit_code == 2);
  CHECK(run_process(engine({"evaluate"})).exit_code == 2);
}
