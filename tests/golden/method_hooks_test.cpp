// What methods do with the whole table at the end of an epoch, against tools/golden/make_method_golden.py.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/safetensors.h"
#include "selftest/golden_checks.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;
using dpll::selftest::golden_method;

namespace {

struct HookCase {
  std::string name;
  Method method;
  std::int64_t samples;
  int classes, epochs;
};

std::vector<HookCase> hook_cases(const SafetensorsFile& file) {
  std::vector<HookCase> cases;
  for (const auto& c : nlohmann::json::parse(file.metadata().at("cases"))) {
    cases.push_back({c.at("name"), golden_method(c.at("method"), c.at("keys")), c.at("samples"),
                     c.at("classes"), c.at("epochs")});
  }
  return cases;
}

CandidateSets sets_of(const std::uint8_t* mask, std::int64_t samples, int classes) {
  CandidateSets sets(samples, classes);
  for (std::int64_t i = 0; i < samples; ++i) {
    for (int k = 0; k < classes; ++k) {
      if (mask[i * classes + k] != 0) sets.insert(i, k);
    }
  }
  return sets;
}

// The rows that an epoch leaves: the drawn numbers on the sets as they are, normalised.
std::vector<float> rows_on(const CandidateSets& sets, const double* drawn) {
  std::vector<float> rows;
  for (std::int64_t i = 0; i < sets.count; ++i) {
    double sum = 0;
    for (int k = 0; k < sets.classes; ++k) sum += sets.contains(i, k) ? drawn[i * sets.classes + k] : 0;
    for (int k = 0; k < sets.classes; ++k) {
      rows.push_back(sets.contains(i, k) ? static_cast<float>(drawn[i * sets.classes + k] / sum) : 0);
    }
  }
  return rows;
}

}  // namespace

TEST_CASE("golden hooks: sets, rows and figures behind each epoch, also where every epoch is resumed") {
  const SafetensorsFile file = SafetensorsFile::read(std::string(DPLL_TEST_GOLDEN) + "/hooks.safetensors");
  for (const bool resumes : {false, true}) {
    for (const HookCase& c : hook_cases(file)) {
      const auto table = static_cast<std::size_t>(c.samples * c.classes);
      const std::vector<std::uint8_t> first = file.get<std::uint8_t>(c.name + "/mask");
      const std::vector<std::uint8_t> masks = file.get<std::uint8_t>(c.name + "/mask_after");
      const std::vector<double> tables = file.get<double>(c.name + "/tables"),
                                targets = file.get<double>(c.name + "/targets_after"),
                                figures = file.get<double>(c.name + "/figures");
      const CandidateSets at_the_start = sets_of(first.data(), c.samples, c.classes);
      CandidateSets sets = at_the_start;
      auto hook = hook_of(c.method, c.samples, c.classes);
      REQUIRE(hook != nullptr);
      const bool keeps = facts_of(c.method).kept_rows > 0;
      std::vector<double> all_kept, kept_after;
      if (keeps)
        all_kept = file.get<double>(c.name + "/kept"), kept_after = file.get<double>(c.name + "/kept_after");
      const std::size_t kept_of_epoch = all_kept.size() / static_cast<std::size_t>(c.epochs);
      for (int epoch = 0; epoch < c.epochs; ++epoch) {
        CAPTURE(c.name);
        CAPTURE(epoch);
        const std::size_t at = static_cast<std::size_t>(epoch) * table;
        std::vector<float> rows = rows_on(sets, tables.data() + at);
        const auto first_kept = all_kept.begin() + static_cast<std::ptrdiff_t>(epoch * kept_of_epoch);
        std::vector<float> kept(first_kept, first_kept + static_cast<std::ptrdiff_t>(kept_of_epoch));
        EpochTable of_epoch{rows, kept, sets, at_the_start, 1};
        hook->end_epoch(epoch, of_epoch);
        CHECK(sets.words == sets_of(masks.data() + at, c.samples, c.classes).words);
        for (std::size_t i = 0; i < table; ++i) {
          REQUIRE(std::abs(static_cast<double>(rows[i]) - targets[at + i]) <= 2e-7);
        }
        for (std::size_t i = 0; i < kept.size(); ++i) {
          REQUIRE(static_cast<double>(kept[i]) == kept_after[epoch * kept_of_epoch + i]);
        }
        const auto got = hook->figures();
        for (std::size_t i = 0; i < got.size(); ++i) {
          const std::size_t figure = static_cast<std::size_t>(epoch) * got.size() + i;
          CHECK(got[i].second == doctest::Approx(figures.at(figure)).epsilon(1e-6));
        }
        if (!resumes) continue;
        const auto state = hook->state();
        hook = hook_of(c.method, c.samples, c.classes);
        hook->restore(state, "checkpoint");
      }
    }
  }
}

TEST_CASE("hooks: a state that is not theirs is refused by name") {
  const auto pop = hook_of(Pop{}, 3, 4), fredis = hook_of(Fredis{}, 3, 4);
  const auto message_of = [&](EpochHook& hook,
                              const std::map<std::string, std::vector<float>>& state) -> std::string {
    try {
      hook.restore(state, "c.safetensors");
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::data);
      return error.what();
    }
    return "";
  };
  const auto message = [&](const std::map<std::string, std::vector<float>>& state) {
    return message_of(*pop, state);
  };
  const std::vector<float> rows(12, 0.25F);
  CHECK(message({{"theta", {0.5F}}, {"window.4", rows}}) == "");
  CHECK(message_of(*fredis, {{"theta_steps", {3}}, {"delta_steps", {0}}}) == "");
  for (const auto& [name, values] : std::map<std::string, std::vector<float>>{
           {"theta", {1}}, {"theta_steps", {-1}}, {"delta_steps", {NAN}}, {"theta_steps ", {}}}) {
    CHECK(message_of(*fredis, {{name, values}}) ==
          "c.safetensors: 'hook/" + name + "' is no state of fredis");
  }
  for (const auto& [name, values] :
       std::map<std::string, std::vector<float>>{{"theta", {2}},
                                                 {"window.5", rows},
                                                 {"window.0", {1}},
                                                 {"window.1", std::vector<float>(12, NAN)}}) {
    CHECK(message({{name, values}}).find("c.safetensors: 'hook/" + name + "' is no state of pop") == 0);
  }
}
