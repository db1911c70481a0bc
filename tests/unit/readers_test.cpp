// The formats: IDX, the binary version of CIFAR, users' arrays. Expected pixels come from NumPy reading the
// published files.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "data/cifar.h"
#include "data/idx.h"
#include "data/user_arrays.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/safetensors_bytes.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::TempDir;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes fixture(const std::string& name) {
  return read_file(std::string(DPLL_TEST_FIXTURES) + "/" + name);
}
Bytes fashion(const std::string& name) {
  return fixture("fashion-mnist/plain/" + name);
}

// The Error of parsing `bytes` after `damage`; checks that it is a data error of the file "x".
template <typename Parse, typename Damage>
Error refusal(Bytes bytes, Parse&& parse, Damage&& damage) {
  damage(bytes);
  Error error = error_of([&] { parse(bytes); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "x: "));
  return error;
}

// A user's file, with two 2 x 3 RGB images unless a test changes it.
struct Arrays {
  SafetensorsWriter writer;
  Bytes pixels = Bytes(36);

  Arrays() { std::iota(pixels.begin(), pixels.end(), std::uint8_t{0}); }
  Arrays& images(const std::string& name = "images", const std::vector<std::int64_t>& shape = {2, 2, 3, 3}) {
    writer.add(name, DType::u8, shape, pixels.data());
    return *this;
  }
  template <typename T>
  Arrays& add(const std::string& name, const std::vector<std::int64_t>& shape, const std::vector<T>& values) {
    writer.add(name, dtype_of<T>, shape, values.data());
    return *this;
  }
  DataSet load() const {
    const TempDir dir;
    writer.write(dir.file("x"));
    return data_from_arrays(SafetensorsFile::read(dir.file("x")));
  }
  Error refused() const {
    Error error = error_of([&] { load(); });
    CHECK(error.code() == ExitCode::data);
    return error;
  }
};

}  // namespace

TEST_CASE("idx: images and labels of Fashion-MNIST") {
  const ImageSet set = parse_idx_images(fashion("train-images-idx3-ubyte"), "x");
  CHECK(set.count == 32);
  CHECK(set.height == 28);
  CHECK(set.width == 28);
  CHECK(set.channels == 1);
  REQUIRE(set.pixels.size() == 32 * 784);
  CHECK(set.pixels[5 * 28 + 15] == 204);
  const Bytes row(set.pixels.begin() + 31 * 784 + 14 * 28 + 8, set.pixels.begin() + 31 * 784 + 14 * 28 + 20);
  CHECK(row == Bytes{7, 128, 143, 96, 164, 100, 128, 164, 99, 125, 102, 0});
  CHECK(std::accumulate(set.pixels.begin(), set.pixels.end(), 0) == 1914360);
  CHECK(parse_idx_labels(fashion("t10k-labels-idx1-ubyte"), "x", 10) ==
        std::vector<std::int32_t>{9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4, 5, 7, 3, 4, 1});
}

TEST_CASE("idx: damaged image files") {
  const Bytes good = fashion("t10k-images-idx3-ubyte");
  const auto parse = [](const Bytes& bytes) { parse_idx_images(bytes, "x"); };
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.clear(); }), "truncated: 0 bytes"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.resize(15); }), "truncated: 15 bytes"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.resize(16); }),
                 "announces 16 images of 784 bytes, it holds 0"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.pop_back(); }), "truncated: its header announces 16"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.push_back(0); }), "1 trailing bytes after 16 images"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b[3] = 1; }),
                 "magic number 0x00000801, expected 0x00000803"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b[7] = 0; }), "holds no images"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b[11] = 0; }), "a size of 0"));
  // 2^32 - 1 in all three sizes: their product does not fit into 64 bits.
  CHECK(contains(refusal(good, parse, [](Bytes& b) { std::fill(b.begin() + 4, b.begin() + 16, 255); }),
                 "truncated"));
}

TEST_CASE("idx: damaged label files") {
  const Bytes good = fashion("t10k-labels-idx1-ubyte");
  const auto parse = [](const Bytes& bytes) { parse_idx_labels(bytes, "x", 10); };
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.pop_back(); }), "announces 16 labels"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.push_back(0); }), "1 trailing bytes after 16 labels"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b[8 + 5] = 10; }),
                 "label 10 of sample 5 is out of range: 10 classes"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b[3] = 3; }),
                 "magic number 0x00000803, expected 0x00000801"));
  CHECK(contains(refusal(fashion("t10k-images-idx3-ubyte"), parse, [](Bytes&) {}),
                 "expected 0x00000801 (IDX, labels)"));
}

