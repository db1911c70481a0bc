# Each of these files is compiled for one instruction set; the program checks at run time which ones the processor supports.
function(dpll_vector_kernels target)
  # These files compute sums of products, so fused multiply-adds are allowed. -O3 unrolls the loops into registers.
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
