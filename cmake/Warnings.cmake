# One interface target with the warnings that every file of ours must pass.
add_library(dpll_warnings INTERFACE)
target_compile_options(dpll_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wno-sign-conversion>)
if(DPLL_WERROR)
  target_compile_options(dpll_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
# GCC 12 wrongly warns about overlaps in std::string concatenation (its bug 105651).
target_compile_options(dpll_warnings INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
# No contraction of a*b+c across statements, because results must not depend on the optimiser. Loops that need fused
# multiply-adds use std::fma or their own compile options. Floating-point exception flags are not used; if they were,
# loops with a selection (a ReLU's mask) could not be vectorised.
target_compile_options(dpll_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off;-fno-trapping-math>)
if(DPLL_SANITIZE)
  target_compile_options(dpll_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${DPLL_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
  target_link_options(dpll_warnings INTERFACE -fsanitize=${DPLL_SANITIZE})
endif()
