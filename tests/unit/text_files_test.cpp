// Text files as editors and spreadsheets save them, and tables as spreadsheets read them.
#include <string>
#include <string_view>
#include <vector>

#include "dpll/core/check.h"
#include "io/csv.h"
#include "io/text.h"
#include "io/text_lines.h"
#include "support/doctest.h"
#include "support/error_of.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;

namespace {

std::vector<std::string> text_lines_of(std::string_view text) {
  const std::string path = "a.txt";
  TextLines lines(text, path);
  std::vector<std::string> all;
  for (std::string_view line; lines.next(line);) all.push_back(fmt::format("{}:{}", lines.number(), line));
  return all;
}

using Fields = std::vector<std::string>;

}  // namespace

TEST_CASE(
    "text lines: byte order mark, CRLF, a missing last line break and blank last lines change nothing") {
  const std::vector<std::string> expected = {"1:a", "2:", "3:b"};
  for (const char* text : {"a\n\nb", "a\n\nb\n", "a\r\n\r\nb\r\n",
                           "\xEF\xBB\xBF"
                           "a\n\nb",
                           "a\n\nb\n\n\r\n \t\n"}) {
    CAPTURE(text);
    CHECK(text_lines_of(text) == expected);
  }
  CHECK(text_lines_of("a \n") == std::vector<std::string>{"1:a "});
  for (const char* text : {"", "\n", "\r\n \n", "\xEF\xBB\xBF", "\xEF\xBB\xBF\n"})
    CHECK(text_lines_of(text).empty());
}

TEST_CASE("text lines: errors name file and line, and UTF-16 is called by its name") {
  const std::string path = "a.txt";
  TextLines lines("x\ny\n", path, ExitCode::config);
  std::string_view line;
  CHECK(lines.next(line));
  CHECK(lines.next(line));
  const Error error = error_of([&] { lines.reject("\"{}\" is wrong", line); });
  CHECK(std::string(error.what()) == "a.txt:2: \"y\" is wrong");
  CHECK(error.code() == ExitCode::config);
  CHECK_FALSE(lines.next(line));
  CHECK(lines.number() == 3);
  for (const std::string& text : {std::string("\xFF\xFE"
                                              "a\0",
                                              4),
                                  std::string("\xFE\xFF\0a", 4)}) {
    CHECK(contains(error_of([&] { TextLines(text, path); }), "a.txt: this is UTF-16 text; save it as UTF-8"));
  }
}

TEST_CASE("escaped: whatever a path holds, a message is one line in which every character can be seen") {
  CHECK(escaped("runs/a b/é字😀") == "runs/a b/é字😀");
  CHECK(escaped("a\nb\r\x1b[31m\x7f") == "a\\x0ab\\x0d\\x1b[31m\\x7f");
  CHECK(escaped("r\xff/\xc3(\xe2\x82") == "r\\xff/\\xc3(\\xe2\\x82");
  CHECK(escaped("\ufeff1\u00a02\u200b\u202e\u2028\u0085") == "\\ufeff1\\u00a02\\u200b\\u202e\\u2028\\u0085");
  CHECK(escaped("tab\t") == "tab\t");
  CHECK(printable("\ufeffx") == "\\ufeffx");
  CHECK(is_utf8("é字😀"));
  CHECK(is_utf8(""));
  CHECK_FALSE(is_utf8("a\xff"));
}

TEST_CASE("csv: what is written is read back, quoted where RFC 4180 asks for it") {
  CHECK(csv_line({"a", "b c", "3.5"}) == "a,b c,3.5\n");
  CHECK(csv_line({"dress, red \"new\".png", "line\nbreak", "carriage\rreturn", "", " x "}) ==
        "\"dress, red \"\"new\"\".png\",\"line\nbreak\",\"carriage\rreturn\",, x \n");
  for (const Fields& fields : {Fields{"a"}, Fields{"", ""}, Fields{"a,b", "\"", "\"\"", ",", "c\xff"},
                               Fields{"x\ny", "\r\n", "end"}}) {
    std::string line = csv_line(fields);
    line.pop_back();
    CHECK(csv_fields(line) == fields);
  }
  CHECK(csv_fields("") == Fields{""});
  CHECK(csv_fields("\"0\",\"3 5\"") == Fields{"0", "3 5"});
  CHECK(csv_fields("a,") == Fields{"a", ""});
  for (const char* wrong : {"\"a", "\"a\"b", "a\"b", "\"a\"\"", "a,\"", "\"a\" ,b"}) {
    CHECK_MESSAGE(!csv_fields(wrong).has_value(), wrong);
  }
}
