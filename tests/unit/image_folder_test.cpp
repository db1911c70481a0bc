// [data] dataset = folder: layouts, the size that images get, the cache, and what is refused.
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/image_list.h"
#include "data/image_resize.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/image_folder.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::test;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<std::uint8_t>;

RunConfig config_of(const std::string& path, const std::string& cache = "") {
  RunConfig config;
  config.data.dataset = "folder";
  config.data.path = path;
  config.data.size = 8;
  config.data.cache = cache;
  return config;
}

DataSet loaded(const std::string& path) {
  return load_data(config_of(path));
}

Error refused(const std::string& path) {
  Error error = error_of([&] { loaded(path); });
  CHECK(error.code() == ExitCode::data);
  return error;
}

// The first value of each picture.
std::vector<int> values_of(const ImageSet& images) {
  std::vector<int> values;
  for (std::int64_t i = 0; i < images.count; ++i) {
    values.push_back(images.pixels[static_cast<std::size_t>(i * images.image_bytes())]);
  }
  return values;
}

bool warns(const DataSet& data, const std::string& text) {
  return std::any_of(data.warnings.begin(), data.warnings.end(),
                     [&](const std::string& warning) { return warning.find(text) != std::string::npos; });
}

// images/ with pictures a, b and c of the values 1, 2 and 3, and labels.csv.
struct Table {
  TempDir dir;
  explicit Table(const std::string& labels) {
    for (int i = 0; i < 3; ++i) write_picture(dir.file(std::string("images/") + "abc"[i] + ".png"), i + 1);
    write_bytes(dir.file("labels.csv"), labels);
  }
  DataSet load() const { return loaded(dir.path()); }
  Error error() const { return refused(dir.path()); }
};

}  // namespace

TEST_CASE("image resize: the values of torchvision's Resize and CenterCrop on Pillow's images") {
  const SafetensorsFile file =
      SafetensorsFile::read(std::string(DPLL_TEST_FIXTURES) + "/images/resized.safetensors");
  int compared = 0;
  for (const auto& [key, entry] : file.entries()) {
    const std::size_t out = key.find(" out ");
    if (out == std::string::npos) continue;
    CAPTURE(key);
    const std::string in = key.substr(0, out) + " in";
    const std::vector<std::int64_t>& shape = file.entry(in).shape;
    const ImageSet image{.count = 1,
                         .height = shape[0],
                         .width = shape[1],
                         .channels = shape[2],
                         .pixels = file.get<std::uint8_t>(in),
                         .labels = {}};
    const ImageSet fitted = fit_image(image, std::stoi(key.substr(out + 5)));
    CHECK(fitted.height == entry.shape[0]);
    CHECK(fitted.width == entry.shape[1]);
    CHECK(fitted.pixels == file.get<std::uint8_t>(key));
    ++compared;
  }
  CHECK(compared == 10);
}

TEST_CASE("image resize: a strip of pixels takes no more memory than its middle") {
  // As a whole it would become 32 x 256,000,000.
  constexpr std::int64_t kLong = 8'000'000;
  const ImageSet strip{.count = 1,
                       .height = 1,
                       .width = kLong,
                       .channels = 1,
                       .pixels = Bytes(static_cast<std::size_t>(kLong), 77),
                       .labels = {}};
  CHECK(fit_image(strip, 32).pixels == Bytes(1024, 77));
}

