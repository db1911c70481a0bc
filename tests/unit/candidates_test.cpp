#include "dpll/candidates.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::TempDir;

namespace {

std::vector<std::int32_t> some_labels(int count, int classes) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) labels[static_cast<std::size_t>(i)] = i * 7919 % classes;
  return labels;
}

CandidateSets three_sets() {
  return candidates_from_table({1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1}, 3, 4, "t");
}

const std::string kHead = "# dpll candidates, classes = 4, count = 3";
const std::string kRows = "sample,candidates\n0,0 2\n1,1\n2,0 1 2 3\n";

Error candidates_error(const std::string& text, std::int64_t count = 3, int classes = 4) {
  const TempDir dir;
  write_file_atomically(dir.file("c.csv"), text);
  Error error = error_of([&] { read_candidates(dir.file("c.csv"), count, classes); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "c.csv"));
  return error;
}

Error refused_rows(const std::string& rows) {
  return candidates_error(fmt::format("{}\nsample,candidates\n{}", kHead, rows));
}

}  // namespace

TEST_CASE("candidates: a set per sample over several words") {
  CandidateSets sets(3, 130);
  CHECK(sets.words_per_row == 3);
  sets.insert(1, 0);
  sets.insert(1, 63);
  sets.insert(1, 64);
  sets.insert(1, 129);
  sets.insert(1, 129);
  sets.insert(2, 128);
  CHECK(sets.contains(1, 129));
  CHECK(!sets.contains(1, 128));
  CHECK(!sets.contains(0, 129));
  CHECK(sets.size(0) == 0);
  CHECK(sets.size(1) == 4);
  CHECK(sets.size(2) == 1);
  CHECK(sets.mean_size() == doctest::Approx(5.0 / 3));
  CHECK(CandidateSets(0, 10).mean_size() == 0);
}

TEST_CASE("candidates: the mean size is that of the flipping process") {
  // With B wrong labels flipped, B binomial(c - 1, q), the set has 1 + B + [B = 0] labels.
  struct Setting {
    int classes;
    double rate;
    double published;  // section 6 of the method's specification
  };
  for (const Setting& s : {Setting{10, 0.1, 2.287}, Setting{10, 0.3, 3.740}, Setting{10, 0.5, 5.502},
                           Setting{10, 0.7, 7.300}, Setting{100, 0.01, 2.360}, Setting{100, 0.05, 5.956},
                           Setting{100, 0.1, 10.900}, Setting{100, 0.2, 20.800}}) {
    CAPTURE(s.classes);
    CAPTURE(s.rate);
    const int samples = 50000;
    const double n = s.classes - 1, none = std::pow(1 - s.rate, n);
    for (const int min_distractors : {0, 1}) {
      const double extra = min_distractors == 1 ? none : 0;
      const double mean = n * s.rate + extra;
      const double second_moment = n * s.rate * (1 - s.rate) + n * s.rate * n * s.rate + extra;
      const double sigma = std::sqrt((second_moment - mean * mean) / samples);
      if (min_distractors == 1) CHECK(std::abs(1 + mean - s.published) < 6e-4);
      for (const std::uint32_t seed : {2u, 12345u}) {
        const CandidateSets sets =
            uniform_candidates(some_labels(samples, s.classes), s.classes, s.rate, min_distractors, seed);
        CHECK(std::abs(sets.mean_size() - 1 - mean) < 5 * sigma);
      }
    }
  }
}

TEST_CASE("candidates: every wrong label is as likely") {
  const int samples = 50000, classes = 10;
  const double rate = 0.1;
  const CandidateSets sets = uniform_candidates(std::vector<std::int32_t>(samples, 3), classes, rate, 1, 2);
  // Of samples without any flipped label, each wrong one is the single distractor with chance 1 / (c - 1).
  const double chance = rate + std::pow(1 - rate, classes - 1) / (classes - 1);
  for (int c = 0; c < classes; ++c) {
    int with = 0;
    for (int i = 0; i < samples; ++i) with += sets.contains(i, c) ? 1 : 0;
    if (c == 3) {
      CHECK(with == samples);
    } else {
      CHECK(std::abs(with - samples * chance) < 5 * std::sqrt(samples * chance * (1 - chance)));
    }
  }
}

