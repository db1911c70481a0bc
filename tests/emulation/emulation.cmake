# The CUDA backend compiled by the host compiler for the emulator (emulator.h), twice: as it is, and with
# faults that tests must find (mutants_test.cpp).
find_package(Boost REQUIRED COMPONENTS context)
set(emulation_folder ${CMAKE_CURRENT_SOURCE_DIR}/emulation)
file(GLOB kernel_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*)
file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
file(GLOB backend_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backend/cuda/*.cpp)

# The backend as an object library of `dpll_tests`, with the kernels of `kernel_folder`.
function(dpll_add_emulated_backend target kernel_folder sources)
  add_library(${target} OBJECT ${sources} ${backend_sources}
    ${emulation_folder}/emulated_backend.cpp ${emulation_folder}/reference_library.cpp)
  set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX)
  target_compile_options(${target} PRIVATE -xc++)
  target_compile_definitions(${target} PRIVATE DPLL_EMULATED ${ARGN})
  target_include_directories(${target} BEFORE PRIVATE ${kernel_folder} ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE dpll_core)
  target_link_libraries(dpll_tests PRIVATE ${target})
endfunction()

dpll_add_emulated_backend(dpll_emulated_cuda ${PROJECT_SOURCE_DIR}/kernels "${kernel_sources}")

# Mutants: each replaces one piece of a kernel, which must be there.
set(mutant_folder ${CMAKE_CURRENT_BINARY_DIR}/mutants)
set(mutant_sources)
foreach(file ${kernel_files})
  get_filename_component(name ${file} NAME)
  configure_file(${file} ${mutant_folder}/${name} COPYONLY)
  if(name MATCHES "\\.cu$")
    list(APPEND mutant_sources ${mutant_folder}/${name})
  endif()
endforeach()
function(dpll_mutate file from to)
  file(READ ${PROJECT_SOURCE_DIR}/kernels/${file} text)
  string(FIND "${text}" "${from}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "tests/emulation: kernels/${file} has no \"${from}\" to break")
  endif()
  string(REPLACE "${from}" "${to}" text "${text}")
  file(CONFIGURE OUTPUT ${mutant_folder}/${file} CONTENT "${text}" @ONLY)
endfunction()
# A removed barrier: histograms are read while other threads still count.
dpll_mutate(augment.cu "[image[i]], 1);\n  }\n  __syncthreads();" "[image[i]], 1);\n  }")
# An index that goes one too far.
dpll_mutate(sgd.cu "task.spec.elements - first, weights" "task.spec.elements - first + 1, weights")
# A reduction that leaves out half of a warp's lanes.
dpll_mutate(reduce.cuh "kWarp / 2; mask > 0" "kWarp / 2; mask > 1")
dpll_add_emulated_backend(dpll_mutant_cuda ${mutant_folder} "${mutant_sources}"
  DPLL_CUDA_NAMESPACE=mutant_cuda)

set_source_files_properties(emulation/emulator_test.cpp emulation/tuner_test.cpp PROPERTIES COMPILE_DEFINITIONS DPLL_EMULATED)
target_include_directories(dpll_tests PRIVATE ${PROJECT_SOURCE_DIR}/kernels)
target_link_libraries(dpll_tests PRIVATE Boost::context)
