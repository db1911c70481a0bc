// docs/fidelity.md names a test for every point of the recipe: each must exist.
#include <regex>
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
  const std::regex mention("`([a-z0-9_/]+\\.cpp)`: \"([^\"]+)\"");
  int named = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), mention), end; it != end; ++it, ++named) {
    const std::string file = (*it)[1], name = (*it)[2];
    CAPTURE(file);
    CAPTURE(name);
    CHECK(text_of("tests/" + file).find('"' + name + '"') != std::string::npos);
  }
  CHECK(named > 40);
}
