// Candidate sets against NumPy's own: tests/golden/candidates.txt, written by
// tools/golden/make_candidates.py.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "candidates/numpy_legacy.h"
#include "dpll/candidates.h"
#include "dpll/files.h"
#include "support/doctest.h"

using namespace dpll;

namespace {

// Lines whose first word is `kind`, as streams behind that word, with the file's position behind the line.
template <typename Handle>
int for_each_line(const std::string& kind, Handle&& handle) {
  std::ifstream file(DPLL_TEST_GOLDEN "/candidates.txt");
  int found = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string first;
    fields >> first;
    if (first != kind) continue;
    ++found;
    CAPTURE(line);
    handle(fields, file);
  }
  return found;
}

template <typename T>
T next(std::istream& fields) {
  T value{};
  fields >> value;
  REQUIRE(fields);
  return value;
}

// Streams do not read hexadecimal floats, strtod does.
double next_real(std::istream& fields) {
  return std::strtod(next<std::string>(fields).c_str(), nullptr);
}

std::string hexadecimal(const CandidateSets& sets, std::int64_t sample) {
  std::string digits;
  for (int low = (sets.classes - 1) / 4 * 4; low >= 0; low -= 4) {
    unsigned digit = 0;
    for (int c = low; c < std::min(low + 4, sets.classes); ++c)
      digit |= unsigned{sets.contains(sample, c)} << (c - low);
    if (digit != 0 || !digits.empty()) digits += "0123456789abcdef"[digit];
  }
  return digits;
}

}  // namespace

TEST_CASE("golden: uniform candidate sets are NumPy's") {
  const int settings = for_each_line("sets", [](std::istream& fields, std::istream& file) {
    const int classes = next<int>(fields);
    const double rate = next_real(fields);
    const int min_distractors = next<int>(fields);
    const auto seed = next<std::uint32_t>(fields);
    const auto count = next<std::int64_t>(fields);
    const auto sha256 = next<std::string>(fields);
    const int shown = next<int>(fields);
    std::vector<std::int32_t> labels;
    for (std::int64_t i = 0; i < count; ++i) labels.push_back(static_cast<std::int32_t>(i * 7919 % classes));
    const CandidateSets sets = uniform_candidates(labels, classes, rate, min_distractors, seed);
    REQUIRE(sets.count == count);
    for (int i = 0; i < shown; ++i) {
      std::string line;
      std::getline(file, line);
      REQUIRE(hexadecimal(sets, i) == line);
    }
    CHECK(candidates_sha256(sets) == sha256);
    CHECK(count_missing_truth(sets, labels) == 0);
  });
  CHECK(settings == 19);
}

TEST_CASE("golden: binomial(1, p) gives NumPy's values and takes as many words") {
  const int settings = for_each_line("bernoulli", [](std::istream& fields, std::istream&) {
    NumpyLegacy random(next<std::uint32_t>(fields));
    const double p = next_real(fields);
    const int draws = next<int>(fields);
    std::vector<std::uint8_t> values;
    int ones = 0;
    for (int i = 0; i < draws; ++i) {
      values.push_back(random.binomial(p) ? 1 : 0);
      ones += values.back();
    }
    CHECK(ones == next<int>(fields));
    CHECK(sha256_hex(values.data(), values.size()) == next<std::string>(fields));
    CHECK(random.next_u32() == next<std::uint32_t>(fields));
  });
  CHECK(settings == 52);
}

TEST_CASE("golden: randint(0, n) gives NumPy's values and takes as many words") {
  const int settings = for_each_line("randint", [](std::istream& fields, std::istream&) {
    NumpyLegacy random(next<std::uint32_t>(fields));
    const auto n = next<std::uint32_t>(fields);
    const int draws = next<int>(fields);
    std::vector<std::uint8_t> bytes;
    for (int i = 0; i < draws; ++i) {
      const std::uint32_t value = random.randint(n);
      for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
    }
    CHECK(sha256_hex(bytes.data(), bytes.size()) == next<std::string>(fields));
    CHECK(random.next_u32() == next<std::uint32_t>(fields));
  });
  CHECK(settings == 23);
}
