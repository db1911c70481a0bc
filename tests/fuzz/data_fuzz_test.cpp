// Damaged files must parse or throw Error: never crash, hang, ask for absurd memory or throw anything else.
// Under AddressSanitizer these tests also see every read past the end.
#include <cstdint>
#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"
#include "support/mutate.h"

using namespace dpll;
using dpll::test::mutate;

namespace {

// Runs `parse` on `trials` variants of `good` and on every truncation below `reach` bytes. Both outcomes must
// occur, or the test tests nothing.
template <typename Parse>
void fuzz(const std::vector<std::uint8_t>& good, std::size_t reach, std::uint32_t trials, Parse&& parse) {
  int parsed = 0, refused = 0;
  const auto attempt = [&](const std::vector<std::uint8_t>& bytes) {
    try {
      parse(bytes);
      ++parsed;
    } catch (const Error& error) {
      ++refused;
      if (error.code() != ExitCode::data) FAIL_CHECK("wrong code: ", error.what());
      if (std::string(error.what()).find('\n') != std::string::npos) FAIL_CHECK("two lines: ", error.what());
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
  fuzz(good, good.size(), 20000,
       [](const std::vector<std::uint8_t>& bytes) { read_everything(SafetensorsFile::parse(bytes, "x")); });
}

TEST_CASE("fuzz: damaged gzip streams unzip or throw Error") {
  const std::vector<std::uint8_t> good =
      read_file(std::string(DPLL_TEST_FIXTURES) + "/fashion-mnist/gz/train-labels-idx1-ubyte.gz");
  fuzz(good, good.size(), 5000, [](const std::vector<std::uint8_t>& bytes) { gunzip(bytes, "x"); });
}
