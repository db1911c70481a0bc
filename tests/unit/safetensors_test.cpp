#include "dpll/safetensors.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/safetensors_bytes.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::safetensors_bytes;
using dpll::test::TempDir;

namespace {

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

// Parses `header` over `data_bytes` bytes of data, which must fail, and checks code and message.
void check_refused(const std::string& header, std::size_t data_bytes, const std::string& message) {
  CAPTURE(header);
  const Error error = error_of([&] {
    SafetensorsFile::parse(safetensors_bytes(header, std::vector<std::uint8_t>(data_bytes)),
                           "lie.safetensors");
  });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "lie.safetensors: "));
  CHECK(contains(error, message));
}

}  // namespace

TEST_CASE("safetensors: what is written is read back, aligned and in order") {
  const TempDir dir;
  const std::vector<std::uint8_t> bytes = {1, 2, 3};
  const std::vector<float> floats = {1.5F, -2.25F, std::numeric_limits<float>::infinity(), 0};
  const std::vector<double> doubles = {M_PI};
  const std::vector<std::int64_t> longs = {-1, std::numeric_limits<std::int64_t>::min()};
  SafetensorsWriter writer;
  writer.add("bytes", DType::u8, {3}, bytes.data());
  writer.add("z floats", DType::f32, {2, 2}, floats.data());
  writer.add("scalar", DType::f64, {}, doubles.data());
  writer.add("longs", DType::i64, {2, 1}, longs.data());
  writer.add("a floats", DType::f32, {4}, floats.data());
  writer.add("nothing", DType::f32, {0, 5}, nullptr);
  writer.set_metadata("quote\"and\nnewline", "bad utf-8: \xff");
  writer.write(dir.file("x.safetensors"));

  const SafetensorsFile file = SafetensorsFile::read(dir.file("x.safetensors"));
  CHECK(file.entries().size() == 6);
  CHECK(file.get<std::uint8_t>("bytes") == bytes);
  CHECK(file.get<float>("z floats", {2, 2}) == floats);
  CHECK(file.get<double>("scalar") == doubles);
  CHECK(file.get<std::int64_t>("longs", {2, 1}) == longs);
  CHECK(file.get<float>("nothing").empty());
  CHECK(file.entry("scalar").shape.empty());
  CHECK(file.metadata().at("quote\"and\nnewline") == "bad utf-8: \xef\xbf\xbd");
  CHECK(file.contains("longs"));
  CHECK_FALSE(file.contains("long"));
  for (const auto& tensor : file.entries()) {
    CAPTURE(tensor.first);
    CHECK(tensor.second.offset % size_of(tensor.second.dtype) == 0);
  }
  CHECK(file.entry("z floats").offset <
        file.entry("a floats").offset);  // insertion order, not the alphabet's
  CHECK(std::memcmp(file.data("bytes"), bytes.data(), bytes.size()) == 0);
}

TEST_CASE("safetensors: asking for the wrong thing says what there is") {
  const TempDir dir;
  const std::vector<float> values = {1, 2};
  SafetensorsWriter writer;
  writer.add("weight", DType::f32, {2}, values.data());
  writer.add("bias", DType::f32, {1, 2}, values.data());
  writer.write(dir.file("x"));
  const SafetensorsFile file = SafetensorsFile::read(dir.file("x"));
  CHECK(contains(error_of([&] { file.entry("weights"); }),
                 R"(x: no tensor "weights"; it has "bias", "weight")"));
  CHECK(contains(error_of([&] { file.get<double>("bias"); }), R"(tensor "bias" is f32, expected f64)"));
  CHECK(contains(error_of([&] { file.get<float>("bias", {2}); }),
                 R"(tensor "bias" has shape [1,2], expected [2])"));
  CHECK(error_of([&] { file.get<float>("bias", {2}); }).code() == ExitCode::data);
}

