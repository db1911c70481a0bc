// tests/golden/cudnn_plans.csv, which tools/cudnn_plans writes and tools/check_cuda holds against the cuDNN
// of a machine: whatever the tests of tests/gpu ask cuDNN for, it has a deterministic plan for.
#include <fstream>
#include <set>
#include <sstream>

#include "ops/preact_conv_cases.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr int kPasses = 3;
const char* const kNames[kPasses] = {"forward", "data gradient", "weight gradient"};

struct Row {
  std::string gpu, layer, type;
  std::vector<std::string> plans;  // of each pass: "deterministic/all", or "-"
  std::vector<std::string> lean;   // of each pass: "without a copy of a tensor/deterministic", or "-"

  std::string text(int pass) const { return gpu + ", " + layer + ", " + type + ", " + kNames[pass]; }
};

std::vector<Row> table() {
  std::ifstream file(std::string(DPLL_TEST_GOLDEN) + "/cudnn_plans.csv");
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("sm_")) continue;
    std::istringstream in(line);
    std::vector<std::string> cells;
    for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
    REQUIRE_MESSAGE(cells.size() == 14, line);
    rows.push_back({.gpu = cells[0],
                    .layer = cells[1],
                    .type = cells[3],
                    .plans = {cells[4], cells[5], cells[6]},
                    .lean = {cells[11], cells[12], cells[13]}});
  }
  return rows;
}

}  // namespace

TEST_CASE("cuDNN's plans: every small preact_conv shape is in the table, on each GPU and in each type") {
  std::set<std::string> found;
  for (const Row& row : table()) {
    for (int pass = 0; pass < kPasses; ++pass) {
      if (row.plans[static_cast<std::size_t>(pass)] != "-") found.insert(row.text(pass));
    }
  }
  const auto has_passes = [&](const std::string& name, const PreactConvSpec& spec) {
    const bool train = spec.mode == Mode::train;
    const bool used[kPasses] = {true, train && spec.input_gradient, train};
    for (const char* gpu : {"sm_80", "sm_89", "sm_90"}) {
      for (const char* type : {"f16", "bf16", "f32"}) {
        for (int pass = 0; pass < kPasses; ++pass) {
          const std::string wanted = Row{gpu, "case " + name, type, {}, {}}.text(pass);
          REQUIRE_MESSAGE((!used[pass] || found.count(wanted) == 1), wanted, " is not in the table");
        }
      }
    }
  };
  for (const PreactConvCase& c : small_preact_conv_cases()) {
    has_passes(c.name, c.spec);
    if (c.spec.projection) has_passes(c.name + " 1x1", c.spec);
  }
}

TEST_CASE("cuDNN's plans: there is a deterministic one for every pass in the table that is not fused") {
  const std::vector<Row> rows = table();
  CHECK(rows.size() > 800);
  for (const Row& row : rows) {
    for (int pass = 0; pass < kPasses; ++pass) {
      const std::string& plans = row.plans[static_cast<std::size_t>(pass)];
      REQUIRE_MESSAGE((plans == "-" || std::stoi(plans) > 0), row.text(pass), ": ", plans);
    }
  }
}

// For 20 and 50 channels all but a few of its plans begin with copies of both tensors to 24 and 56.
TEST_CASE("cuDNN's plans: most of those for LeNet's padded channels copy no tensor") {
  int checked = 0;
  for (const Row& row : table()) {
    if (row.layer != "lenet 28x28 8 to 24 5x5" && row.layer != "lenet 14x14 24 to 56 5x5") continue;
    for (const int pass : {0, 1}) {
      const std::string& lean = row.lean[static_cast<std::size_t>(pass)];
      if (lean == "-") continue;
      ++checked;
      CHECK_MESSAGE(2 * std::stoi(lean) > std::stoi(row.plans[static_cast<std::size_t>(pass)]),
                    row.text(pass), ": ", lean);
    }
  }
  CHECK(checked == 4 * 2 * 3);  // GPUs, types of 16 bits; the images have no gradient
}
