// Damaged files must parse or throw Error: never crash, hang, ask for absurd memory or throw anything else.
// Under AddressSanitizer these tests also see every read past the end.
#include <cstdint>
#include <string>
#include <vector>

#include "data/cifar.h"
#include "data/folder_labels.h"
#include "data/idx.h"
#include "data/svhn.h"
#include "data/tabular.h"
#include "data/tar_gz.h"
#include "data/user_arrays.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "support/cifar_pickle.h"
#include "support/doctest.h"
#include "support/mat_writer.h"
#include "support/mutate.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::mutate;
using dpll::test::TempDir;

namespace {

// Runs `parse` on `trials` variants of `good` and on every truncation below `reach` bytes. Both outcomes must
// occur, or the test tests nothing.
template <typename Parse>
void fuzz_bytes(const std::vector<std::uint8_t>& good, std::size_t reach, std::uint32_t trials,
                Parse&& parse) {
  int parsed = 0, refused = 0;
  const auto attempt = [&](const std::vector<std::uint8_t>& bytes) {
    try {
      parse(bytes);
      ++parsed;
    } catch (const Error& error) {
      ++refused;
      if (error.code() != ExitCode::data) FAIL_CHECK("wrong code: ", std::string(error.what()));
      if (std::string(error.what()).find('\n') != std::string::npos)
        FAIL_CHECK("two lines: ", std::string(error.what()));
    }
  };
  attempt(good);
  REQUIRE(parsed == 1);
  for (std::uint32_t trial = 0; trial < trials; ++trial) attempt(mutate(good, trial, reach));
  for (std::size_t length = 0; length < good.size() && length < reach; ++length) {
    attempt({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)});
  }
  CHECK(parsed > 1);
  CHECK(refused > 1);
}

// Touches every byte that the parsed file claims to hold.
void read_everything(const SafetensorsFile& file) {
  std::uint64_t sum = 0;
  for (const auto& [name, entry] : file.entries()) {
    const std::uint8_t* data = file.data(name);
    for (std::size_t i = 0; i < entry.bytes; ++i) sum += data[i];
    if (entry.dtype == DType::f32) sum += file.get<float>(name).size();
    if (entry.dtype == DType::f16 || entry.dtype == DType::bf16) sum += file.get_as_double(name).size();
  }
  REQUIRE(sum != ~std::uint64_t{0});
}

}  // namespace

TEST_CASE("fuzz: damaged safetensors files parse or throw Error") {
  const std::vector<std::uint8_t> good =
      read_file(std::string(DPLL_TEST_FIXTURES) + "/safetensors/python.safetensors");
  fuzz_bytes(good, good.size(), 20000, [](const std::vector<std::uint8_t>& bytes) {
    read_everything(SafetensorsFile::parse(bytes, "x"));
  });
}

TEST_CASE("fuzz: damaged gzip streams unzip or throw Error") {
  const std::vector<std::uint8_t> good =
      read_file(std::string(DPLL_TEST_FIXTURES) + "/fashion-mnist/gz/train-labels-idx1-ubyte.gz");
  fuzz_bytes(good, good.size(), 5000, [](const std::vector<std::uint8_t>& bytes) { gunzip(bytes, "x"); });
}

TEST_CASE("fuzz: damaged IDX and CIFAR files parse or throw Error") {
  const std::string fixtures = DPLL_TEST_FIXTURES;
  const std::vector<std::uint8_t> images =
      read_file(fixtures + "/fashion-mnist/plain/t10k-images-idx3-ubyte");
  fuzz_bytes(images, 32, 5000, [](const std::vector<std::uint8_t>& bytes) {
    const ImageSet set = parse_idx_images(bytes, "x");
    REQUIRE(set.count * set.image_bytes() == static_cast<std::int64_t>(set.pixels.size()));
  });
  const std::vector<std::uint8_t> labels =
      read_file(fixtures + "/fashion-mnist/plain/t10k-labels-idx1-ubyte");
  fuzz_bytes(labels, labels.size(), 5000, [](const std::vector<std::uint8_t>& bytes) {
    for (const std::int32_t label : parse_idx_labels(bytes, "x", 10)) REQUIRE((label >= 0 && label < 10));
  });
  const std::vector<std::uint8_t> cifar = read_file(fixtures + "/cifar-10-batches-bin/data_batch_1.bin");
  fuzz_bytes(cifar, 4, 2000, [](const std::vector<std::uint8_t>& bytes) {
    const ImageSet set = parse_cifar(bytes, "x", CifarLabels::ten);
    REQUIRE(set.count * set.image_bytes() == static_cast<std::int64_t>(set.pixels.size()));
  });
}

TEST_CASE("fuzz: damaged MAT files of SVHN parse or throw Error") {
  const TempDir dir;
  for (const bool compressed : {true, false}) {
    dpll::test::MatWriter(dir.file("x"))
        .compressed(compressed)
        .add("X", {32, 32, 3}, std::vector<std::uint8_t>(3072, 7))
        .add("y", {1, 1}, std::vector<std::uint8_t>{10});
    const std::vector<std::uint8_t> good = read_file(dir.file("x"));
    fuzz_bytes(good, compressed ? good.size() : 256, 3000, [](const std::vector<std::uint8_t>& bytes) {
      const ImageSet set = parse_svhn(bytes, "x");
      REQUIRE(set.count * set.image_bytes() == static_cast<std::int64_t>(set.pixels.size()));
      REQUIRE(set.labels.size() == static_cast<std::size_t>(set.count));
    });
  }
}

