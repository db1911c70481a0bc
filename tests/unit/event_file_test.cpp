// TensorBoard event files, record by record and as a run's listener keeps them.
#include "report/event_file.h"

#include <filesystem>
#include <limits>

#include "cli/engine_runs.h"
#include "report/listeners.h"
#include "support/event_reader.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::test;

namespace fs = std::filesystem;

namespace {

constexpr double kNoSuchMetric = std::numeric_limits<double>::quiet_NaN();

// The names of the event files in a folder.
std::vector<std::string> event_files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (has(name, "tfevents")) names.push_back(name);
  }
  return names;
}

struct Board {
  Board() : log(dir.file("train.log"), false), listeners(log) {
    listeners.add(make_tensorboard_listener(dir.path(), EventImage{"views", 3, 2, "PNG"}));
  }
  // Epochs 1 to `epochs` took ten seconds each; only even ones were evaluated.
  static History history_of(int epochs) {
    History history{{"epoch", "train_loss", "test_accuracy", "seconds", "margin"}, {}};
    for (int epoch = 1; epoch <= epochs; ++epoch) {
      history.rows.push_back(
          {double(epoch), 1.0 / epoch, epoch % 2 == 0 ? 0.125 * epoch : kNoSuchMetric, 10, kNoSuchMetric});
    }
    return history;
  }
  void start(int epochs) {
    const History history = history_of(epochs);
    listeners.start({.history = history, .epochs = epochs});
  }
  void epoch_done(int epochs) {
    const History history = history_of(epochs);
    listeners.epoch_done({}, {.history = history, .epochs = epochs});
  }
  std::string file() const {
    const std::vector<std::string> names = event_files_in(dir.path());
    REQUIRE(names.size() == 1);
    return dir.file(names[0]);
  }
  // One clean curve: the header, the image, each epoch once, dates in order.
  void check_holds(int epochs) const {
    const std::vector<ReadEvent> events = read_events(read_text(file()));
    REQUIRE(events.size() == static_cast<std::size_t>(epochs) + 2);
    CHECK(events[0].file_version == "brain.Event:2");
    CHECK(events[1].images.at("views").encoded == "PNG");
    for (int epoch = 1; epoch <= epochs; ++epoch) {
      const ReadEvent& event = events[static_cast<std::size_t>(epoch) + 1];
      CHECK(event.step == epoch);
      CHECK(event.wall_time >= events[static_cast<std::size_t>(epoch)].wall_time);
      CHECK(event.scalars.at("loss/total") == static_cast<float>(1.0 / epoch));
      CHECK(event.scalars.count("accuracy/test") == (epoch % 2 == 0 ? 1 : 0));
      CHECK(event.scalars.count("method/margin") == 0);
      CHECK(event.scalars.at("speed/epoch_seconds") == 10);
      CHECK(event.scalars.size() == (epoch % 2 == 0 ? 3 : 2));
    }
  }

  TempDir dir;
  Log log;
  RunListeners listeners;
};

}  // namespace

TEST_CASE("event file: the checksum is Castagnoli's") {
  CHECK(crc32c("123456789") == 0xe3069283U);
  CHECK(crc32c("") == 0);
  // RFC 3720, B.4.
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43U);
  CHECK(plain_crc32c("123456789") == 0xe3069283U);
}

TEST_CASE("event file: records have the published bytes, and are read back as they were meant") {
  // The first record of a file that TensorFlow writes, but for the time.
  const std::string version = version_record(1.5);
  CHECK(version.substr(0, 8) == std::string("\x18\0\0\0\0\0\0\0", 8));
  CHECK(version.substr(12, 24) == std::string("\x09\0\0\0\0\0\0\xf8\x3f\x1a\x0d"
                                              "brain.Event:2",
                                              24));
  CHECK(version.size() == 8 + 4 + 24 + 4);

  const double infinity = std::numeric_limits<double>::infinity();
  std::string png(300, 'x');
  png[7] = '\0';
  const std::string text = version + image_record(2.5, 0, {"views", 640, 480, png}) +
                           scalars_record(3.25, 1'000'000, {{"loss/total", 0.1}, {"loss/test", infinity}}) +
                           scalars_record(4, 1, {});
  const std::vector<ReadEvent> events = read_events(text);
  REQUIRE(events.size() == 4);
  CHECK(events[0].file_version == "brain.Event:2");
  CHECK(events[0].wall_time == 1.5);
  const ReadEvent::Image& image = events[1].images.at("views");
  CHECK(image.width == 640);
  CHECK(image.height == 480);
  CHECK(image.colorspace == 3);
  CHECK(image.encoded == png);
  CHECK(events[2].wall_time == 3.25);
  CHECK(events[2].step == 1'000'000);
  CHECK(events[2].scalars ==
        std::map<std::string, float>{{"loss/total", 0.1F}, {"loss/test", static_cast<float>(infinity)}});
  CHECK(events[3].scalars.empty());
  // The reader of this test looks at both sums.
  for (const std::size_t at : {std::size_t{3}, std::size_t{9}, std::size_t{14}, version.size() - 1}) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK_THROWS_AS(read_events(damaged), std::runtime_error);
  }
}

TEST_CASE("tensorboard listener: an epoch is appended, a start writes one new file of what is done") {
  Board board;
  board.start(0);
  board.check_holds(0);
  const std::string first = board.file();
  CHECK(has(fs::path(first).filename().string(), "events.out.tfevents."));
  board.epoch_done(1);
  board.epoch_done(2);
  board.epoch_done(3);
  board.check_holds(3);
  CHECK(board.file() == first);
  // Killed behind a checkpoint of two epochs, in the middle of a write.
  write_text(first, read_text(first) + "half of a record");
  write_text(board.dir.file("events.out.tfevents.1.host.1.0"), "of another program");
  board.start(2);
  fs::remove(board.dir.file("events.out.tfevents.1.host.1.0"));  // still there: it is not ours
  board.check_holds(2);
  CHECK(board.file() != first);
  board.epoch_done(3);
  board.check_holds(3);
}

TEST_CASE("tensorboard listener: a file that cannot be written is a warning, and is whole once it can be") {
  Board board;
  board.start(0);
  board.epoch_done(1);
  // The folder goes away: root may write into one that is closed.
  const std::string aside = board.dir.path() + ".aside";
  fs::rename(board.dir.path(), aside);
  board.epoch_done(2);
  fs::rename(aside, board.dir.path());
  CHECK(has(read_text(board.dir.file("train.log")), "warning: tensorboard: cannot "));
  board.epoch_done(3);
  board.check_holds(3);
  // Lost while the run goes on.
  fs::remove(board.file());
  board.epoch_done(4);
  board.check_holds(4);
}
