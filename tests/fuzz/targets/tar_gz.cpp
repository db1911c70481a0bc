#include "data/tar_gz.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(tar_gz, ExitCode::data) {
  constexpr std::size_t kMost = 1 << 20;
  const auto members = read_tar_gz(
      bytes, "f", [](const std::string&) { return true; }, kMost);
  for (const auto& [name, content] : members) fuzz::require(content.size() <= kMost, "a member too large");
}
