// MATLAB's files of version 5: what is read, what is passed over, and damage of every kind, at little cost.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "data/mat_file.h"
#include "data/tabular.h"
#include "dpll/core/check.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/mat_writer.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::MatWriter;

namespace {

using Bytes = std::vector<std::uint8_t>;

// The bytes of a file, in each way in which it can be written.
template <typename Write>
std::vector<Bytes> in_every_form(Write&& write) {
  std::vector<Bytes> files;
  for (const bool big_endian : {false, true}) {
    for (const bool compressed : {false, true}) {
      MatWriter writer("/dev/null");
      if (big_endian) writer.big_endian();
      write(writer.compressed(compressed));
      files.push_back(writer.bytes());
    }
  }
  return files;
}

template <typename Write>
Bytes plain(Write&& write) {
  MatWriter writer("/dev/null");
  write(writer.compressed(false));
  return writer.bytes();
}

template <typename Read>
Error mat_error(const Bytes& bytes, Read&& read) {
  Error error = error_of([&] { read(MatFile(bytes, "f.mat")); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "f.mat: "));
  return error;
}

template <typename T>
void check_class(const std::vector<T>& values) {
  for (const Bytes& bytes : in_every_form([&](MatWriter& w) {
         w.add("x", {1, values.size()}, values).add("none", {0, 3}, std::vector<T>());
       })) {
    const MatFile file(bytes, "f");
    CHECK(file.read_numbers("x").values == std::vector<double>(values.begin(), values.end()));
    CHECK(file.shape_of("x") == std::vector<std::size_t>{1, values.size()});
    CHECK(file.read_matrix("none").values.empty());
    CHECK(file.read_matrix("none").shape == std::vector<std::size_t>{0, 3});
  }
}

template <typename T>
void check_limits() {
  using Limits = std::numeric_limits<T>;
  check_class<T>({0, 1, Limits::lowest(), Limits::max(), T(7)});
}

}  // namespace

TEST_CASE("mat file: every numeric class, in both byte orders, zipped and not") {
  check_limits<std::int8_t>();
  check_limits<std::uint8_t>();
  check_limits<std::int16_t>();
  check_limits<std::uint16_t>();
  check_limits<std::int32_t>();
  check_limits<std::uint32_t>();
  check_limits<float>();
  check_limits<double>();
  check_class<std::int64_t>({-(std::int64_t{1} << 53), 3});
  check_class<std::uint64_t>({std::uint64_t{1} << 53, 3});
}

TEST_CASE("mat file: elements stored in a smaller type than their class, whatever their number") {
  for (std::size_t count = 1; count < 20; ++count) {
    std::vector<double> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<double>(i) - 5;
    for (const Bytes& bytes : in_every_form([&](MatWriter& w) {
           w.add<double, std::int8_t>("bytes", {count, 1}, values);
           w.add<double, std::int16_t>("shorts", {count, 1}, values);
           w.add<double, float>("floats", {count, 1}, values);
           w.add_sparse<std::int8_t>("sparse", count, 1, values);
         })) {
      const MatFile file(bytes, "f");
      for (const char* name : {"bytes", "shorts", "floats", "sparse"}) {
        CAPTURE(name);
        CHECK(file.read_matrix(name).values == values);
      }
    }
  }
}

TEST_CASE("mat file: texts, structures and cells are passed over") {
  for (
      const Bytes& bytes : in_every_form([](MatWriter& w) {
        w.add("text", "some words").add_structure("s").add_cell("c").add("x", {1, 1}, std::vector<double>{4});
      })) {
    const MatFile file(bytes, "f.mat");
    CHECK(file.read_numbers("x").values == std::vector<double>{4});
    CHECK(file.has("s"));
    CHECK_FALSE(file.has("field"));
    const auto message = [&](const char* name) {
      return std::string(error_of([&] { file.read_matrix(name); }).what());
    };
    CHECK(message("s") == "f.mat: variable s is a structure, expected numbers");
    CHECK(message("c") == "f.mat: variable c is a cell array, expected numbers");
    CHECK(message("text") == "f.mat: variable text is char, expected numbers");
    CHECK(message("y") == "f.mat: no variable y; it has text, s, c, x");
  }
}

TEST_CASE("mat file: sizes that are not those of the elements are refused") {
  const auto number = [](MatFile file) { file.read_matrix("x"); };
  const auto parts = [](std::uint32_t matlab_class, const std::vector<std::size_t>& shape,
                        const Bytes& data) {
    return plain([&](MatWriter& w) { w.add_parts("x", matlab_class, shape, data); });
  };
  const MatWriter w("/dev/null");
  const Bytes three = w.numbers(std::vector<double>{1, 2, 3});
  CHECK(contains(mat_error(parts(6, {2, 2}, three), number),
                 "variable x is damaged: 24 bytes of elements of 8"));
  CHECK(contains(mat_error(parts(6, {3, 1}, {}), number), "variable x is truncated or damaged"));
  CHECK(contains(mat_error(parts(6, {2147483647, 2147483647}, three), number), "variable x is damaged"));
  CHECK(contains(mat_error(parts(6, std::vector<std::size_t>(5, 2147483647), three),
                           [](MatFile f) { f.read_numbers("x"); }),
                 "variable x claims to be [2147483647,"));
  CHECK(contains(mat_error(parts(6, {4294967295, 1}, three), number), "negative size"));
  CHECK(contains(mat_error(parts(6, std::vector<std::size_t>(65, 1), three), number), "1 to 64 numbers"));
  CHECK(contains(mat_error(parts(99, {3, 1}, three), number), "variable x is of an unknown class"));
  Bytes more = three;
  more.insert(more.end(), three.begin(), three.end());
  CHECK(contains(mat_error(parts(6, {3, 1}, more), number), "32 bytes follow its elements"));
}

