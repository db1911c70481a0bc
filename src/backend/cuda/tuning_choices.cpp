#include "backend/cuda/tuning_choices.h"

#include <nlohmann/json.hpp>

#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const TuningChoice& choice) {
  Json others = Json::array(), rejected = Json::array();
  for (const TimedName& other : choice.others) {
    others.push_back({{"name", other.name}, {"milliseconds", other.milliseconds}});
  }
  for (const RejectedName& other : choice.rejected) {
    rejected.push_back({{"name", other.name}, {"why", other.why}});
  }
  return {{"name", choice.name},
          {"milliseconds", choice.milliseconds},
          {"operations", choice.operations},
          {"others", others},
          {"rejected", rejected}};
}

TuningChoice choice_of(const Json& json) {
  TuningChoice choice{.name = json.at("name").get<std::string>(),
                      .milliseconds = json.at("milliseconds").get<double>(),
                      .operations = json.at("operations").get<double>(),
                      .others = {},
                      .rejected = {}};
  for (const Json& other : json.at("others")) {
    choice.others.push_back({other.at("name").get<std::string>(), other.at("milliseconds").get<double>()});
  }
  for (const Json& other : json.at("rejected")) {
    choice.rejected.push_back({other.at("name").get<std::string>(), other.at("why").get<std::string>()});
  }
  return choice;
}

}  // namespace

std::string to_text(const std::string& identity, const TuningChoices& choices) {
  Json json = {{"identity", identity}, {"choices", Json::object()}};
  for (const auto& [key, choice] : choices) json["choices"][key] = to_json(choice);
  return json.dump(1) + "\n";
}

TuningChoices parse_choices(const std::string& text, const std::string& identity) {
  TuningChoices choices;
  try {
    const Json json = Json::parse(text);
    const auto of = json.at("identity").get<std::string>();
    if (of != identity) fail(ExitCode::data, "it is of '{}', not of '{}'", of, identity);
    for (const auto& [key, choice] : json.at("choices").items()) choices[key] = choice_of(choice);
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::data, "it is damaged: {}", error.what());
  }
  return choices;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
