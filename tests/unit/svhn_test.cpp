// SVHN's .mat files. tests/fixtures/svhn was written by SciPy; the others by mat_writer.h.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "data/svhn.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/mat_writer.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::MatWriter;
using dpll::test::TempDir;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kImage = 32 * 32 * 3;
const std::string kFixtures = DPLL_TEST_FIXTURES;

// What make_fixtures.py puts at row y, column x and channel c of image n.
std::uint8_t fixture_pixel(std::size_t n, std::size_t y, std::size_t x, std::size_t c) {
  return static_cast<std::uint8_t>((7 * y + 3 * x + 50 * c + 11 * n) % 256);
}

// A file with two images and their labels, each variable changed or left out as a test likes.
struct SvhnParts {
  std::vector<std::size_t> x_shape = {32, 32, 3, 2}, y_shape = {2, 1};
  Bytes x = Bytes(2 * kImage, 9), y = {10, 3};
  bool compressed = true;

  Bytes file() const {
    return written([&](MatWriter& writer) { writer.add("X", x_shape, x).add("y", y_shape, y); });
  }
  template <typename Write>
  Bytes written(Write&& write) const {
    const TempDir dir;
    {
      MatWriter writer(dir.file("a.mat"));
      write(writer.compressed(compressed));
    }
    return read_file(dir.file("a.mat"));
  }
};

Error svhn_error(const Bytes& bytes) {
  Error error = error_of([&] { parse_svhn(bytes, "x.mat"); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "x.mat: "));
  return error;
}

RunConfig svhn_config(const std::string& path) {
  RunConfig config;
  config.data.dataset = "svhn";
  config.data.path = path;
  config.data.verify = false;
  return config;
}

}  // namespace

TEST_CASE("svhn: columns become rows, and label 10 the digit 0") {
  const ImageSet set = parse_svhn(read_file(kFixtures + "/svhn/train_32x32.mat"), "x");
  REQUIRE(set.count == 5);
  CHECK(set.height == 32);
  CHECK(set.width == 32);
  CHECK(set.channels == 3);
  CHECK(set.labels == std::vector<std::int32_t>{1, 9, 0, 5, 0});
  REQUIRE(set.pixels.size() == 5 * kImage);
  bool same = true;
  for (std::size_t i = 0; i < set.pixels.size(); ++i) {
    same = same && set.pixels[i] == fixture_pixel(i / kImage, i / 96 % 32, i / 3 % 32, i % 3);
  }
  CHECK(same);
}

TEST_CASE("svhn: uncompressed files, labels of another class or in a row, a single image") {
  SvhnParts parts;
  parts.compressed = false;
  CHECK(parse_svhn(parts.file(), "x").labels == std::vector<std::int32_t>{0, 3});
  const auto with_labels = [&](auto values, const std::vector<std::size_t>& shape) {
    return parse_svhn(parts.written(
                          [&](MatWriter& w) { w.add("X", parts.x_shape, parts.x).add("y", shape, values); }),
                      "x")
        .labels;
  };
  CHECK(with_labels(std::vector<double>{2, 10}, {1, 2}) == std::vector<std::int32_t>{2, 0});
  CHECK(with_labels(std::vector<std::int32_t>{1, 9}, {2, 1}) == std::vector<std::int32_t>{1, 9});
  parts.x_shape = {32, 32, 3};
  parts.x.resize(kImage);
  parts.y = {7};
  parts.y_shape = {1, 1};
  CHECK(parse_svhn(parts.file(), "x").labels == std::vector<std::int32_t>{7});
}

TEST_CASE("svhn: variables that are missing or of another kind are refused by name") {
  const SvhnParts parts;
  const auto file = [&](auto&& write) { return parts.written(write); };
  CHECK(contains(svhn_error(file([&](MatWriter& w) {
                   w.add("y", {2, 1}, parts.y).add("Y", "text");
                 })),
                 "no variable X; it has y, Y"));
  CHECK(contains(svhn_error(file([&](MatWriter& w) { w.add("X", parts.x_shape, parts.x); })),
                 "no variable y; it has X"));
  CHECK(contains(svhn_error(file([&](MatWriter& w) {
                   w.add("X", {3072, 2}, std::vector<double>(6144));
                 })),
                 "variable X is double, expected uint8"));
  CHECK(
      contains(svhn_error(file([&](MatWriter& w) { w.add("X", "text"); })), "variable X is char, expected"));
  CHECK(contains(svhn_error(file([&](MatWriter& w) {
                   w.add_sparse("X", 2, 2, {1, 0, 0, 1});
                 })),
                 "variable X is sparse, expected uint8"));
  const auto with_x = [&](auto&& write) {
    return svhn_error(file([&](MatWriter& w) {
      w.add("X", parts.x_shape, parts.x);
      write(w);
    }));
  };
  CHECK(contains(with_x([](MatWriter& w) {
                   w.add_sparse("y", 2, 1, {1, 2});
                 }),
                 "variable y is sparse, expected a dense array"));
  CHECK(contains(with_x([](MatWriter& w) { w.add("y", "12"); }), "variable y is char, expected numbers"));
  CHECK(contains(with_x([](MatWriter& w) { w.add_complex("y", {1, 2}); }), "variable y is complex"));
}

