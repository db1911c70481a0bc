// load_data(): finding, verifying, cutting and splitting the data sets.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "data/published_folder.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/gzip.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::TempDir;
namespace fs = std::filesystem;

namespace {

const std::string kFixtures = DPLL_TEST_FIXTURES;
const std::string kFashionGz = kFixtures + "/fashion-mnist/gz",
                  kFashionPlain = kFixtures + "/fashion-mnist/plain";
const std::string kCifar = kFixtures + "/cifar-10-batches-bin";

RunConfig config_of(const std::string& kind, const std::string& path, bool verify = false) {
  RunConfig config;
  config.data.dataset = kind;
  config.data.path = path;
  config.data.verify = verify;
  return config;
}

std::string with_copy(const TempDir& dir, const std::string& folder) {
  fs::copy(folder, dir.path(), fs::copy_options::recursive);
  return dir.path();
}

void write(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  write_file_atomically(path, bytes.data(), bytes.size());
}

// Changes the working folder while it lives.
class InFolder {
 public:
  explicit InFolder(const std::string& path) : before_(fs::current_path()) { fs::current_path(path); }
  ~InFolder() {
    std::error_code ignored;
    fs::current_path(before_, ignored);
  }
  InFolder(const InFolder&) = delete;
  InFolder& operator=(const InFolder&) = delete;

 private:
  fs::path before_;
};

Error load_error(const RunConfig& config) {
  return error_of([&] { load_data(config); });
}

}  // namespace

TEST_CASE("load_data: Fashion-MNIST, compressed and plain, gives the same data") {
  const DataSet gz = load_data(config_of("fashion_mnist", kFashionGz));
  CHECK(gz.kind == "fashion_mnist");
  CHECK(gz.classes == 10);
  CHECK(gz.class_names[9] == "Ankle boot");
  CHECK(gz.train.count == 32);
  CHECK(gz.test.count == 16);
  CHECK(gz.validation.count == 0);
  CHECK(gz.train.labels[0] == 9);
  CHECK(gz.train_origin[31] == 31);
  CHECK(gz.warnings.empty());
  const DataSet plain = load_data(config_of("fashion_mnist", kFashionPlain));
  CHECK(plain.train.pixels == gz.train.pixels);
  CHECK(plain.test.labels == gz.test.labels);
  CHECK(fingerprint(plain) == fingerprint(gz));
}

// The pieces stand in for Kuzushiji-MNIST and for a user's own files: the formats are the same.
TEST_CASE("load_data: kmnist and idx read the same files") {
  const DataSet kmnist = load_data(config_of("kmnist", kFashionGz));
  CHECK(kmnist.class_names[9] == "wo");
  CHECK(kmnist.train.count == 32);
  const DataSet own = load_data(config_of("idx", kFashionPlain, true));
  CHECK(own.classes == 10);
  CHECK(own.class_names[9] == "9");
  CHECK(own.test.count == 16);
  CHECK(load_error(config_of("idx", "")).code() == ExitCode::config);
}

