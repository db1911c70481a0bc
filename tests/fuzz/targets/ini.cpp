#include <string>

#include "dpll/config.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(ini, ExitCode::config) {
  const RunConfig config = parse_config(std::string(bytes.begin(), bytes.end()), "f.ini", {});
  fuzz::require(parse_config(to_ini(config), "f.ini", {}) == config, "what was written reads differently");
}
