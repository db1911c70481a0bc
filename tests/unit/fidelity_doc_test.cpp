// docs/fidelity.md names a test for every point of the recipe: each must exist.
#include <string>

#include "dpll/files.h"
#include "support/doctest.h"

using namespace dpll;

namespace {

std::string text_of(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(DPLL_SOURCE_DIR "/" + path);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("docs/fidelity.md names tests that are there") {
  const std::string text = text_of("docs/fidelity.md");
  // `file.cpp`: "name of a test"
  const std::string between = ".cpp`: \"";
  int named = 0;
  for (std::size_t at = text.find(between); at != std::string::npos;
       at = text.find(between, at + 1), ++named) {
    const std::size_t file_begin = text.rfind('`', at) + 1, name_begin = at + between.size();
    const std::string file = text.substr(file_begin, at + 4 - file_begin);
    const std::string name = text.substr(name_begin, text.find('"', name_begin) - name_begin);
    CAPTURE(file);
    CAPTURE(name);
    CHECK(text_of("tests/" + file).find('"' + name + '"') != std::string::npos);
  }
  CHECK(named > 40);
}