TEST_CASE("cifar: planes become interleaved pixels") {
  const ImageSet set = parse_cifar(fixture("cifar-10-batches-bin/test_batch.bin"), "x", CifarLabels::ten);
  CHECK(set.count == 8);
  CHECK(set.image_bytes() == 3072);
  CHECK(set.channels == 3);
  CHECK(set.labels == std::vector<std::int32_t>{3, 8, 8, 0, 6, 6, 1, 6});
  const auto pixel = [&](std::int64_t image, std::int64_t y, std::int64_t x) {
    const auto at = set.pixels.begin() + ((image * 32 + y) * 32 + x) * 3;
    return Bytes(at, at + 3);
  };
  CHECK(pixel(0, 0, 0) == Bytes{158, 112, 49});
  CHECK(pixel(0, 0, 1) == Bytes{159, 111, 47});
  CHECK(pixel(3, 31, 5) == Bytes{66, 58, 56});
  CHECK(pixel(7, 16, 31) == Bytes{94, 68, 50});
}

TEST_CASE("cifar: the 100-class version has a coarse and a fine label") {
  const Bytes ten = fixture("cifar-10-batches-bin/test_batch.bin");
  Bytes hundred;  // the same images as a CIFAR-100 file, image i with coarse label i and fine label 92 + i
  for (int i = 0; i < 8; ++i) {
    hundred.push_back(static_cast<std::uint8_t>(i));
    hundred.push_back(static_cast<std::uint8_t>(92 + i));
    hundred.insert(hundred.end(), ten.begin() + i * 3073 + 1, ten.begin() + (i + 1) * 3073);
  }
  const ImageSet fine = parse_cifar(hundred, "x", CifarLabels::fine);
  CHECK(fine.labels == std::vector<std::int32_t>{92, 93, 94, 95, 96, 97, 98, 99});
  CHECK(fine.pixels == parse_cifar(ten, "x", CifarLabels::ten).pixels);
  const auto parse = [](const Bytes& bytes) { parse_cifar(bytes, "x", CifarLabels::coarse); };
  CHECK(parse_cifar(hundred, "x", CifarLabels::coarse).labels ==
        std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(contains(refusal(hundred, parse, [](Bytes& b) { b[3074] = 20; }), "coarse label 20 of sample 1"));
  CHECK(contains(refusal(hundred, parse, [](Bytes& b) { b[3075] = 100; }), "fine label 100 of sample 1"));
}

TEST_CASE("cifar: damaged files") {
  const Bytes good = fixture("cifar-10-batches-bin/test_batch.bin");
  const auto parse = [](const Bytes& bytes) { parse_cifar(bytes, "x", CifarLabels::ten); };
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.clear(); }), "no images"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b.pop_back(); }),
                 "7 records of 3073 bytes and 3072 more"));
  CHECK(
      contains(refusal(good, parse, [](Bytes& b) { b.push_back(1); }), "8 records of 3073 bytes and 1 more"));
  CHECK(contains(refusal(good, parse, [](Bytes& b) { b[2 * 3073] = 10; }),
                 "label 10 of sample 2 is out of range"));
}

TEST_CASE("user arrays: images with labels and a test set") {
  const DataSet data = Arrays()
                           .images()
                           .add<std::int64_t>("labels", {2}, {4, -1})
                           .images("test_images", {1, 2, 3, 3})
                           .add<std::uint8_t>("test_labels", {1}, {6})
                           .add<float>("weights", {1}, {1})
                           .load();
  CHECK(data.train.count == 2);
  CHECK(data.train.height == 2);
  CHECK(data.train.width == 3);
  CHECK(data.train.channels == 3);
  CHECK(data.train.pixels == Arrays().pixels);
  CHECK(data.train.labels == std::vector<std::int32_t>{4, -1});
  CHECK(data.test.labels == std::vector<std::int32_t>{6});
  CHECK(data.classes == 7);
  CHECK(data.class_names.back() == "6");
  CHECK_FALSE(data.candidates.has_value());
  REQUIRE(data.warnings.size() == 1);
  CHECK(data.warnings[0].find("tensor 'weights' is not used") != std::string::npos);
}

