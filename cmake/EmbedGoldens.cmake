# `dpll_engine selftest` compares this machine's results with PyTorch's: the golden files of the tests are put into the
# program, so that the test needs no source tree.
function(dpll_embed_goldens target)
  set(assembly "")
  set(table "")
  set(files "")
  foreach(name preact_conv bn_relu_pool linear pll_objective sgd trajectory method_trajectory augment)
    set(file ${PROJECT_SOURCE_DIR}/tests/golden/${name}.safetensors)
    list(APPEND files ${file})
    string(APPEND assembly "    \".balign 16\\n.globl dpll_golden_${name}\\n.globl dpll_golden_${name}_end\\n\"\n"
      "    \"dpll_golden_${name}:\\n.incbin \\\"${file}\\\"\\ndpll_golden_${name}_end:\\n.byte 0\\n\"\n")
    string(APPEND declarations "extern const std::uint8_t dpll_golden_${name}[], dpll_golden_${name}_end[];\n")
    string(APPEND table "    {\"${name}\", dpll_golden_${name}, dpll_golden_${name}_end},\n")
  endforeach()
  set(source ${PROJECT_BINARY_DIR}/generated/embedded_goldens.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT [[
#include "selftest/embedded_goldens.h"

#include "dpll/core/check.h"

asm(".section .rodata\n"
@assembly@    ".text\n");

extern "C" {
@declarations@}

namespace dpll::selftest {

std::vector<std::uint8_t> embedded_golden(const std::string& operation) {
  struct Entry {
    const char* name;
    const std::uint8_t *begin, *end;
  };
  static const Entry entries[] = {
@table@  };
  for (const Entry& entry : entries) {
    if (operation == entry.name) return {entry.begin, entry.end};
  }
  fail(ExitCode::internal, "there are no golden values of {}", operation);
}

}  // namespace dpll::selftest
]] @ONLY)
  # Compiled alone: a file that is compiled together with others is not compiled anew when a golden file changes.
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${files}" SKIP_UNITY_BUILD_INCLUSION ON)
  target_sources(${target} PRIVATE ${source})
endfunction()