TEST_CASE("image folder: a folder for each class, with and without test/") {
  const TempDir dir;
  write_class_folders(dir.path(), 2, 1);
  write_picture(dir.file("train/cat/deep/er.PNG"), 60, 20, 9);
  write_bytes(dir.file("train/cat/notes.txt"), "x");
  write_bytes(dir.file("train/dog/.DS_Store"), "x");
  const DataSet data = loaded(dir.path());
  CHECK(data.kind == "folder");
  CHECK(data.class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(data.train.labels == std::vector<std::int32_t>{0, 0, 0, 1, 1});
  CHECK(values_of(data.train) == std::vector<int>{10, 11, 60, 200, 201});
  CHECK(data.train.height == 8);
  CHECK(data.train.channels == 3);
  CHECK(data.test.labels == std::vector<std::int32_t>{0, 1});
  CHECK(values_of(data.test) == std::vector<int>{5, 190});
  CHECK(data.files == std::vector<std::string>{"train/cat/0.png", "train/cat/1.png", "train/cat/deep/er.PNG",
                                               "train/dog/0.png", "train/dog/1.png"});
  CHECK_FALSE(data.candidates.has_value());
  REQUIRE(data.warnings.size() == 1);
  CHECK(warns(data, "1 files are left out, since they are not .png, .jpg or .jpeg: cat/notes.txt"));

  fs::remove_all(dir.file("test"));
  CHECK(warns(loaded(dir.path()), "data.validation_fraction = 0.1 holds out"));
  RunConfig config = config_of(dir.path());
  config.data.validation_fraction = 0.4;
  const DataSet held_out = load_data(config);
  CHECK(held_out.validation.count == 2);
  CHECK(held_out.warnings.size() == 1);
  CHECK(held_out.files.size() == 5);
  config.data.validation_fraction = 0;
  config.data.train_limit = 2;
  CHECK(warns(load_data(config), "the first 2 images (data.train_limit) have none with the label dog"));
  config.data.train_limit = 4;
  CHECK_FALSE(warns(load_data(config), "data.train_limit"));
}

TEST_CASE("image folder: labels.csv with labels and candidate sets, some of them empty") {
  const Table table(
      "\xEF\xBB\xBF"
      "candidates,file,label\r\ndog|cat,c.png,cat\r\n,./a.png,\r\n\"fox, red\",b.png,dog\r\n");
  write_picture(table.dir.file("images/d.png"), 4);
  write_picture(table.dir.file("test/fox, red/t.png"), 9);
  const DataSet data = table.load();
  CHECK(data.class_names == std::vector<std::string>{"cat", "dog", "fox, red"});
  CHECK(values_of(data.train) == std::vector<int>{3, 1, 2});
  CHECK(data.train.labels == std::vector<std::int32_t>{0, -1, 1});
  CHECK(data.candidates == Bytes{1, 1, 0, 1, 1, 1, 0, 0, 1});
  CHECK(data.files == std::vector<std::string>{"c.png", "a.png", "b.png"});
  CHECK(data.test.labels == std::vector<std::int32_t>{2});
  REQUIRE(data.warnings.size() == 1);
  CHECK(warns(data, "1 images in"));
  CHECK(warns(data, "d.png"));

  // Labels alone; candidates alone.
  CHECK_FALSE(Table("file,label,,\na.png,x,,\n\nb.png,y\n").load().candidates.has_value());
  const DataSet sets = Table("file,candidates\na.png,x|y\nb.png,y\n").load();
  CHECK_FALSE(sets.train.has_labels());
  CHECK(sets.candidates == Bytes{1, 1, 0, 1});
}

TEST_CASE("image folder: classes.txt names all classes, those without a picture too") {
  const Table table("file,label\na.png,dog\n");
  write_bytes(table.dir.file("classes.txt"), "dog\ncat\n\n");
  const DataSet data = table.load();
  CHECK(data.class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(data.train.labels == std::vector<std::int32_t>{1});
  write_bytes(table.dir.file("labels.csv"), "file,label\na.png,dgo\n");
  CHECK(contains(table.error(), "labels.csv:2: unknown class \"dgo\"; did you mean dog?"));
  write_bytes(table.dir.file("classes.txt"), "dog\ndog\n");
  CHECK(contains(table.error(), "classes.txt:2: \"dog\" stands twice"));
}

TEST_CASE("image folder: a labels.csv that is wrong is refused with its line") {
  const auto refusal = [](const std::string& text) { return Table(text).error(); };
  CHECK(contains(refusal(""), "labels.csv:1: the file is empty"));
  CHECK(contains(refusal("file,label\n"), "no picture is named"));
  CHECK(contains(refusal("file,label,weight\n"), "labels.csv:1: unknown column \"weight\""));
  CHECK(contains(refusal("file,file\n"), "column \"file\" stands twice"));
  CHECK(contains(refusal("label,candidates\n"), "are not the columns"));
  CHECK(contains(refusal("file\na.png\n"), "are not the columns"));
  CHECK(contains(refusal("file,label\na.png\n"), "labels.csv:2: 1 fields, expected 2: file,label"));
  CHECK(contains(refusal("file,label\n\"a.png,x\n"), "labels.csv:2: \"\"a.png,x\": a quote is not closed"));
  CHECK(contains(refusal("file,label\n,x\n"), "labels.csv:2: no file is named"));
  CHECK(contains(refusal("file,label\na.png,x\n./a.png,y\n"),
                 "labels.csv:3: \"./a.png\" is named in line 2 already"));
  CHECK(contains(refusal("file,label\n../a.png,x\n"), "lies outside of images/"));
  CHECK(contains(refusal("file,label\n/a.png,x\n"), "lies outside of images/"));
  CHECK(contains(refusal("file,label\na.png,x|y\n"), "label \"x|y\" holds |"));
  CHECK(contains(refusal("file,candidates\na.png,x|x\n"), "candidate \"x\" stands twice"));
  CHECK(contains(refusal("file,candidates\na.png,x||y\n"), "a candidate without a name"));
  CHECK(contains(refusal("file,label\na.png,\xFF\n"), "is not a class name in UTF-8"));
  CHECK(contains(refusal("file,label\na.png,x\nb.png,x\n"), "one class, x; at least two are needed"));
  CHECK(contains(refusal("file,label,candidates\na.png,,\n"), "neither labels nor candidates are given"));
  CHECK(contains(refusal("file,label\na.png,x\nz.png,y\nw.png,y\n"), "2 of 3 files are not in"));
  CHECK(contains(refusal("file,label\na.png,x\nz.png,y\nw.png,y\n"), "z.png (line 3), w.png (line 4)"));
  const Table strange("file,label\na.png,x\nb.png,y\n");
  write_picture(strange.dir.file("test/xx/a.png"), 1);
  CHECK(contains(strange.error(), "class xx is not known from training; did you mean x"));
}

TEST_CASE("image folder: what is no data set is refused") {
  const TempDir dir;
  CHECK(contains(refused(dir.file("none")), "is not a folder"));
  CHECK(contains(refused(dir.path()), "expected a folder train/ with a folder of images for each class, or"));
  fs::create_directories(dir.file("train"));
  CHECK(contains(refused(dir.path()), "train: it holds no folder; expected"));
  write_picture(dir.file("train/cat/a.png"), 1);
  CHECK(contains(refused(dir.path()), "train: one class, cat; expected"));
  fs::create_directories(dir.file("train/dog"));
  fs::create_directories(dir.file("train/fox"));
  CHECK(contains(refused(dir.path()), "no .png, .jpg or .jpeg file in the folder of dog, fox"));
  write_picture(dir.file("train/b.png"), 1);
  CHECK(
      contains(refused(dir.path()), "1 images lie in no class's folder: b.png; expected train/CLASS/b.png"));
  fs::create_directories(dir.file("train/\xFF"));
  CHECK(contains(refused(dir.path()), "\"\\xff\" is not a class name in UTF-8"));
  write_bytes(dir.file("labels.csv"), "file,label\n");
  CHECK(contains(refused(dir.path()), "it has both train/ and labels.csv"));
}

TEST_CASE("image folder: all pictures that cannot be read are named at once") {
  const TempDir dir;
  write_class_folders(dir.path(), 2, 0);
  write_bytes(dir.file("train/cat/no.png"), "GIF89a...");
  write_bytes(dir.file("train/dog/empty.jpg"), "");
  fs::copy_file(std::string(DPLL_TEST_FIXTURES) + "/images/cmyk.jpg", dir.file("train/dog/cmyk.jpg"));
  fs::copy_file(std::string(DPLL_TEST_FIXTURES) + "/images/grey16.png", dir.file("train/dog/grey16.png"));
  fs::create_symlink("nowhere", dir.file("train/dog/gone.png"));
  fs::create_symlink("self.png", dir.file("train/dog/self.png"));
  REQUIRE(::mkfifo(dir.file("train/dog/pipe.png").c_str(), 0600) == 0);
  const Error error = refused(dir.path());
  CHECK(contains(
      error, "7 of 11 images cannot be read: train/cat/no.png: not a PNG or JPEG file (it looks like GIF)"));
  for (const char* part : {"train/dog/cmyk.jpg: a JPEG file of 4 colour components",
                           "train/dog/empty.jpg: ", "train/dog/gone.png: ", "train/dog/grey16.png: ",
                           "train/dog/self.png: ", "train/dog/pipe.png: not an ordinary file"}) {
    CHECK(contains(error, part));
  }
  for (int i = 0; i < 60; ++i) write_bytes(dir.file("train/cat/bad" + std::to_string(i) + ".png"), "x");
  CHECK(contains(refused(dir.path()), "67 of 71 images cannot be read"));
  CHECK(contains(refused(dir.path()), "; and 17 more"));
}

TEST_CASE("image folder: a picture of too many pixels is refused without being decoded") {
  const TempDir dir;
  write_class_folders(dir.path(), 1, 0);
  // The header of a PNG file of 60000 x 60000 pixels, and no data.
  std::string png = encode_png(8, 8, 3, Bytes(192).data());
  png[18] = static_cast<char>(0xEA);
  png[19] = 0x60;
  png[22] = static_cast<char>(0xEA);
  png[23] = 0x60;
  write_bytes(dir.file("train/cat/huge.png"), png);
  CHECK(contains(refused(dir.path()), "1 of 3 images cannot be read: train/cat/huge.png: "));
}

TEST_CASE("image folder: links to folders are followed, those that lead back are refused") {
  const TempDir dir;
  write_class_folders(dir.path(), 1, 0);
  write_picture(dir.file("elsewhere/x.png"), 33);
  fs::create_directory_symlink("../../elsewhere", dir.file("train/cat/more"));
  fs::create_directory_symlink("../elsewhere", dir.file("train/fox"));
  CHECK(loaded(dir.path()).files == std::vector<std::string>{"train/cat/0.png", "train/cat/more/x.png",
                                                             "train/dog/0.png", "train/fox/x.png"});
  fs::create_directory_symlink("..", dir.file("elsewhere/up"));
  CHECK(contains(refused(dir.path()), "this link leads back to"));
}

TEST_CASE("image folder: the pixels do not depend on the number of threads") {
  const TempDir dir;
  for (int i = 0; i < 40; ++i) {
    write_picture(dir.file("train/" + std::to_string(i % 2) + "/" + std::to_string(i) + ".png"), 3 * i, 9 + i,
                  30);
  }
  std::vector<Bytes> pixels;
  for (const int threads : {1, 2, 5}) {
    pixels.push_back(load_data(config_of(dir.path()), {.threads = threads}).train.pixels);
  }
  CHECK(pixels[0] == pixels[1]);
  CHECK(pixels[0] == pixels[2]);
}

TEST_CASE("image folder: decoded images are kept, until a file changes or the cache is damaged") {
  const TempDir dir;
  write_class_folders(dir.file("set"), 2, 1);
  const std::string cache = dir.file("a/cache");
  std::vector<std::string> lines;
  const auto load = [&] {
    lines.clear();
    return load_data(config_of(dir.file("set"), cache),
                     {.line = [&](const std::string& line) { lines.push_back(line); }});
  };
  const DataSet first = load();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("6 images read in ") == 0);
  std::vector<std::string> kept;
  for (const auto& entry : fs::directory_iterator(cache)) kept.push_back(entry.path().string());
  REQUIRE(kept.size() == 1);
  CHECK(lines[0].find("kept in " + kept[0]) != std::string::npos);

  CHECK(fingerprint(load()) == fingerprint(first));
  CHECK(lines == std::vector<std::string>{"6 images from " + kept[0] + ", where they were kept"});

  // Same size, other time.
  write_picture(dir.file("set/train/cat/0.png"), 12);
  fs::last_write_time(dir.file("set/train/cat/0.png"),
                      fs::file_time_type::clock::now() + std::chrono::hours(1));
  CHECK(values_of(load().train)[0] == 12);
  CHECK(lines[0].find("6 images read") == 0);
  CHECK(values_of(load().train)[0] == 12);
  CHECK(lines[0].find("6 images from") == 0);

  Bytes bytes = read_file(kept[0]);
  bytes.back() ^= 1;
  write_file_atomically(kept[0], {ByteView(bytes)});
  DataSet again = load();
  CHECK(warns(again, "another SHA-256; the images are decoded anew"));
  CHECK(values_of(again.train)[0] == 12);
  write_bytes(kept[0], "x");
  again = load();
  CHECK(warns(again, "the images are decoded anew"));
  CHECK(values_of(load().train)[0] == 12);
  CHECK(lines[0].find("6 images from") == 0);

  write_bytes(dir.file("file"), "x");
  const DataSet not_kept = load_data(config_of(dir.file("set"), dir.file("file")));
  CHECK(warns(not_kept, "the decoded images are not kept (data.cache)"));
  CHECK(not_kept.train.count == 4);
}

TEST_CASE("image folder: reading can be stopped between two pictures") {
  const TempDir dir;
  write_class_folders(dir.path(), 20, 0);
  struct Stop {};
  int calls = 0;
  const auto stop = [&](const std::string& text) {
    CHECK(text.find("reading images: ") == 0);
    if (++calls == 2) throw Stop();
  };
  CHECK_THROWS_AS(load_data(config_of(dir.path()), {.status = stop, .threads = 1}), Stop);
  CHECK(calls == 2);
}
