# Files that are compiled for one instruction set each; the program asks the processor which of them it may call.
function(dpll_vector_kernels target)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_definitions(${target} PRIVATE DPLL_HAS_X86_KERNELS=0)
    return()
  endif()
  target_compile_definitions(${target} PRIVATE DPLL_HAS_X86_KERNELS=1)
  # Sums of products are the point: a fused multiply-add is one rounding less. -O3 unrolls them into registers.
  set(common -O3 -ffp-contract=fast)
  set_source_files_properties(src/backend/cpu/convolution_avx512.cpp PROPERTIES
    COMPILE_OPTIONS "-march=x86-64-v4;${common}")
  set_source_files_properties(src/backend/cpu/convolution_avx2.cpp PROPERTIES
    COMPILE_OPTIONS "-march=x86-64-v3;${common}")
endfunction()