TEST_CASE("candidates: rate 0 leaves the truth, or the truth and one distractor") {
  const std::vector<std::int32_t> labels = some_labels(1000, 7);
  const CandidateSets alone = uniform_candidates(labels, 7, 0, 0, 2);
  const CandidateSets pairs = uniform_candidates(labels, 7, 0, 1, 2);
  for (int i = 0; i < 1000; ++i) {
    CHECK(alone.size(i) == 1);
    CHECK(alone.contains(i, labels[static_cast<std::size_t>(i)]));
    CHECK(pairs.size(i) == 2);
    CHECK(pairs.contains(i, labels[static_cast<std::size_t>(i)]));
  }
  CHECK(uniform_candidates({0, 0}, 1, 0.5, 0, 2).size(1) == 1);
  CHECK(uniform_candidates({}, 10, 0.5, 1, 2).count == 0);
}

TEST_CASE("candidates: what uniform candidates cannot be drawn for") {
  const std::vector<std::int32_t> labels = {0, 1, -1};
  CHECK(contains(error_of([&] { uniform_candidates(labels, 2, 0.1, 1, 2); }), "sample 2 has -1"));
  CHECK(contains(error_of([&] { uniform_candidates({0, 2}, 2, 0.1, 1, 2); }), "sample 1 has 2"));
  CHECK(contains(error_of([&] { uniform_candidates({0}, 1, 0.1, 1, 2); }), "at least 2 classes, not 1"));
  for (const double rate : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
    const Error error = error_of([&] { uniform_candidates({0}, 2, rate, 1, 2); });
    CHECK(error.code() == ExitCode::config);
    CHECK(contains(error, "candidates.rate"));
  }
  CHECK(contains(error_of([&] { uniform_candidates({0}, 2, 0.1, 2, 2); }), "min_distractors = 2"));
}

TEST_CASE("candidates: a dense table") {
  const CandidateSets sets = three_sets();
  CHECK(sets.contains(0, 0));
  CHECK(!sets.contains(0, 1));
  CHECK(sets.contains(0, 2));
  CHECK(sets.size(2) == 4);
  const Error empty = error_of([] { candidates_from_table({1, 0, 0, 0, 0, 0}, 3, 2, "x.safetensors"); });
  CHECK(empty.code() == ExitCode::data);
  CHECK(contains(empty, "x.safetensors: sample 1 has no candidate label"));
  CHECK(contains(error_of([] {
                   candidates_from_table({1, 0, 0, 7}, 2, 2, "x");
                 }),
                 "sample 1 hold 7 for label 1"));
  CHECK(error_of([] { candidates_from_table({1, 0, 0}, 2, 2, "x"); }).code() == ExitCode::internal);
}

TEST_CASE("candidates: the hash covers shape and sets") {
  std::vector<std::uint8_t> bytes(16, 0);  // count and classes as 64-bit little-endian numbers
  bytes[0] = 3;
  bytes[8] = 4;
  for (const int bit : {1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1}) bytes.push_back(static_cast<std::uint8_t>(bit));
  CHECK(candidates_sha256(three_sets()) == sha256_hex(bytes.data(), bytes.size()));
  CandidateSets other = three_sets();
  other.insert(1, 0);
  CHECK(candidates_sha256(other) != candidates_sha256(three_sets()));
}

TEST_CASE("candidates: samples that miss the truth are counted") {
  CHECK(count_missing_truth(three_sets(), {0, 1, 2}) == 0);
  CHECK(count_missing_truth(three_sets(), {1, 0, 2}) == 2);
  CHECK(count_missing_truth(three_sets(), {1, -1, 2}) == 1);
  CHECK(error_of([] { count_missing_truth(three_sets(), {1}); }).code() == ExitCode::internal);
}

TEST_CASE("candidate file: what is written is read back") {
  const TempDir dir;
  write_candidates(dir.file("c.csv"), three_sets());
  const std::vector<std::uint8_t> bytes = read_file(dir.file("c.csv"));
  CHECK(std::string(bytes.begin(), bytes.end()) ==
        fmt::format("{}, sha256 = {}\n{}", kHead, candidates_sha256(three_sets()), kRows));
  CHECK(read_candidates(dir.file("c.csv"), 3, 4).words == three_sets().words);

  const CandidateSets many = uniform_candidates(some_labels(2000, 100), 100, 0.05, 1, 2);
  write_candidates(dir.file("m.csv"), many);
  CHECK(read_candidates(dir.file("m.csv"), 2000, 100).words == many.words);
  CHECK(error_of([&] { write_candidates(dir.file("e.csv"), CandidateSets(2, 3)); }).code() ==
        ExitCode::internal);
}

