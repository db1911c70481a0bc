# Compiler options that limit the effect of a bug with a hostile file: a damaged stack, a write past the end of a buffer or
# a changed pointer ends the program. docs/reliability.md states the cost for a training step.
option(DPLL_HARDENING "Stack protector, _FORTIFY_SOURCE, control-flow protection, read-only relocations" ON)
# Ranges and preconditions of the standard library's containers; for tests.
option(DPLL_ASSERTIONS "Check the use of the standard library (the presets strict and asan)" OFF)

include(CheckCXXCompilerFlag)
add_library(dpll_hardening INTERFACE)
# Sanitizers have their own checks, which these options would hide.
if(DPLL_HARDENING AND NOT DPLL_SANITIZE)
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
    string(MAKE_C_IDENTIFIER "dpll_has${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(${known})
      target_compile_options(dpll_hardening INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${flag}>)
    endif()
  endforeach()
  # Needs the optimiser, which knows the sizes of objects. The compilers of some systems define a lower level.
  target_compile_options(dpll_hardening INTERFACE
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<NOT:$<CONFIG:Debug>>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>)
  target_link_options(dpll_hardening INTERFACE "LINKER:-z,relro" "LINKER:-z,now")
endif()
if(DPLL_ASSERTIONS)
  target_compile_definitions(dpll_hardening INTERFACE $<$<COMPILE_LANGUAGE:CXX>:_GLIBCXX_ASSERTIONS>)
endif()
target_link_libraries(dpll_warnings INTERFACE dpll_hardening)