TEST_CASE("mat file: sparse arrays whose indices lie are refused") {
  const MatWriter w("/dev/null");
  const Bytes two = w.numbers(std::vector<double>{5, 6});
  const auto sparse = [&](const std::vector<std::size_t>& shape, const std::vector<std::int32_t>& ir,
                          const std::vector<std::int32_t>& jc, const Bytes& values) {
    return plain([&](MatWriter& writer) { writer.add_sparse("x", shape, ir, jc, values); });
  };
  const auto read = [](const MatFile& file) { return file.read_matrix("x").values; };
  CHECK(read(MatFile(sparse({2, 2}, {0, 1}, {0, 1, 2}, two), "f")) == std::vector<double>{5, 0, 0, 6});
  // More room than elements, as MATLAB leaves it.
  CHECK(read(MatFile(sparse({2, 2}, {0, 1, 9}, {0, 1, 2}, two), "f")) == std::vector<double>{5, 0, 0, 6});
  const auto message = [&](const Bytes& bytes) { return mat_error(bytes, read); };
  CHECK(contains(message(sparse({2, 2}, {0, 2}, {0, 1, 2}, two)), "row 2 of 2 in column 1"));
  CHECK(contains(message(sparse({2, 2}, {0, -1}, {0, 1, 2}, two)), "row 4294967295 of 2"));
  CHECK(contains(message(sparse({2, 2}, {0, 1}, {0, 3, 2}, two)), "column 0 is elements 0 to 3"));
  CHECK(contains(message(sparse({2, 2}, {0, 1}, {0, 2}, two)), "numbers of type 5"));
  CHECK(contains(message(sparse({2, 2}, {0, 1}, {1, 1, 2}, two)), "2 stored elements"));
  CHECK(contains(message(sparse({2, 2}, {0}, {0, 1, 2}, two)), "2 stored elements with 1 row numbers"));
  CHECK(contains(message(sparse({2, 2}, {0, 1}, {0, 1, 2}, w.numbers(std::vector<double>{5}))),
                 "for 2 elements"));
  CHECK(contains(message(sparse({8, 1}, {0}, {0}, {})), "is damaged"));
  CHECK(contains(message(sparse({1000000, 1}, {0}, {0, 1}, two)), "1024 for a byte of the file"));
  CHECK(contains(message(sparse({1, 2147483647}, {0}, {0, 1}, two)), "are supported"));
}

TEST_CASE("mat file: a zipped variable with another size, checksum or content than it announces") {
  MatWriter writer("/dev/null");
  const Bytes good = writer.add("x", {1, 3}, std::vector<double>{1, 2, 3}).bytes();
  const auto read = [](const MatFile& file) { return file.read_numbers("x").values; };
  CHECK(read(MatFile(good, "f")) == std::vector<double>{1, 2, 3});
  Bytes checksum = good;
  checksum.back() ^= 1;
  CHECK(contains(mat_error(checksum, read), "variable x is "));
  // Any byte of the stream: it is found, or what is read is the same.
  for (std::size_t at = 136; at < good.size(); ++at) {
    Bytes damaged = good;
    damaged[at] ^= 0x10;
    try {
      const std::vector<double> values = read(MatFile(damaged, "f"));
      CHECK(values == std::vector<double>{1, 2, 3});
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::data);
    }
  }
}

TEST_CASE("mat file: little files that announce much cost next to nothing") {
  // Cells and structures of a billion elements, as random bytes may say: a reader that believed it would go
  // through them one by one.
  const MatWriter w("/dev/null");
  const auto parse = [](const Bytes& bytes) { parse_tabular(bytes, "f.mat"); };
  for (const std::uint32_t matlab_class : {1U, 2U, 3U}) {
    const Bytes cells = plain([&](MatWriter& writer) {
      writer.add_parts("data", matlab_class, {1, 1701208641},
                       w.numbers(std::vector<std::int32_t>{2000000000}));
    });
    CHECK(contains(error_of([&] { parse(cells); }), "f.mat: variable data is a"));
  }
  const Bytes many = plain([&](MatWriter& writer) {
    writer.add_parts("data", 6, {60000, 30000}, {9, 0, 0, 0, 0, 0, 0, 0x7F});
  });
  CHECK(contains(error_of([&] { parse(many); }), "variable data is damaged"));
  Bytes name = plain([&](MatWriter& writer) { writer.add("data", {1, 1}, std::vector<double>{1}); });
  const std::string tag = {1, 0, 4, 0, 'd', 'a', 't', 'a'};
  const auto at = std::search(name.begin(), name.end(), tag.begin(), tag.end());
  REQUIRE(at != name.end());
  *(at + 2) = 0x6C;
  CHECK(contains(error_of([&] { parse(name); }), "108 bytes in a tag that has room for 4"));
}
