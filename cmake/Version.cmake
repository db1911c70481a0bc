# generated/dpll/build_info.h: what --version, run folders and benchmarks print about this build.
find_package(Git QUIET)
set(DPLL_COMMIT "unknown")
if(GIT_FOUND AND EXISTS ${PROJECT_SOURCE_DIR}/.git)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${PROJECT_SOURCE_DIR} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE DPLL_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT DPLL_COMMIT)
    set(DPLL_COMMIT "unknown")
  endif()
endif()
if(DPLL_HAVE_CUDA)
  set(DPLL_CUDA_VERSION "${CUDAToolkit_VERSION}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/build_info.h.in ${PROJECT_BINARY_DIR}/generated/dpll/build_info.h)
