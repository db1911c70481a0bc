#include "config/ini_file.h"

#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "io/text.h"
#include "support/doctest.h"
#include "support/error_of.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;

namespace {

std::string value_of(const std::string& line) {
  const IniFile file = parse_ini("[s]\n" + line + "\n", "a.ini");
  REQUIRE(file.entries.size() == 1);
  return file.entries[0].value;
}

Error ini_error(const std::string& text) {
  Error error = error_of([&] { parse_ini(text, "a.ini"); });
  CHECK(error.code() == ExitCode::config);
  return error;
}

}  // namespace

TEST_CASE("ini: sections, keys and values with their lines") {
  const IniFile file = parse_ini(
      "\xEF\xBB\xBF# first\r\n"
      "\r\n"
      "[run]\r\n"
      "  name\t=  a b  \r\n"
      "; comment\r\n"
      "[ data ] # comment\r\n"
      "path=x=y\r\n"
      "[run]\r\n"
      "seed = 3",
      "a.ini");
  REQUIRE(file.sections.size() == 3);
  CHECK(file.sections[0].name == "run");
  CHECK(file.sections[0].line == 3);
  CHECK(file.sections[1].name == "data");
  REQUIRE(file.entries.size() == 3);
  CHECK(file.entries[0].section == "run");
  CHECK(file.entries[0].key == "name");
  CHECK(file.entries[0].value == "a b");
  CHECK(file.entries[0].line == 4);
  CHECK(file.entries[1].section == "data");
  CHECK(file.entries[1].value == "x=y");
  CHECK(file.entries[2].section == "run");
  CHECK(file.entries[2].value == "3");
  CHECK(file.entries[2].line == 9);
}

