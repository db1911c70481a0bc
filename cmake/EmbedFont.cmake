# Charts need a font. DejaVu Sans (package fonts-dejavu-core) is put into the program by the assembler, so that a
# chart looks the same on every machine and no font has to be installed where the program runs.
function(dpll_embed_font target)
  find_file(DPLL_FONT DejaVuSans.ttf
    PATHS /usr/share/fonts/truetype/dejavu /usr/share/fonts/dejavu-sans-fonts /usr/share/fonts/TTF
          /usr/share/fonts/dejavu)
  if(NOT DPLL_FONT)
    message(FATAL_ERROR "DejaVuSans.ttf was not found (Debian and Ubuntu: fonts-dejavu-core). Name it by -DDPLL_FONT=FILE.")
  endif()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/chart_font.cpp CONTENT [[
asm(".section .rodata\n"
    ".balign 16\n"
    ".globl dpll_chart_font_begin\n.globl dpll_chart_font_end\n"
    "dpll_chart_font_begin:\n.incbin \"@DPLL_FONT@\"\n"
    "dpll_chart_font_end:\n.byte 0\n"
    ".text\n");
]] @ONLY)
  target_sources(${target} PRIVATE ${PROJECT_BINARY_DIR}/generated/chart_font.cpp)
endfunction()