TEST_CASE("user arrays: a tensor that is not used may be of a type that cannot be read") {
  const std::string header = R"({"images":{"dtype":"U8","shape":[2,1,2,1],"data_offsets":[0,4]},)"
                             R"("labels":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},)"
                             R"("ids":{"dtype":"U16","shape":[2],"data_offsets":[6,10]}})";
  const Bytes bytes = test::safetensors_bytes(header, {5, 6, 7, 8, 0, 1, 9, 9, 9, 9});
  const DataSet data = data_from_arrays(SafetensorsFile::parse(bytes, "f"));
  CHECK(data.train.pixels == Bytes{5, 6, 7, 8});
  REQUIRE(data.warnings.size() == 1);
  CHECK(data.warnings[0].find("f: tensor 'ids' is not used") == 0);
}

TEST_CASE("user arrays: candidates alone are enough") {
  const Bytes table = {1, 0, 1, 0, 1, 1};
  const DataSet data = Arrays().images().add("candidates", {2, 3}, table).load();
  CHECK(data.classes == 3);
  CHECK_FALSE(data.train.has_labels());
  CHECK(data.test.count == 0);
  CHECK(data.candidates == table);
  // Labels that are all unknown are no labels.
  const DataSet unknown =
      Arrays().images().add("candidates", {2, 3}, table).add<std::int32_t>("labels", {2}, {-1, -1}).load();
  CHECK_FALSE(unknown.train.has_labels());
}

TEST_CASE("user arrays: feature vectors of several types") {
  const std::vector<std::int64_t> labels = {1, 0};
  const DataSet f32 = Arrays()
                          .add<float>("features", {2, 3}, {1, 2.5F, -3, 4, 5, 6})
                          .add("labels", {2}, labels)
                          .add<float>("test_features", {1, 3}, {7, 8, 9})
                          .add<std::int64_t>("test_labels", {1}, {1})
                          .load();
  CHECK(f32.train.tabular());
  CHECK(f32.train.channels == 3);
  CHECK(f32.train.height == 1);
  CHECK(f32.train.features == std::vector<float>{1, 2.5F, -3, 4, 5, 6});
  CHECK(f32.train.pixels.empty());
  CHECK(f32.test.features == std::vector<float>{7, 8, 9});
  CHECK(f32.classes == 2);
  Arrays doubles, halves;
  const std::vector<double> values = {1, 2.5, -3, 4, 5, 6};
  doubles.writer.add("features", DType::f64, {2, 3}, values.data());
  CHECK(doubles.add("labels", {2}, labels).load().train.features == f32.train.features);
  const std::vector<std::uint16_t> bits = {0x3C00, 0x4100, 0xC200, 0x4400, 0x4500, 0x4600};
  halves.writer.add("features", DType::f16, {2, 3}, bits.data());
  CHECK(halves.add("labels", {2}, labels).load().train.features == f32.train.features);
}

TEST_CASE("user arrays: feature vectors that do not fit are refused") {
  const std::vector<std::int64_t> labels = {1, 0};
  const std::vector<float> six = {1, 2, 3, 4, 5, 6};
  CHECK(contains(Arrays().add("labels", {2}, labels).refused(),
                 "no tensor 'images' or 'features'; it has labels"));
  CHECK(contains(Arrays().images().add("features", {2, 3}, six).add("labels", {2}, labels).refused(),
                 "both 'images' and 'features'"));
  CHECK(contains(Arrays().add("features", {6}, six).add("labels", {2}, labels).refused(),
                 "tensor 'features' has shape [6], expected [N,D]"));
  CHECK(contains(Arrays().add("features", {2, 3}, Bytes(6)).add("labels", {2}, labels).refused(),
                 "tensor 'features' is u8, expected f32, f16, bf16 or f64"));
  std::vector<float> broken = six;
  broken[4] = std::numeric_limits<float>::infinity();
  CHECK(contains(Arrays().add("features", {2, 3}, broken).add("labels", {2}, labels).refused(),
                 "tensor 'features' holds inf in row 1, column 1"));
  CHECK(contains(
      Arrays().add("features", {2, 3}, six).images("test_images").add("labels", {2}, labels).refused(),
      "images and features"));
  CHECK(contains(Arrays().images("images", {2, 1, 1, 3}).add("labels", {2}, labels).refused(),
                 "images of one pixel; expected 'features' of shape [N,D]"));
}