TEST_CASE("load_data: CIFAR-10 from its folder or the folder above, members plain or compressed") {
  const DataSet data = load_data(config_of("cifar10", kCifar));
  CHECK(data.train.count == 20);
  CHECK(data.test.count == 8);
  CHECK(data.train.channels == 3);
  const std::vector<std::int32_t> first = {6, 9, 9, 4, 1, 6, 6, 8};  // of data_batch_1 and data_batch_2
  CHECK(std::equal(first.begin(), first.end(), data.train.labels.begin()));
  CHECK(data.train.pixels[0] == 59);  // red, green, blue of the first pixel
  CHECK(data.train.pixels[1] == 62);
  CHECK(data.train.pixels[2] == 63);
  CHECK(data.class_names[6] == "frog");
  CHECK(fingerprint(load_data(config_of("cifar10", kFixtures))) == fingerprint(data));

  const TempDir dir;
  const std::string folder = with_copy(dir, kCifar);
  write(folder + "/data_batch_3.bin.gz", dpll::test::gzip(read_file(folder + "/data_batch_3.bin")));
  fs::remove(folder + "/data_batch_3.bin");
  write_file_atomically(folder + "/batches.meta.txt", "\ufeffa\nb\r\n\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const DataSet packed = load_data(config_of("cifar10", folder));
  CHECK(fingerprint(packed) == fingerprint(data));
  CHECK(packed.class_names[0] == "a");
  CHECK(packed.class_names[1] == "b");
  write_file_atomically(folder + "/batches.meta.txt", "a\nb\xE9\n");
  CHECK(contains(load_error(config_of("cifar10", folder)),
                 "batches.meta.txt:2: \"b\\xe9\" is not a name in UTF-8"));
  write_file_atomically(folder + "/batches.meta.txt", "a\nb\n");
  CHECK(contains(load_error(config_of("cifar10", folder)), "2 class names beside the data, expected 10"));
  fs::remove(folder + "/batches.meta.txt");
  CHECK(load_data(config_of("cifar10", folder)).class_names[6] == "frog");
}

TEST_CASE(
    "load_data: CIFAR-10's partial test batch is taken only in the absence of the whole, with a warning") {
  const TempDir dir;
  const std::string folder = with_copy(dir, kCifar);
  const std::vector<std::uint8_t> whole = read_file(folder + "/test_batch.bin");
  write(folder + "/test_batch_first1000.bin", {whole.begin(), whole.begin() + 2 * 3073});
  CHECK(load_data(config_of("cifar10", folder)).test.count == 8);
  fs::remove(folder + "/test_batch.bin");
  const DataSet partial = load_data(config_of("cifar10", folder));
  CHECK(partial.test.count == 2);
  REQUIRE(partial.warnings.size() == 1);
  CHECK(partial.warnings[0].find("test_batch_first1000.bin: only the first 2 of") != std::string::npos);
}

TEST_CASE("load_data: CIFAR-100 with fine and coarse labels") {
  const TempDir dir;
  fs::create_directory(dir.file("cifar-100-binary"));
  const std::vector<std::uint8_t> ten = read_file(kCifar + "/test_batch.bin");
  std::vector<std::uint8_t> hundred;
  for (int i = 0; i < 8; ++i) {
    hundred.insert(hundred.end(), {static_cast<std::uint8_t>(12 + i), static_cast<std::uint8_t>(99 - i)});
    hundred.insert(hundred.end(), ten.begin() + i * 3073 + 1, ten.begin() + (i + 1) * 3073);
  }
  write(dir.file("cifar-100-binary/train.bin"), hundred);
  write(dir.file("cifar-100-binary/test.bin"), hundred);
  RunConfig config = config_of("cifar100", dir.path());
  const DataSet fine = load_data(config);
  CHECK(fine.classes == 100);
  CHECK(fine.train.labels[0] == 99);
  CHECK(fine.class_names[99] == "worm");
  CHECK(fine.class_names[0] == "apple");
  CHECK(std::is_sorted(fine.class_names.begin(), fine.class_names.end()));  // as published: alphabetical
  config.data.coarse_labels = true;
  const DataSet coarse = load_data(config);
  CHECK(coarse.classes == 20);
  CHECK(coarse.train.labels[7] == 19);
  CHECK(coarse.class_names[19] == "vehicles_2");
  CHECK(fingerprint(coarse) != fingerprint(fine));
  config = config_of("cifar10", kCifar);
  config.data.coarse_labels = true;
  CHECK(load_error(config).code() == ExitCode::config);
}

TEST_CASE("load_data: without a path the usual folders are searched, and named when nothing is there") {
  const TempDir dir;
  const InFolder here(dir.path());
  const Error nothing = load_error(config_of("kmnist", ""));
  CHECK(nothing.code() == ExitCode::data);
  for (const char* part : {"Kuzushiji-MNIST not found", "data/kmnist, data/KMNIST/raw",
                           "train-images-idx3-ubyte.gz (MD5 bdb82020997e1d708af4cf47b453dcf7)",
                           "published at http://codh.rois.ac.jp/kmnist/", "data.path"}) {
    CHECK(contains(nothing, part));
  }
  fs::create_directories("data/kmnist");
  fs::copy(kFashionGz, "data/kmnist");
  CHECK(load_data(config_of("kmnist", "")).train.count == 32);
  const Error elsewhere = load_error(config_of("cifar10", dir.file("no-such-folder")));
  CHECK(contains(elsewhere, "looked in " + dir.file("no-such-folder") + ", " +
                                dir.file("no-such-folder/cifar-10-batches-bin")));
}

TEST_CASE("load_data: a missing file is named with its publisher and sum") {
  const TempDir dir;
  const std::string folder = with_copy(dir, kFashionGz);
  fs::remove(folder + "/t10k-labels-idx1-ubyte.gz");
  const Error error = load_error(config_of("fashion_mnist", folder));
  CHECK(error.code() == ExitCode::data);
  CHECK(std::string(error.what()) ==
        folder +
            "/t10k-labels-idx1-ubyte.gz: missing (Fashion-MNIST, published at "
            "https://github.com/zalandoresearch/fashion-mnist; t10k-labels-idx1-ubyte.gz has MD5 "
            "bb300cfdad3c16e7a12a480ee83cd310)");
}

TEST_CASE("load_data: verification refuses other files and names both sums") {
  const Error gz = load_error(config_of("fashion_mnist", kFashionGz, true));
  CHECK(gz.code() == ExitCode::data);
  const std::vector<std::uint8_t> plain = read_file(kFashionPlain + "/train-images-idx3-ubyte");
  const std::string sum = md5_hex(plain.data(), plain.size());
  for (const std::string& part :
       {std::string("train-images-idx3-ubyte.gz: not the published file: 25104 bytes unzipped with MD5 ") +
            sum,
        std::string("expected 47040016 bytes with MD5 f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        std::string("github.com/zalandoresearch"), std::string("data.verify = false")}) {
    CHECK(contains(gz, part));
  }
  CHECK(contains(load_error(config_of("cifar10", kCifar, true)), "5dd7e06a14cb22eb9f671a540d1b7c25"));
  const Error kmnist = load_error(config_of("kmnist", kFashionGz, true));
  const std::vector<std::uint8_t> packed = read_file(kFashionGz + "/train-images-idx3-ubyte.gz");
  CHECK(contains(kmnist, "MD5 " + md5_hex(packed.data(), packed.size()) +
                             ", expected bdb82020997e1d708af4cf47b453dcf7"));
}

TEST_CASE("load_data: plain Kuzushiji-MNIST files have no published sum, which is said") {
  const DataSet data = load_data(config_of("kmnist", kFashionPlain, true));
  REQUIRE(data.warnings.size() == 4);
  CHECK(data.warnings[3].find("t10k-labels-idx1-ubyte: only the .gz file has a published MD5") !=
        std::string::npos);
}

TEST_CASE("load_data: damaged files are refused also without verification") {
  const TempDir dir;
  const std::string folder = with_copy(dir, kFashionPlain);
  const std::string path = folder + "/train-labels-idx1-ubyte";
  const std::vector<std::uint8_t> good = read_file(path);
  const auto error_with = [&](const std::vector<std::uint8_t>& bytes) {
    write(path, bytes);
    Error error = load_error(config_of("fashion_mnist", folder));
    CHECK(error.code() == ExitCode::data);
    CHECK(contains(error, path + ": "));
    CHECK(contains(error, "25c81989df183df01b3e8a0aad5dffbe"));
    return error;
  };
  CHECK(contains(error_with({}), "the file is empty"));
  CHECK(contains(error_with({good.begin(), good.end() - 1}), "truncated"));
  std::vector<std::uint8_t> bytes = good;
  bytes[8] = 10;
  CHECK(contains(error_with(bytes), "label 10 of sample 0"));
  bytes = {good.begin(), good.end() - 1};
  bytes[7] = 31;
  CHECK(contains(error_with(bytes), "31 labels for the 32 images of " + folder + "/train-images-idx3-ubyte"));
  bytes = dpll::test::gzip(good);
  bytes.resize(bytes.size() - 4);
  CHECK(contains(error_with(bytes), "truncated gzip data"));

  write(path, good);
  fs::remove(folder + "/t10k-images-idx3-ubyte");
  std::vector<std::uint8_t> wide = read_file(kFashionPlain + "/t10k-images-idx3-ubyte");
  wide[11] = 14;
  wide[15] = 56;
  write(folder + "/t10k-images-idx3-ubyte", wide);
  CHECK(contains(load_error(config_of("fashion_mnist", folder)), "test images are 14 x 56 x 1"));
}

TEST_CASE("load_data: limits keep the first samples and cannot exceed what there is") {
  RunConfig config = config_of("fashion_mnist", kFashionGz);
  const DataSet all = load_data(config);
  config.data.train_limit = 10;
  config.data.test_limit = 16;
  const DataSet some = load_data(config);
  CHECK(some.train.count == 10);
  CHECK(some.train.labels ==
        std::vector<std::int32_t>(all.train.labels.begin(), all.train.labels.begin() + 10));
  CHECK(some.train.pixels ==
        std::vector<std::uint8_t>(all.train.pixels.begin(), all.train.pixels.begin() + 7840));
  CHECK(some.train_origin.size() == 10);
  CHECK(some.test.count == 16);
  CHECK(fingerprint(some) != fingerprint(all));
  config.data.test_limit = 17;
  const Error error = load_error(config);
  CHECK(error.code() == ExitCode::config);
  CHECK(contains(error, "data.test_limit = 17, but the data set has 16"));
  config.data.test_limit = 0;
  config.data.train_limit = 33;
  CHECK(contains(load_error(config), "data.train_limit = 33, but the data set has 32"));
}

TEST_CASE("load_data: the validation part is drawn from the seed and the rest keeps its order") {
  RunConfig config = config_of("fashion_mnist", kFashionGz);
  const DataSet all = load_data(config);
  config.data.validation_fraction = 0.2;  // of 32: 6.4
  const DataSet data = load_data(config);
  CHECK(data.validation.count == 6);
  CHECK(data.train.count == 26);
  CHECK(data.validation.labels.size() == 6);
  REQUIRE(data.train_origin.size() == 26);
  CHECK(std::is_sorted(data.train_origin.begin(), data.train_origin.end()));
  // Every sample of the set is in exactly one part, with its own pixels and label, in order.
  std::set<std::int64_t> kept(data.train_origin.begin(), data.train_origin.end());
  CHECK(kept.size() == 26);
  std::int64_t in_train = 0, in_validation = 0;
  for (std::int64_t i = 0; i < 32; ++i) {
    const bool train = kept.count(i) == 1;
    const ImageSet& part = train ? data.train : data.validation;
    const std::int64_t at = train ? in_train++ : in_validation++;
    CHECK(part.labels[static_cast<std::size_t>(at)] == all.train.labels[static_cast<std::size_t>(i)]);
    CHECK(std::equal(part.pixels.begin() + at * 784, part.pixels.begin() + (at + 1) * 784,
                     all.train.pixels.begin() + i * 784));
  }
  CHECK(load_data(config).train_origin == data.train_origin);
  config.run.seed = 2;
  CHECK(load_data(config).train_origin != data.train_origin);
  config.run.seed = 1;
  config.data.train_limit = 10;
  const DataSet limited = load_data(config);
  CHECK(limited.validation.count == 2);
  CHECK(limited.train_origin.back() < 10);
}

// A run that is repeated years later must hold out the same samples: these numbers may never change. They
// come from a second implementation of Philox and the shuffle, in Python.
TEST_CASE("load_data: the validation split of seed 1 is pinned") {
  RunConfig config = config_of("fashion_mnist", kFashionGz);
  config.data.validation_fraction = 0.9;
  CHECK(load_data(config).train_origin == std::vector<std::int64_t>{0, 9, 19});
}

TEST_CASE("load_data: validation fractions that leave nothing are refused") {
  RunConfig config = config_of("fashion_mnist", kFashionGz);
  config.data.validation_fraction = 0.01;
  const Error error = load_error(config);
  CHECK(error.code() == ExitCode::config);
  CHECK(contains(error, "data.validation_fraction = 0.01 of 32 training samples gives 0, expected 1 to 31"));
  config.data.validation_fraction = 0.9;
  config.data.train_limit = 1;
  CHECK(load_error(config).code() == ExitCode::config);
}

TEST_CASE("load_data: a user's arrays, their candidates cut and split with the samples") {
  const TempDir dir;
  const std::string path = dir.file("mine.safetensors");
  constexpr std::size_t kCount = 12;
  std::vector<std::uint8_t> pixels, candidates;
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < kCount; ++i) {
    pixels.insert(pixels.end(), 2, static_cast<std::uint8_t>(i));
    labels.push_back(static_cast<std::int64_t>(i % 4));
    for (std::size_t c = 0; c < 4; ++c) candidates.push_back(c == i % 4 || i / 4 == c ? 1 : 0);
  }
  SafetensorsWriter writer;
  writer.add("images", DType::u8, {kCount, 1, 2, 1}, pixels.data());
  writer.add("labels", DType::i64, {kCount}, labels.data());
  writer.add("candidates", DType::u8, {kCount, 4}, candidates.data());
  writer.write(path);
  RunConfig config = config_of("safetensors", path);
  config.data.train_limit = 10;
  config.data.validation_fraction = 0.3;
  const DataSet data = load_data(config);
  CHECK(data.train.count == 7);
  CHECK(data.validation.count == 3);
  CHECK(data.test.count == 0);
  CHECK(data.source_count == kCount);
  REQUIRE(data.candidates.has_value());
  REQUIRE(data.candidates->size() == 28);
  for (std::size_t i = 0; i < 7; ++i) {
    const auto origin = static_cast<std::size_t>(data.train_origin[i]);
    CHECK(data.train.pixels[2 * i] == origin);
    CHECK(std::equal(candidates.begin() + static_cast<std::ptrdiff_t>(4 * origin),
                     candidates.begin() + static_cast<std::ptrdiff_t>(4 * origin + 4),
                     data.candidates->begin() + static_cast<std::ptrdiff_t>(4 * i)));
  }
  config.data.test_limit = 1;
  CHECK(contains(load_error(config), "data.test_limit = 1, but the data set has 0"));
  CHECK(load_error(config_of("safetensors", "")).code() == ExitCode::config);
  CHECK(contains(load_error(config_of("safetensors", dir.file("none"))), "No such file"));

  SafetensorsWriter unlabelled;
  unlabelled.add("images", DType::u8, {kCount, 1, 2, 1}, pixels.data());
  unlabelled.add("candidates", DType::u8, {kCount, 4}, candidates.data());
  unlabelled.write(path);
  config = config_of("safetensors", path);
  config.data.validation_fraction = 0.3;
  CHECK(contains(load_error(config), "no labels to validate with"));
}

TEST_CASE("load_data: the fingerprint sees pixels, labels, shape and classes") {
  const DataSet data = load_data(config_of("fashion_mnist", kFashionGz));
  const std::string before = fingerprint(data);
  CHECK(before.size() == 64);
  DataSet other = data;
  other.train.pixels[1000] ^= 1;
  CHECK(fingerprint(other) != before);
  other = data;
  other.train.labels[31] = 0;
  CHECK(fingerprint(other) != before);
  other = data;
  std::swap(other.train.height, other.train.channels);
  CHECK(fingerprint(other) != before);
  other = data;
  other.classes = 11;
  CHECK(fingerprint(other) != before);
  other = data;
  other.test.pixels[0] ^= 1;  // testing on other images is no other training
  CHECK(fingerprint(other) == before);
}

// No published .gz file is small enough to be committed, so the pieces get a table of their own.
TEST_CASE("published folder: the sum of the .gz file or of its content is enough") {
  const std::string name = "t10k-labels-idx1-ubyte";
  const std::vector<std::uint8_t> gz = read_file(kFashionGz + "/" + name + ".gz");
  const std::vector<std::uint8_t> plain = read_file(kFashionPlain + "/" + name);
  const std::string gz_sum = md5_hex(gz.data(), gz.size()), plain_sum = md5_hex(plain.data(), plain.size());
  const std::string wrong(32, '0');
  const auto read = [&](const std::string& folder, const std::string& md5, const std::string& md5_gz) {
    PublishedSet set;
    set.title = "Pieces";
    set.page = "https://example.org";
    set.train = {{name, plain.size(), md5, md5_gz}};
    std::vector<std::string> warnings;
    const auto keep = [](const std::vector<std::uint8_t>& bytes, const std::string&) { return bytes; };
    return PublishedFolder(set, folder).parse(set.train[0], true, warnings, keep) == plain &&
           warnings.empty();
  };
  CHECK(read(kFashionGz, wrong, gz_sum));
  CHECK(read(kFashionGz, "", gz_sum));
  CHECK(read(kFashionGz, plain_sum, wrong));  // recompressed
  CHECK(read(kFashionPlain, plain_sum, wrong));
  CHECK(contains(error_of([&] { read(kFashionGz, wrong, wrong); }), plain_sum + ", expected"));
  CHECK(contains(error_of([&] { read(kFashionGz, "", wrong); }), gz_sum + ", expected"));
  CHECK(contains(error_of([&] { read(kFashionPlain, wrong, gz_sum); }), plain_sum + ", expected"));
}

// Sums of the pixels as NumPy computes them from the original files.
TEST_CASE("load_data: the whole of Fashion-MNIST from the system's package, verified") {
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(folder)) DPLL_SKIP("the package dataset-fashion-mnist is not installed");
  const DataSet data = load_data(config_of("fashion_mnist", folder, true));
  CHECK(data.warnings.empty());
  CHECK(data.train.count == 60000);
  CHECK(data.test.count == 10000);
  const auto sum = [](const std::vector<std::uint8_t>& pixels) {
    std::int64_t total = 0;
    for (const std::uint8_t p : pixels) total += p;
    return total;
  };
  CHECK(sum(data.train.pixels) == 3431114169);
  CHECK(sum(data.test.pixels) == 573469082);
  for (int c = 0; c < 10; ++c)
    CHECK(std::count(data.train.labels.begin(), data.train.labels.end(), c) == 6000);
}