TEST_CASE("svhn: sizes, counts and labels that do not fit are refused") {
  const auto changed = [](auto&& change) {
    SvhnParts parts;
    change(parts);
    return svhn_error(parts.file());
  };
  CHECK(contains(changed([](SvhnParts& p) {
                   p.x_shape = {3, 32, 32, 2};
                 }),
                 "variable X is [3,32,32,2], expected [32,32,3,N]"));
  CHECK(contains(changed([](SvhnParts& p) { p.x_shape = {3072, 2}; }), "X is [3072,2], expected"));
  CHECK(contains(changed([](SvhnParts& p) {
                   p.y = {1, 2, 3, 4}, p.y_shape = {2, 2};
                 }),
                 "y is [2,2], expected [N,1]"));
  CHECK(contains(changed([](SvhnParts& p) {
                   p.y = {1, 2, 3}, p.y_shape = {3, 1};
                 }),
                 "3 labels in y for the 2 images in X"));
  CHECK(contains(changed([](SvhnParts& p) { p.y[1] = 0; }), "label 0 of sample 1 is out of range: 1 to 10"));
  CHECK(contains(changed([](SvhnParts& p) { p.y[0] = 11; }), "label 11 of sample 0"));
  for (const double wrong : {1.5, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    const SvhnParts parts;
    CHECK(contains(svhn_error(parts.written([&](MatWriter& w) {
                     w.add("X", parts.x_shape, parts.x).add("y", {2, 1}, std::vector<double>{1, wrong});
                   })),
                   "of sample 1 is out of range"));
  }
}

TEST_CASE("svhn: files that are none, of another version or cut off are refused") {
  CHECK(contains(svhn_error({}), "not a MAT file of version 5 to 7.2 (0 bytes are less than its header)"));
  const std::string html = "<!DOCTYPE html>" + std::string(500, ' ');
  CHECK(contains(svhn_error(Bytes(html.begin(), html.end())), "not a MAT file of version 5 to 7.2"));
  Bytes hdf5 = SvhnParts().file();
  hdf5.resize(512);
  hdf5[125] = 2;
  const std::string magic = "\x89HDF\r\n\x1a\n";
  hdf5.insert(hdf5.end(), magic.begin(), magic.end());
  CHECK(
      contains(svhn_error(hdf5), "version 7.3 (HDF5), expected version 5 to 7.2; MATLAB writes one by save"));
  for (const bool compressed : {true, false}) {
    SvhnParts parts;
    parts.compressed = compressed;
    Bytes bytes = parts.file();
    bytes.pop_back();
    CHECK(contains(svhn_error(bytes), "truncated: the element at byte "));
    bytes.resize(129);
    CHECK(contains(svhn_error(bytes), "1 after the last element"));
    bytes.resize(128);
    CHECK(contains(svhn_error(bytes), "no variable X; it has none"));
  }
  // A whole element whose compressed stream ends early.
  Bytes bytes = SvhnParts().file();
  const std::size_t length = bytes[132] + 256u * bytes[133];
  bytes.erase(bytes.begin() + 136 + static_cast<std::ptrdiff_t>(length) - 20,
              bytes.begin() + 136 + static_cast<std::ptrdiff_t>(length));
  bytes[132] = static_cast<std::uint8_t>((length - 20) % 256);
  bytes[133] = static_cast<std::uint8_t>((length - 20) / 256);
  CHECK(contains(svhn_error(bytes), "is truncated or damaged"));
}

TEST_CASE("load_data: SVHN with and without its extra images") {
  const TempDir dir;
  const auto write = [&](const std::string& name, std::uint8_t first, std::uint8_t second) {
    MatWriter(dir.file(name))
        .add("X", {32, 32, 3, 2}, Bytes(2 * kImage, first))
        .add("y", {2, 1}, Bytes{first, second});
  };
  write("train_32x32.mat", 1, 10);
  write("test_32x32.mat", 4, 2);
  RunConfig config = svhn_config(dir.path());
  const DataSet data = load_data(config);
  CHECK(data.kind == "svhn");
  CHECK(data.classes == 10);
  CHECK(data.class_names[3] == "3");
  CHECK(data.train.labels == std::vector<std::int32_t>{1, 0});
  CHECK(data.test.labels == std::vector<std::int32_t>{4, 2});
  config.data.svhn_extra = true;
  const Error missing = error_of([&] { load_data(config); });
  CHECK(contains(missing,
                 "extra_32x32.mat: missing (SVHN (cropped digits), published at "
                 "http://ufldl.stanford.edu/housenumbers/; extra_32x32.mat has MD5 "
                 "a93ce644f1a588dc4d68dda5feec44a7)"));
  write("extra_32x32.mat", 7, 8);
  const DataSet more = load_data(config);
  CHECK(more.train.labels == std::vector<std::int32_t>{1, 0, 7, 8});
  CHECK(more.train.pixels.back() == 7);
  CHECK(more.test.labels == data.test.labels);
  config.data.verify = true;
  const Error other = error_of([&] { load_data(config); });
  CHECK(contains(other, "train_32x32.mat: not the published file"));
  CHECK(contains(other, "e26dedcc434d2e4c54c9b2d4a06d8373"));
  config.data.dataset = "kmnist";
  CHECK(contains(error_of([&] { load_data(config); }), "only SVHN has such a file"));
}
