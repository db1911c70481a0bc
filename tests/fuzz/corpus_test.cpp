// Every file that fuzzing began with or has found goes through its parser again. Where a parser fails, the
// process ends: the message above names the target and the file.
#include <filesystem>
#include <string>

#include "fuzz/targets/target.h"
#include "support/doctest.h"

using namespace dpll;

TEST_CASE("fuzz: every parser reads every file of the corpus or refuses it in one line") {
  REQUIRE(fuzz::targets().size() >= 15);
  const std::filesystem::path corpus = DPLL_SOURCE_DIR "/tests/fuzz/corpus";
  for (const fuzz::Target& target : fuzz::targets()) {
    CAPTURE(target.name);
    CHECK_MESSAGE(std::filesystem::is_directory(corpus / target.name), "there are no files for it");
  }
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(corpus)) {
    if (!entry.is_regular_file() || entry.path().extension() == ".md") continue;
    ++files;
    const std::string path = entry.path().string();
    CAPTURE(path);
    const std::vector<std::uint8_t> bytes = read_file(path);
    // What is meant for one format is a stranger to the others, which must refuse it as well.
    for (const fuzz::Target& target : fuzz::targets()) fuzz::run(target, bytes);
  }
  CHECK(files > 15);
}
