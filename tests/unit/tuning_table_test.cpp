// The table of `dpll_engine tune`.
#include "cli/tuning_table.h"

#include "dpll/core/check.h"
#include "support/doctest.h"
#include "support/error_of.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr const char* kChoices = R"({
 "identity": "a GPU, cuDNN 9.19.0",
 "choices": {
  "forward of f16 2x4x4x8 to 8 channels": {"name": "engine 2 {2=5}", "milliseconds": 0.5, "operations": 2e11,
   "others": [{"name": "engine 47", "milliseconds": 0.75}, {"name": "engine 1", "milliseconds": 2}],
   "rejected": [{"name": "engine 3", "why": "y differs"}]},
  "preact_conv": {"name": "plain", "milliseconds": 1, "operations": 0, "others": [], "rejected": []}
 }
})";

}  // namespace

TEST_CASE("tuning table: a row a choice, in columns") {
  CHECK(tuning_table(kChoices, false) ==
        "a GPU, cuDNN 9.19.0\n"
        "pass and shape                        chosen             ms  TFLOP/s  next best             usable  "
        "excluded\n"
        "forward of f16 2x4x4x8 to 8 channels  engine 2 {2=5}  0.500    400.0  engine 47 (0.750 ms)       3  "
        "       1\n"
        "preact_conv                           plain           1.000        -  -                          1  "
        "       0\n");
}

TEST_CASE("tuning table: everything that was timed or excluded, on demand") {
  const std::string table = tuning_table(kChoices, true);
  CHECK(table.find(
            "         0.750 ms  engine 47\n         2.000 ms  engine 1\n      excluded  engine 3: y differs\n"
            "preact_conv ") != std::string::npos);
}

TEST_CASE("tuning table: of what is no choices is a bug") {
  for (const char* text : {"", "{}", "[]", R"({"identity": "a", "choices": {"b": {}}})"}) {
    CHECK(error_of([&] { tuning_table(text, false); }).code() == ExitCode::internal);
  }
}