// The file is made by the Python package: tests/fixtures/make_fixtures.py.
TEST_CASE("safetensors: a file of the Python package reads as it was written") {
  const SafetensorsFile file =
      SafetensorsFile::read(std::string(DPLL_TEST_FIXTURES) + "/safetensors/python.safetensors");
  CHECK(file.get<std::uint8_t>("u8", {2, 3}) == std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5});
  CHECK(file.get<std::uint8_t>("bool", {3}) == std::vector<std::uint8_t>{1, 0, 1});
  CHECK(file.get<std::int32_t>("i32") == std::vector<std::int32_t>{-1, 2147483647});
  CHECK(file.get<std::int64_t>("i64", {1, 1}) == std::vector<std::int64_t>{-(std::int64_t{1} << 40)});
  CHECK(file.get<std::uint64_t>("u64") == std::vector<std::uint64_t>{~std::uint64_t{0}});
  CHECK(file.get<float>("f32") == std::vector<float>{3.14159274F, 1e-45F});
  CHECK(file.get_as_double("f32") == std::vector<double>{3.1415927410125732, 1.401298464324817e-45});
  CHECK(file.get<double>("f64") == std::vector<double>{2.718281828459045});
  CHECK(file.entry("empty").shape == std::vector<std::int64_t>{0, 3});
  const std::vector<double> half = file.get_as_double("f16");
  REQUIRE(half.size() == 6);
  CHECK(half[0] == 1.5);
  CHECK((half[1] == 0 && std::signbit(half[1])));
  CHECK(half[2] == 65504);
  CHECK(half[3] == 0x1p-24);
  CHECK(std::isinf(half[4]));
  CHECK(std::isnan(half[5]));
  CHECK(file.metadata().at("made by") == "the Python package");
  CHECK(file.metadata().at("ünicode") == "€");
  CHECK(contains(error_of([&] { file.get_as_double("i32"); }), "is i32, expected f16, bf16, f32 or f64"));
}

TEST_CASE("safetensors: bfloat16 is the upper half of a float") {
  const std::vector<std::uint8_t> data = {0x80, 0x3f, 0x20, 0xc1};  // 1.0 and -10.0, little-endian
  const SafetensorsFile file =
      SafetensorsFile::parse(safetensors_bytes(R"({"x":)" + entry("BF16", "[2]", "[0,4]") + "}", data), "x");
  CHECK(file.get_as_double("x") == std::vector<double>{1, -10});
}

TEST_CASE("safetensors: files that are no safetensors files") {
  const auto parse = [](const std::vector<std::uint8_t>& bytes) {
    return error_of([&] { SafetensorsFile::parse(bytes, "x"); });
  };
  CHECK(contains(parse({}), "0 bytes"));
  CHECK(contains(parse({1, 0, 0, 0, 0, 0, 0}), "7 bytes"));
  CHECK(contains(parse({3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}), "a header of 3 bytes in 10 bytes"));
  CHECK(contains(parse(std::vector<std::uint8_t>(8, 255)), "a header of 18446744073709551615 bytes"));
  CHECK(contains(parse(std::vector<std::uint8_t>(8, 0)), "header is not JSON"));
  CHECK(error_of([] { SafetensorsFile::read("/no/such/file"); }).code() == ExitCode::data);
}

TEST_CASE("safetensors: headers that lie about their tensors") {
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"x":)" + entry(dtype, shape, offsets) + "}";
  };
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":)" + entry("U8", "[4]", first) + R"(,"b":)" + entry("U8", "[4]", second) + "}";
  };
  // The honest one, so that the refusals below are for their lies.
  CHECK(SafetensorsFile::parse(safetensors_bytes(two("[0,4]", "[4,8]"), std::vector<std::uint8_t>(8)), "x")
            .entries()
            .size() == 2);
  check_refused(two("[0,4]", "[4,8]"), 7, R"(tensor "b" reaches to byte 8 of the data section, which has 7)");
  check_refused(two("[0,4]", "[4,8]"), 9, "1 trailing bytes");
  check_refused(two("[0,4]", "[3,7]"), 7,
                R"(tensor "b" begins at byte 3 of the data section, expected 4 (tensors overlap))");
  check_refused(two("[0,4]", "[0,4]"), 4, "overlap");
  check_refused(two("[0,4]", "[5,9]"), 9, "(a hole)");
  check_refused(two("[1,5]", "[5,9]"), 9,
                R"(tensor "a" begins at byte 1 of the data section, expected 0 (a hole))");
  check_refused("{}", 1, "1 trailing bytes");
  check_refused(one("F32", "[2]", "[8,0]"), 8, "run backwards");
  check_refused(one("F32", "[2]", "[0,4]"), 4,
                R"(tensor "x": f32 [2] needs 8 bytes, data_offsets [0,4] hold 4)");
  check_refused(one("F32", "[]", "[0,0]"), 0, "needs 4 bytes");
  check_refused(one("U8", "[18446744073709551615]", "[0,8]"), 8, "impossibly large");
  check_refused(one("F32", "[4611686018427387904,4]", "[0,0]"), 0, "impossibly large");  // 2^66 wraps to 0
  check_refused(one("U8", "[4294967296,4294967296]", "[0,0]"), 0, "impossibly large");
  check_refused(one("U8", "[8]", "[18446744073709551608,18446744073709551616]"), 8,
                "");  // not a 64-bit number
  check_refused(one("U8", "[8]", "[18446744073709551600,18446744073709551608]"), 8,
                "reaches to byte 18446744073709551608");
}