TEST_CASE("user arrays: what seems to be meant is said") {
  const auto warnings = [](const std::vector<std::int32_t>& labels, const std::vector<std::int32_t>& test) {
    return Arrays()
        .images()
        .add("labels", {2}, labels)
        .images("test_images", {static_cast<std::int64_t>(test.size()), 2, 3, 3})
        .add("test_labels", {static_cast<std::int64_t>(test.size())}, test)
        .load()
        .warnings;
  };
  CHECK(warnings({0, 9}, {3}).empty());
  CHECK(warnings({2, 9}, {3}).empty());
  CHECK(warnings({98, 99}, {0}).empty());
  CHECK(warnings({1, -1}, {0}).empty());
  const std::vector<std::string> from_one = warnings({1, 3}, {2});
  REQUIRE(from_one.size() == 1);
  CHECK(from_one[0].ends_with(
      "no sample has label 0, yet it counts as a class: do the labels start at 1? They count from 0"));
  const std::vector<std::string> unknown = warnings({0, 255}, {4});
  REQUIRE(unknown.size() == 1);
  CHECK(
      unknown[0].ends_with("label 255 makes 256 classes, and no sample has one from 5 to 254: does it mean "
                           "unknown? That is -1, in a "
                           "safetensors file, as i64 or i32"));

  const Bytes table = {0, 1, 1, 0, 1, 1};
  const auto labels_refused = [&](const std::vector<std::int32_t>& labels) {
    return Arrays().images().add("candidates", {2, 3}, table).add("labels", {2}, labels).refused();
  };
  CHECK(contains(labels_refused({1, 3}), "do the labels start at 1? They count from 0"));
  CHECK(
      contains(labels_refused({0, 3}), "where it means that the label is unknown, write -1, as i64 or i32"));
  CHECK(contains(labels_refused({1, 255}),
                 "where it means that the label is unknown, write -1, as i64 or i32"));
  CHECK(contains(Arrays().add("images", {1, 3, 8, 8}, Bytes(192)).refused(),
                 "tensor 'images' has shape [1,3,8,8], which looks like [N,C,H,W]; expected [N,H,W,C]: "
                 "images.transpose(0, 2, 3, 1) in NumPy"));
  CHECK(contains(Arrays().images().add("candidates", {2, 3}, Bytes{1, 0, 1, 0, 0, 0}).refused(),
                 "every sample needs a candidate. Where nothing is known, all labels are candidates"));
}

TEST_CASE("user arrays: what does not fit is refused by name") {
  const Bytes table = {1, 0, 1, 0, 1, 1};
  const std::vector<std::int32_t> labels = {0, 1};
  CHECK(contains(Arrays().add("labels", {2}, labels).refused(),
                 "no tensor 'images' or 'features'; it has labels"));
  CHECK(contains(Arrays().images("images", {2, 6, 3}).add("labels", {2}, labels).refused(),
                 "shape [2,6,3], expected [N,H,W,C]"));
  CHECK(contains(Arrays().images("images", {0, 2, 3, 3}).refused(), "none of them 0"));
  CHECK(contains(Arrays().add<float>("images", {1, 1, 2, 1}, {1, 2}).refused(), "is f32, expected u8"));
  CHECK(contains(Arrays().images().refused(), "nothing to learn from"));
  CHECK(contains(Arrays().images().add<std::int32_t>("labels", {2}, {-1, -1}).refused(),
                 "nothing to learn from"));
  CHECK(contains(Arrays().images().add<std::int32_t>("labels", {3}, {0, 1, 2}).refused(),
                 "has shape [3], expected [2]"));
  CHECK(contains(Arrays().images().add<std::int32_t>("labels", {2}, {0, -2}).refused(),
                 "label -2 of sample 1"));
  CHECK(contains(Arrays().images().add<std::int64_t>("labels", {2}, {0, 1LL << 32}).refused(),
                 "label 4294967296 of sample 1"));
  CHECK(contains(Arrays().images().add<float>("labels", {2}, {0, 1}).refused(),
                 "is f32, expected i64, i32 or u8"));
  CHECK(
      contains(Arrays().images().add<std::int32_t>("labels", {2}, {0, 0}).refused(), "at least two classes"));
  CHECK(contains(Arrays().images().add("candidates", {3, 2}, table).refused(),
                 "shape [3,2], expected [2,classes]"));
  CHECK(contains(Arrays().images().add("candidates", {2, 3}, Bytes{1, 0, 1, 0, 0, 0}).refused(),
                 "row 1 is empty"));
  CHECK(contains(Arrays().images().add("candidates", {2, 3}, Bytes{1, 0, 2, 0, 1, 0}).refused(),
                 "row 0 holds 2"));
  CHECK(contains(
      Arrays().images().add("candidates", {2, 3}, table).add<std::int32_t>("labels", {2}, {0, 3}).refused(),
      "label 3 of sample 1 is out of range: the candidates have 3 classes"));
  CHECK(contains(Arrays().images().add("labels", {2}, labels).add("test_labels", {2}, labels).refused(),
                 "'test_labels' without 'test_images'"));
}
