// A damaged candidate file is refused in one line, or it still says the same.
#include <string>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "support/doctest.h"
#include "support/mutate.h"
#include "support/temp_dir.h"

using namespace dpll;

TEST_CASE("fuzz: damaged candidate files are refused or say the same") {
  const test::TempDir dir;
  const CandidateSets sets = uniform_candidates({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1}, 10, 0.3, 1, 2);
  write_candidates(dir.file("a.csv"), sets);
  const std::vector<std::uint8_t> intact = read_file(dir.file("a.csv"));
  int same = 0, refused = 0;
  for (std::uint32_t trial = 0; trial < 1000; ++trial) {
    const std::vector<std::uint8_t> damaged = test::mutate(intact, trial, intact.size());
    const std::string path = dir.file("b.csv");
    write_file_atomically(path, damaged.data(), damaged.size());
    try {
      const CandidateSets read = read_candidates(path, sets.count, sets.classes);
      CHECK(read.words == sets.words);
      ++same;
    } catch (const Error& error) {
      const std::string message = error.what();
      CHECK(error.code() == ExitCode::data);
      CHECK(message.substr(0, path.size()) == path);
      CHECK(message.find('\n') == std::string::npos);
      ++refused;
    }
  }
  CHECK(same > 0);
  CHECK(refused > 500);
}