TEST_CASE("safetensors: a tensor may be of any element type until somebody reads it") {
  struct Type {
    const char* name;
    int bytes;  // of two elements
  };
  // The last two are not in the format today: what is in them is known by their offsets alone.
  for (const Type type : {Type{"I8", 2},
                          {"I16", 4},
                          {"U16", 4},
                          {"U32", 8},
                          {"F8_E4M3", 2},
                          {"F8_E5M2", 2},
                          {"C64", 16},
                          {"F4", 1},
                          {"NEW\"\n", 3}}) {
    CAPTURE(type.name);
    const std::string name = nlohmann::json(type.name).dump();
    const std::string header =
        fmt::format(R"({{"x":{{"dtype":{},"shape":[2],"data_offsets":[0,{}]}},"y":{}}})", name, type.bytes,
                    entry("U8", "[1]", fmt::format("[{},{}]", type.bytes, type.bytes + 1)));
    const auto bytes = static_cast<std::size_t>(type.bytes);
    const SafetensorsFile file =
        SafetensorsFile::parse(safetensors_bytes(header, std::vector<std::uint8_t>(bytes + 1, 7)), "f");
    CHECK(file.entry("x").bytes == bytes);
    CHECK(file.get<std::uint8_t>("y") == std::vector<std::uint8_t>{7});
    CHECK(contains(error_of([&] { file.get<std::uint8_t>("x"); }),
                   "f: tensor \"x\" is " + name + ", expected u8"));
    CHECK(contains(error_of([&] { file.get_as_double("x"); }), "f: tensor \"x\" is " + name));
    CHECK(file.digest().size() == 64);
  }
}

TEST_CASE("safetensors: headers of the wrong form") {
  const std::string good = entry("U8", "[1]", "[0,1]");
  check_refused("[1]", 1, "the header is not a JSON object");
  check_refused("7", 1, "the header is not a JSON object");
  check_refused(R"({"x":)" + good, 1, "header is not JSON");
  check_refused("{\"\xff\":" + good + "}", 1, "header is not JSON");
  check_refused(R"({"x":)" + good + "}x", 1, "header is not JSON");
  check_refused(R"({"x":)" + good + R"(,"x":)" + good + "}", 1, R"(the name "x" appears twice)");
  check_refused(R"({"x":)" + good + R"(,"\u0078":)" + good + "}", 1, R"(the name "x" appears twice)");
  check_refused(R"({"x":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1,
                R"(the name "dtype" appears twice)");
  check_refused(R"({"x":{"dtype":"U8","shape":[1]}})", 1,
                "expected an object of dtype, shape and data_offsets");
  check_refused(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}})", 1,
                "expected an object of");
  check_refused(R"({"x":[1]})", 1, R"(tensor "x": expected an object)");
  check_refused(R"({"x":)" + entry("I16", "[1]", "[0,1]") + "}", 1, R"("I16" [1] needs 2 bytes)");
  check_refused(R"({"x":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})", 1, "dtype is not a string");
  check_refused(R"({"x":)" + entry("U8", "1", "[0,1]") + "}", 1, "shape is not a list");
  for (const char* dim : {"-1", "1.0", "\"1\"", "null", "[1]", "1e0"}) {
    check_refused(R"({"x":)" + entry("U8", std::string("[") + dim + "]", "[0,1]") + "}", 1,
                  "other than sizes");
  }
  for (const char* offsets : {"[0]", "[0,1,2]", "[-1,0]", "[0,1.0]", "1", "{\"0\":0,\"1\":1}"}) {
    check_refused(R"({"x":)" + entry("U8", "[1]", offsets) + "}", 1, "data_offsets is not a pair of sizes");
  }
  check_refused(R"({"__metadata__":{"a":1}})", 0, R"(__metadata__ "a" is not a string)");
  check_refused(R"({"__metadata__":"a"})", 0, "__metadata__ is not an object");
  check_refused(std::string(100000, '['), 0, "nested too deeply");
  check_refused(R"({"a\nb":1})", 0, R"(tensor "a\nb")");  // a name cannot break the line of the message
}

TEST_CASE("safetensors: a header beyond the format's limit is refused before it is parsed") {
  std::string header = "{}";
  header.resize(100'000'001, ' ');
  std::vector<std::uint8_t> bytes = safetensors_bytes(header, {});
  CHECK(contains(error_of([&] { SafetensorsFile::parse(std::move(bytes), "x"); }), "at most 100000000"));
}

TEST_CASE("safetensors: a file that cannot be written says why") {
  const TempDir dir;
  SafetensorsWriter writer;
  const float value = 1;
  writer.add("x", DType::f32, {1}, &value);
  const Error error = error_of([&] { writer.write(dir.file("no/x.safetensors")); });
  CHECK(error.code() == ExitCode::run);
  CHECK(contains(error, "No such file or directory"));
  CHECK(error_of([&] { writer.add("x", DType::f32, {1}, &value); }).code() == ExitCode::internal);
}