TEST_CASE("ini: comments after values need white space, quotes keep everything") {
  CHECK(value_of("k = v # c") == "v");
  CHECK(value_of("k = v\t; c") == "v");
  CHECK(value_of("k = v#1;2") == "v#1;2");
  CHECK(value_of("k = # c") == "");
  CHECK(value_of("k =") == "");
  CHECK(value_of("k = \" a # b ; c \" # d") == " a # b ; c ");
  CHECK(value_of("k = \"\"") == "");
  CHECK(value_of(R"(k = "a \"b\" \\c")") == R"(a "b" \c)");
  CHECK(value_of(R"(k = C:\dir "x")") == R"(C:\dir "x")");
  CHECK(value_of("k = é ü 字") == "é ü 字");
  CHECK(value_of(R"(k = "\xff\x0A\x5c")") == "\xFF\n\\");
  // A path may be any bytes.
  CHECK(value_of("k = r\xFF/\xE9 # \xE9") == "r\xFF/\xE9");
}

TEST_CASE("ini: ini_value writes what parse_ini reads back") {
  for (const std::string value :
       {"",    "a",   " a",      "a ",    "a # b",   ";", "#",     "\"",    "\\",   "a\\",      "\"a\\\"",
        "a=b", "[x]", "tab\tin", "\tout", "C:\\x\\", "é", "r\xFF", "\\xff", "a\nb", "\xC3 # \r"}) {
    CAPTURE(value);
    CHECK(value_of("k = " + ini_value(value)) == value);
    CHECK(is_utf8(ini_value(value)));
  }
  CHECK(ini_value("r\xFF\n\xC3\xA9") == "\"r\\xff\\x0a\xC3\xA9\"");
}

TEST_CASE("ini: malformed lines are refused with file and line") {
  CHECK(contains(ini_error("[s]\nx\n"), "a.ini:2: \"x\" is neither"));
  CHECK(contains(ini_error("[s]\n= 3\n"), "a.ini:2: \"= 3\" is neither"));
  CHECK(contains(ini_error("[s\n"), "a.ini:1: \"[s\" is not a section header"));
  CHECK(contains(ini_error("[]\n"), "a.ini:1: \"[]\" is not a section header"));
  CHECK(contains(ini_error("[s] x\n"), "a.ini:1: \"[s] x\" is not a section header"));
  CHECK(contains(ini_error("\nk = 1\n[s]\n"), "a.ini:2: key \"k\" stands before any section"));
  CHECK(contains(ini_error("[s]\nk = 1\n[t]\nk = 1\n[s]\nk = 2\n"),
                 "a.ini:6: s.k is given a second time; it stands already in line 2"));
  CHECK(contains(ini_error("[s]\nk = \"a\n"), "a.ini:2: k = \"a: the closing quote is missing"));
  CHECK(contains(ini_error("[s]\nk = \"a\\\"\n"), "closing quote is missing"));
  CHECK(contains(ini_error("[s]\nk = \"a\" b\n"),
                 "a.ini:2: k = \"a\" b: there is text after the closing quote"));
  CHECK(contains(ini_error("[s]\nk = \"a\"#b\n"), "text after the closing quote"));
  for (const char* escape : {"n", "x", "x1", "xg0", "x1g", "X41", "x-1"}) {
    CHECK(
        contains(ini_error(fmt::format("[s]\nk = \"a\\{}\"\n", escape)), "a backslash must be followed by"));
  }
}

TEST_CASE("ini: text without settings is refused") {
  for (const std::string text : {"", "\n\n", "# only\n; comments\n", "\xEF\xBB\xBF"}) {
    CHECK(contains(ini_error(text), "a.ini: holds no configuration"));
  }
}

TEST_CASE("ini: binary content is refused") {
  CHECK(contains(ini_error(std::string("[s]\nk = a\0b\n", 12)),
                 "a.ini:2: not a text file: control character 0x00 at byte 6 of the line; in a value it is "
                 "written \\x00, within quotes"));
  CHECK(contains(ini_error("\x7F"
                           "ELF\x02\x01"),
                 "a.ini:1: not a text file: control character 0x7f"));
  CHECK(contains(ini_error("[s]\rk = a\r"), "control character 0x0d"));
  CHECK(contains(ini_error("\xFF\xFE["), "a.ini: this is UTF-16 text; save it as UTF-8"));
  CHECK(contains(ini_error("\xFF["), "a.ini:1: not UTF-8 text: byte 0xff at byte 1"));
  CHECK(contains(ini_error("[s]\nk\xFF = 1"), "a.ini:2: not UTF-8 text: byte 0xff at byte 2"));
  CHECK(contains(ini_error("[s]\n# \xE9t\xE9\n"), "a.ini:2: not UTF-8 text: byte 0xe9 at byte 3"));
  for (const std::string bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80",
                                "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82"}) {
    CAPTURE(bad);
    CHECK(contains(ini_error("[s]\n# " + bad), "not UTF-8 text"));
  }
  CHECK(parse_ini("[s]\n# \xC2\x80 \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF",
                  "")
            .entries.empty());
}

TEST_CASE("nearest finds the names with the smallest edit distance") {
  const std::vector<std::string> names = {"epochs", "every", "every_steps", "lr", "lr_min", "seed"};
  CHECK(nearest("epoch", names) == std::vector<std::string>{"epochs"});
  CHECK(nearest("Epochs", names) == std::vector<std::string>{"epochs"});
  CHECK(nearest("spee", names) == std::vector<std::string>{"seed"});
  CHECK(nearest("every_step", names) == std::vector<std::string>{"every_steps"});
  CHECK(nearest("zzzzzz", names).empty());
  CHECK(nearest("xy", names).empty());
  CHECK(nearest("ad", {"ab", "ac", "bad"}) == std::vector<std::string>{"ab", "ac", "bad"});
  CHECK(nearest("", names).empty());
  CHECK(did_you_mean({"a", "b"}) == "; did you mean a or b?");
}

TEST_CASE("printable keeps messages on one short line") {
  CHECK(printable("a\nb\x01") == "a\\x0ab\\x01");
  CHECK(printable("é\xFF字\xC3") == "é\\xff字\\xc3");
  CHECK(printable(std::string(80, 'a')) == std::string(80, 'a'));
  CHECK(printable(std::string(81, 'a')) == std::string(80, 'a') + "...");
  CHECK(printable(std::string(79, 'a') + "é") == std::string(79, 'a') + "...");
}
