// candidates.weights: rows for the samples that are wanted, and what is refused.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::TempDir;

namespace {

// {0, 2}, {1}, {0, 1, 2} of the samples 1, 4 and 7 of 9.
const std::vector<std::int64_t> kWantedSamples = {1, 4, 7};
CandidateSets wanted_sets() {
  return candidates_from_table({1, 0, 1, 0, 1, 0, 1, 1, 1}, 3, 3, "t");
}

std::vector<float> read_weight_csv(const std::string& text) {
  const TempDir dir;
  write_file_atomically(dir.file("w.csv"), text);
  return read_weights(dir.file("w.csv"), wanted_sets(), kWantedSamples, 9);
}

std::vector<float> read_weight_table(const std::vector<double>& values, std::int64_t rows,
                                     std::int64_t classes = 3) {
  const TempDir dir;
  SafetensorsWriter writer;
  writer.add("weights", DType::f64, {rows, classes}, values.data());
  writer.write(dir.file("w.safetensors"));
  return read_weights(dir.file("w.safetensors"), wanted_sets(), kWantedSamples, 9);
}

void check_rows_refused(const std::string& rows, const std::string& part) {
  const Error error = error_of([&] { read_weight_csv("sample,weights\n" + rows); });
  CAPTURE(error.what());
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "w.csv"));
  CHECK(contains(error, part));
}

}  // namespace

TEST_CASE("weight file: rows of the wanted samples in any order, others passed over") {
  const std::vector<float> wanted = {0.25F, 0, 0.75F, 0, 1, 0, 0.5F, 0, 0.5F};
  CHECK(read_weight_csv("sample,weights\n7,2:0.5 0:0.5\n0,1:9\n1,0:0.25 2:0.75\n4,1:1\n") == wanted);
  CHECK(read_weight_csv("posterior,file,sample\n0:0.25 2:0.75,\"a\nb\",1\n1:1,x,4\n0:0.5 2:0.5,y,7\n") ==
        wanted);
  // Of the whole source, and of the wanted samples alone.
  std::vector<double> all(27, -1);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t c = 0; c < 3; ++c)
      all[static_cast<std::size_t>(kWantedSamples[i]) * 3 + c] = wanted[3 * i + c];
  }
  CHECK(read_weight_table(all, 9) == wanted);
  CHECK(read_weight_table({wanted.begin(), wanted.end()}, 3) == wanted);
}

TEST_CASE("weight file: sums that are off by rounding are made 1") {
  const std::vector<float> rows =
      read_weight_csv("sample,weights\n1,0:0.3333 2:0.66665\n4,1:1.00005\n7,0:1\n");
  CHECK(std::abs(rows[0] + rows[2] - 1) < 1e-6);
  CHECK(rows[4] == 1);
  CHECK(rows[8] == 0);
}

TEST_CASE("weight file: the hash covers the weights") {
  CandidateSets sets = wanted_sets();
  CHECK(weights_sha256(sets) == "none");
  sets.weights = {0.25F, 0, 0.75F, 0, 1, 0, 0.5F, 0, 0.5F};
  const std::string hash = weights_sha256(sets);
  CHECK(hash.size() == 64);
  sets.weights[0] = 0.26F;
  CHECK(weights_sha256(sets) != hash);
}

TEST_CASE("weight file: what is wrong is named with its sample") {
  const std::string rest = "4,1:1\n7,0:1\n";
  check_rows_refused("1,0:0.5 2:0.4\n" + rest,
                     "sample 1: the weights sum to 0.9, expected 1 (within 0.0001)");
  check_rows_refused("1,0:0.5 2:0.50011\n" + rest, "sample 1: the weights sum to 1.00011");
  check_rows_refused("1,0:0.5 1:0.5\n" + rest,
                     "sample 1: label 1 has the weight 0.5, but it is not a candidate");
  check_rows_refused("1,0:-0.5 2:1.5\n" + rest, "sample 1: the weight of label 0 is -0.5");
  check_rows_refused("1,0:nan 2:1\n" + rest, "sample 1: the weight of label 0 is nan");
  check_rows_refused("1,0:inf\n" + rest, "sample 1: the weight of label 0 is inf");
  check_rows_refused("1,\n" + rest, "sample 1: the weights sum to 0,");
  check_rows_refused("1,0:1\n4,1:1\n", "sample 7 has no row of weights; training takes 3 samples");
  check_rows_refused("1,0:1\n1,0:1\n" + rest, "sample 1 has two rows of weights");
  check_rows_refused("1,0:0.5 0:0.5\n" + rest, "w.csv:2: sample 1: label 0 stands twice");
  check_rows_refused("1,3:1\n" + rest, "w.csv:2: sample 1: label 3 is out of range; expected 0 to 2");
  check_rows_refused("1,0:1 \t\n" + rest, "is not a weight; expected LABEL:WEIGHT");
  check_rows_refused("1,0=1\n" + rest, "\"0=1\" is not a weight");
  check_rows_refused("9,0:1\n" + rest,
                     "w.csv:2: sample 9 is not in the data set, whose 9 samples count from 0");
  check_rows_refused("one,0:1\n" + rest, "is not a row; expected 2 fields");
  check_rows_refused("1,0:1,x\n" + rest, "is not a row; expected 2 fields");
  for (const char* head : {"", "sample\n", "weights\n1,0:1\n"}) {
    CHECK(contains(error_of([&] { read_weight_csv(head); }), "names no columns \"sample\" and \"weights\""));
  }
  CHECK(contains(error_of([&] { read_weight_table(std::vector<double>(8, 0.5), 4, 2); }),
                 "tensor 'weights' has shape [4,2], expected [9,3] or [3,3]"));
  CHECK(contains(error_of([&] {
                   read_weight_table({0.5, 0, 0.5, 0, 1, 0, 0.5, 0, 0.25}, 3);
                 }),
                 "sample 7: the weights sum to 0.75"));
}
