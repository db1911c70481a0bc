// Whatever the text of a configuration, the answer is a RunConfig or one line of Error(config).
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/core/check.h"
#include "support/doctest.h"

using namespace dpll;

TEST_CASE("fuzz: damaged configurations end in a configuration or in one line") {
  std::ifstream file(DPLL_SOURCE_DIR "/configs/reference.ini", std::ios::binary);
  const std::string reference((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  REQUIRE(reference.size() > 1000);
  const std::vector<std::string> pieces = {
      "\"",   "\\",   "[",      "]",    "=",     "\n", "\r\n",
      "#",    " ;",   "-",      "e9",   "nan",   ",",  std::string(1, '\0'),
      "\xFF", "\xC3", "preset", "none", "[run]", "  "};
  std::mt19937_64 engine(5);
  int read = 0, refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = reference;
    for (std::uint64_t edits = 1 + engine() % 4; edits > 0; --edits) {
      const std::size_t at = engine() % text.size();
      std::string piece;
      switch (engine() % 4) {
        case 0:
          text[at] = static_cast<char>(engine());
          break;
        case 1:
          piece = pieces[engine() % pieces.size()];
          break;
        case 2:
          text.erase(at, engine() % 40);
          break;
        default:
          piece = text.substr(engine() % text.size(), engine() % 60);
      }
      if (!piece.empty()) text.insert(at, piece);
      if (text.empty()) text.push_back('x');
    }
    try {
      const RunConfig config = parse_config(text, "fuzz.ini", {});
      CHECK(parse_config(to_ini(config), "fuzz.ini", {}) == config);
      ++read;
    } catch (const Error& error) {
      const std::string message = error.what();
      CHECK(error.code() == ExitCode::config);
      CHECK(message.substr(0, 8) == "fuzz.ini");
      CHECK(message.find('\n') == std::string::npos);
      CHECK(message.size() < 600);
      ++refused;
    }
  }
  CHECK(read > 50);
  CHECK(refused > 50);
}