TEST_CASE("candidate file: without a hash, and as spreadsheets and editors save it") {
  const TempDir dir;
  const std::string quoted =
      "\"" + kHead + "\"\n\"sample\",\"candidates\"\n\"0\",\"0 2\"\n1,\"1\"\n2,0 1 2 3\n";
  const std::string filled_up = kHead + "\nsample,candidates,\n0,0 2,\n1,1,,\n2,0 1 2 3,\n";
  for (const std::string& text :
       {kHead + "\r\nsample,candidates\r\n0,2 0\r\n1,1\r\n2,3 2 1 0", "\xEF\xBB\xBF" + kHead + "\n" + kRows,
        kHead + "\n" + kRows + "\n\n", quoted, filled_up}) {
    CAPTURE(text);
    write_file_atomically(dir.file("c.csv"), text);
    CHECK(read_candidates(dir.file("c.csv"), 3, 4).words == three_sets().words);
  }
  CHECK(contains(candidates_error("\ufeff\ufeff" + kHead + "\n" + kRows),
                 "c.csv:1: \"\\ufeff# dpll candidates"));
}

TEST_CASE("candidate file: a sample is its index in the source, and the samples that are wanted are taken") {
  const TempDir dir;
  const std::string path = dir.file("c.csv");
  const auto read = [&](const std::vector<std::int64_t>& wanted, std::int64_t source) {
    return read_candidates(path, wanted, source, 4).words;
  };
  write_candidates(path, three_sets());
  const std::vector<std::uint64_t> all = three_sets().words;
  CHECK(read({0, 1}, 3) == std::vector<std::uint64_t>{all[0], all[1]});
  CHECK(read({1}, 3) == std::vector<std::uint64_t>{all[1]});
  CHECK(read({0, 2}, 9) == std::vector<std::uint64_t>{all[0], all[2]});
  // Three sets for three samples that are not 0, 1, 2: their order is all that can be meant.
  CHECK(read({2, 5, 7}, 9) == all);
  CHECK(contains(
      error_of([&] {
        read({2, 5}, 9);
      }),
      "c.csv: sample 5 has no set: the file has those of 3 samples from 0 to 2, training takes 2 of 9; "
      "every sample needs a set. Where nothing is known, all labels are candidates"));

  write_candidates(path, three_sets(), {2, 5, 7});
  const std::vector<std::uint8_t> bytes = read_file(path);
  CHECK(std::string(bytes.begin(), bytes.end())
            .ends_with("\nsample,position,candidates\n2,0,0 2\n5,1,1\n7,2,0 1 2 3\n"));
  CHECK(read({2, 5, 7}, 9) == all);
  CHECK(read({7}, 9) == std::vector<std::uint64_t>{all[2]});
  CHECK(contains(error_of([&] { read({0, 1, 2}, 9); }), "sample 0 has no set"));
  CHECK(contains(error_of([&] {
                   read({2, 5, 7}, 7);
                 }),
                 "c.csv:5: sample 7 is not in the data set, whose 7 samples count from 0"));
  // With the column, a file is never one of positions.
  write_file_atomically(path, kHead + "\nsample,position,candidates\n0,0,1\n1,1,1\n2,2,1\n");
  CHECK(contains(error_of([&] { read({3, 4, 5}, 9); }), "sample 3 has no set"));
}

TEST_CASE("candidate file: wrong first lines and columns") {
  CHECK(contains(candidates_error(""), "c.csv:1: the file ends where the first line"));
  CHECK(contains(candidates_error("sample,candidates\n0,1\n"),
                 "c.csv:1: \"sample,candidates\" is not the first line of"));
  CHECK(contains(candidates_error(kHead + "x\n" + kRows), "is not the first line of"));
  CHECK(contains(candidates_error(kHead + ", sha256 = 12\n" + kRows), "is not the first line of"));
  CHECK(contains(candidates_error("# dpll candidates, classes = , count = 3\n" + kRows),
                 "is not the first line of"));
  CHECK(contains(candidates_error("# dpll candidates, classes = 99999999999999999999, count = 3\n"),
                 "is not the first line of"));
  CHECK(contains(candidates_error(kHead + "\n" + kRows, 3, 10),
                 "c.csv:1: the sets are for 4 classes, the data set has 10"));
  CHECK(contains(candidates_error(kHead + "\n" + kRows, 2, 4),
                 "c.csv:1: the sets are for 3 samples, the data set has 2"));
  CHECK(contains(candidates_error(kHead + "\n" + kRows, 50000, 4), "c.csv: sample 3 has no set"));
  CHECK(contains(candidates_error(kHead + "\nsample;candidates\n"),
                 "c.csv:2: \"sample;candidates\" are not the columns; expected \"sample,candidates\""));
  CHECK(contains(candidates_error(kHead + "\n"), "c.csv:2: the file ends where the columns should follow"));
}