TEST_CASE("fuzz: damaged files of a user's arrays load or throw Error") {
  const TempDir dir;
  const std::vector<std::uint8_t> pixels(2 * 3 * 3), candidates = {1, 0, 1, 1};
  const std::vector<std::int32_t> labels = {0, 1};
  SafetensorsWriter writer;
  writer.add("images", DType::u8, {2, 3, 3, 1}, pixels.data());
  writer.add("labels", DType::i32, {2}, labels.data());
  writer.add("candidates", DType::u8, {2, 2}, candidates.data());
  writer.write(dir.file("x"));
  const std::vector<std::uint8_t> good = read_file(dir.file("x"));
  fuzz_bytes(good, good.size(), 10000, [](const std::vector<std::uint8_t>& bytes) {
    const DataSet data = data_from_arrays(SafetensorsFile::parse(bytes, "x"));
    REQUIRE(data.train.count * data.train.image_bytes() ==
            static_cast<std::int64_t>(data.train.pixels.size()));
    REQUIRE(data.classes >= 2);
    if (data.candidates) {
      REQUIRE(data.train.count * data.classes == static_cast<std::int64_t>(data.candidates->size()));
    }
  });
}

TEST_CASE("fuzz: damaged pickles of CIFAR's python version") {
  const std::vector<std::uint8_t> planes(std::size_t{2} * 3072, 3);
  // Within the first 250 bytes lie all opcodes but the last few; behind them, pixels.
  fuzz_bytes(
      test::cifar_pickle({{"labels", {1, 2}}}, planes), 250, 3000,
      [](const std::vector<std::uint8_t>& bytes) { parse_cifar_python(bytes, "f", CifarLabels::ten); });
}

TEST_CASE("fuzz: damaged .tar.gz archives") {
  const std::vector<std::uint8_t> archive = test::tar_gz({{"a/data_batch_1", {1, 2, 3}}, {"a/b", {4, 5}}});
  fuzz_bytes(archive, archive.size(), 2000, [](const std::vector<std::uint8_t>& bytes) {
    read_tar_gz(
        bytes, "f", [](const std::string&) { return true; }, 1 << 20);
  });
}

TEST_CASE("fuzz: damaged .mat files of tabular sets, dense and sparse") {
  for (const char* name : {"dense.mat", "sparse.mat"}) {
    const std::vector<std::uint8_t> good = read_file(std::string(DPLL_TEST_FIXTURES) + "/tabular/" + name);
    fuzz_bytes(good, 700, 1500, [](const std::vector<std::uint8_t>& bytes) {
      const DataSet data = parse_tabular(bytes, "f");
      REQUIRE(data.train.count * data.train.channels ==
              static_cast<std::int64_t>(data.train.features.size()));
    });
  }
  // Uncompressed, so that damage reaches the numbers behind zlib's check sum.
  const TempDir dir;
  {
    test::MatWriter writer(dir.file("a.mat"));
    writer.compressed(false);
    writer.add_sparse("data", 3, 2, {1, 0, 3, 4, 5, 0});
    writer.add_sparse("target", 2, 3, {1, 0, 0, 1, 1, 0});
    writer.add_sparse("partial_target", 2, 3, {1, 1, 0, 1, 1, 0});
  }
  const std::vector<std::uint8_t> good = read_file(dir.file("a.mat"));
  fuzz_bytes(good, good.size(), 6000,
             [](const std::vector<std::uint8_t>& bytes) { parse_tabular(bytes, "f"); });
}

TEST_CASE("fuzz: damaged .mat files of the other layouts, and a structure that is not compressed") {
  for (const char* name : {"split.mat", "several.mat", "structure.mat"}) {
    const std::vector<std::uint8_t> good = read_file(std::string(DPLL_TEST_FIXTURES) + "/tabular/" + name);
    fuzz_bytes(good, 700, 800, [](const std::vector<std::uint8_t>& bytes) {
      const DataSet data = parse_tabular(bytes, "f");
      REQUIRE(data.test.count * data.test.channels == static_cast<std::int64_t>(data.test.features.size()));
    });
  }
  const TempDir dir;
  {
    test::MatWriter writer(dir.file("a.mat"));
    writer.compressed(false);
    writer.add_fields("set", {{"data", {3, 1}, {1, 2, 3}},
                              {"target", {2, 3}, {1, 0, 0, 1, 1, 0}},
                              {"partial_target", {2, 3}, {1, 1, 0, 1, 1, 0}}});
  }
  const std::vector<std::uint8_t> good = read_file(dir.file("a.mat"));
  fuzz_bytes(good, good.size(), 6000,
             [](const std::vector<std::uint8_t>& bytes) { parse_tabular(bytes, "f"); });
}

TEST_CASE("fuzz: damaged tables of a folder's labels") {
  const std::string text = "file,label,candidates\na.png,cat,cat|dog\n\"b.png\",,dog|fox\n";
  fuzz_bytes({text.begin(), text.end()}, text.size(), 5000, [](const std::vector<std::uint8_t>& bytes) {
    const std::string table(bytes.begin(), bytes.end());
    const FolderLabels labels = parse_folder_labels(table, "f", {});
    REQUIRE(labels.classes.size() >= 2);
  });
}
