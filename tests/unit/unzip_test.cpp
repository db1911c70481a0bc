// A gzip file may not unzip to much more than what its format says it holds.
#include <cstdint>
#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "io/unzip.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/gzip.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::gzip;
using dpll::test::TempDir;

namespace {

using Bytes = std::vector<std::uint8_t>;

// An IDX file of images that announces two of 2 x 3 pixels, and has `pixels` bytes behind its header.
Bytes idx_images(std::size_t pixels) {
  Bytes bytes = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3};
  bytes.resize(bytes.size() + pixels, 9);
  return bytes;
}

}  // namespace

TEST_CASE("unzip: an IDX file holds what its header announces, and not a byte more") {
  CHECK(idx_limit(idx_images(0), 1) == 28);
  CHECK(unzip(gzip(idx_images(12)), "f", idx_limit) == idx_images(12));
  for (const std::size_t pixels : {std::size_t{13}, std::size_t{5000}, std::size_t{50'000'000}}) {
    CAPTURE(pixels);
    const Error error = error_of([&] { unzip(gzip(idx_images(pixels)), "f", idx_limit); });
    CHECK(error.code() == ExitCode::data);
    CHECK(contains(error, "f: holds more than the 28 bytes expected"));
  }
  // A large one, of which the header tells the truth.
  Bytes large = {0, 0, 8, 1, 0, 1, 0, 0};
  large.resize(8 + 65536, 1);
  CHECK(unzip(gzip(large), "f", idx_limit) == large);
  large.push_back(1);
  CHECK(
      contains(error_of([&] { unzip(gzip(large), "f", idx_limit); }), "more than the 65544 bytes expected"));
}

TEST_CASE("unzip: headers that announce more than there can be, and other files, have a limit as well") {
  const auto limit = [](const Bytes& head) { return idx_limit(head, 10); };
  CHECK(limit({}) == kMostUnknown);
  CHECK(limit({0, 0, 8, 3, 0xFF}) == kMostUnknown);
  CHECK(limit({0, 0, 8, 9, 0, 0, 0, 1}) == kMostUnknown);
  Bytes huge = {0, 0, 8, 3};
  huge.resize(16, 0xFF);
  CHECK(limit(huge) == kMostUnknown);
  Bytes mat(128, ' ');
  CHECK(mat_limit(mat, 1'000'000) == kUnzippedHead);
  mat[126] = 'I', mat[127] = 'M';
  CHECK(mat_limit(mat, 1'000'000) == 200'000'000);
  CHECK(contains(error_of([] { unzip(gzip(Bytes(2'000'000, 'a')), "f", text_limit); }),
                 "more than the 1048576 bytes expected"));
}

TEST_CASE("load_data: images of one's own in a gzip file that holds much more than it announces") {
  const TempDir dir;
  const auto write = [&](const std::string& name, const Bytes& bytes) {
    const Bytes packed = gzip(bytes);
    write_file_atomically(dir.file(name), packed.data(), packed.size());
  };
  for (const char* part : {"train", "t10k"}) {
    write(std::string(part) + "-images-idx3-ubyte.gz", idx_images(12));
    write(std::string(part) + "-labels-idx1-ubyte.gz", {0, 0, 8, 1, 0, 0, 0, 2, 0, 1});
  }
  RunConfig config;
  config.data.dataset = "idx";
  config.data.path = dir.path();
  CHECK(load_data(config).train.count == 2);
  write("train-images-idx3-ubyte.gz", idx_images(20'000'000));
  const Error error = error_of([&] { load_data(config); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "train-images-idx3-ubyte.gz: holds more than the 28 bytes expected"));
}
