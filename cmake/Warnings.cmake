# One interface target with the warnings that every file of ours must pass.
add_library(dpll_warnings INTERFACE)
target_compile_options(dpll_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wno-sign-conversion>)
if(DPLL_WERROR)
  target_compile_options(dpll_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
# GCC 12 sees overlaps in std::string concatenation that are not there (its bug 105651).
target_compile_options(dpll_warnings INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
# No contraction of a*b+c across statements: results must not depend on the optimiser's mood. Loops that want
# fused multiply-add ask for it by std::fma or by their own compile options. Nothing looks at floating-point
# exception flags; without that freedom loops with a selection (a ReLU's mask) would not be vectorised.
target_compile_options(dpll_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off;-fno-trapping-math>)
if(DPLL_SANITIZE)
  target_compile_options(dpll_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${DPLL_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
  target_link_options(dpll_warnings INTERFACE -fsanitize=${DPLL_SANITIZE})
endif()
