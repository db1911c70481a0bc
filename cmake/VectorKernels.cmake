# Files that are compiled for one instruction set each; the program asks the processor which of them it may call.
function(dpll_vector_kernels target)
  # Sums of products are the point: a fused multiply-add is one rounding less. -O3 unrolls them into registers.
  set(common -O3 -ffp-contract=fast)
  set(x86 0)
  set(neon 0)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(x86 1)
    set_source_files_properties(src/backend/cpu/convolution_avx512.cpp PROPERTIES
      COMPILE_OPTIONS "-march=x86-64-v4;${common}")
    set_source_files_properties(src/backend/cpu/convolution_avx2.cpp PROPERTIES
      COMPILE_OPTIONS "-march=x86-64-v3;${common}")
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(neon 1)
    set_source_files_properties(src/backend/cpu/convolution_neon.cpp PROPERTIES COMPILE_OPTIONS "${common}")
  endif()
  target_compile_definitions(${target} PRIVATE DPLL_KERNELS_X86=${x86} DPLL_KERNELS_NEON=${neon})
endfunction()