TEST_CASE("candidate file: wrong rows name line and sample") {
  CHECK(contains(refused_rows("0,0\n1,1\n"), "c.csv:5: the file ends where row 3 of 3 should follow"));
  CHECK(contains(refused_rows("0,0\n1,1\n2,2\n3,3\n"), "c.csv:6: \"3,3\" after the last of 3 samples"));
  CHECK(contains(refused_rows("0,0\n1,\n2,2\n"),
                 "c.csv:4: sample 1 has no candidate label; every sample needs one"));
  CHECK(contains(refused_rows("0,0\n1,4\n2,2\n"),
                 "c.csv:4: sample 1: label 4 is out of range; expected 0 to 3"));
  CHECK(contains(refused_rows("0,1\n1,4\n2,2\n"),
                 "expected 0 to 3; do the labels start at 1? They count from 0"));
  CHECK(contains(refused_rows("0,0\n1,99999999999999999999\n"),
                 "sample 1: \"99999999999999999999\" is not a label"));
  CHECK(contains(refused_rows("0,0\n1,-1\n2,2\n"), "c.csv:4: sample 1: \"-1\" is not a label"));
  CHECK(contains(refused_rows("0,0\n1,1 2 1\n2,2\n"), "c.csv:4: sample 1: label 1 stands twice"));
  CHECK(contains(refused_rows("0,0\n1,x\n2,2\n"), "c.csv:4: sample 1: \"x\" is not a label"));
  CHECK(contains(refused_rows("0,0\n1,1 \n2,2\n"), "c.csv:4: sample 1: \"\" is not a label"));
  CHECK(contains(refused_rows("0,0\n1,1;2\n2,2\n"), "c.csv:4: sample 1: \";2\" after label 1"));
  CHECK(contains(refused_rows("0,0\n1,1,2\n2,2\n"), "c.csv:4: sample 1: \"2\" after the labels"));
  CHECK(contains(refused_rows("0,0\n2,1\n1,2\n"),
                 "c.csv:5: sample 1 after sample 2; samples must be in ascending"));
  CHECK(contains(refused_rows("0,0\n0,1\n1,2\n"), "c.csv:4: sample 0 after sample 0"));
  CHECK(contains(refused_rows("0,0\n1,\"1\n2,2\n"), "c.csv:4: \"1,\"1\": a quote is not closed"));
  CHECK(contains(refused_rows("0,0\n\n1,1\n2,2\n"), "c.csv:4: \"\" is not a row"));
  CHECK(contains(refused_rows("0,0\nx,1\n2,2\n"), "c.csv:4: \"x,1\" is not a row"));
  CHECK(contains(refused_rows("0 0\n"), "c.csv:3: \"0 0\" is not a row"));
  CHECK(contains(refused_rows(fmt::format("0,0\n{}", '\0')), "c.csv:4: \"\\x00\" is not a row"));
}

TEST_CASE("candidate file: contents that do not match their hash") {
  const std::string head = fmt::format("{}, sha256 = {}\n", kHead, candidates_sha256(three_sets()));
  CHECK(contains(candidates_error(head + "sample,candidates\n0,0 2\n1,0\n2,0 1 2 3\n"),
                 "do not have the SHA-256 of line 1"));
  CHECK(contains(candidates_error(head + "sample,candidates\n0,0 2\n1,1\n2,0 1 2"),
                 "do not have the SHA-256 of line 1"));
}

TEST_CASE("candidate file: a missing file") {
  const TempDir dir;
  const Error error = error_of([&] { read_candidates(dir.file("none.csv"), 3, 4); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "none.csv"));
}
