# The CUDA backend compiled by the host compiler for the emulator (emulator.h), twice: as it is, and with
# faults that tests must find (mutants_test.cpp).
set(emulation_folder ${CMAKE_CURRENT_SOURCE_DIR}/emulation)
file(GLOB kernel_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*)
file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
file(GLOB backend_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backend/cuda/*.cpp)

# The backend as an object library of `dpll_tests`, with the kernels of `kernel_folder`.
function(dpll_add_emulated_backend target kernel_folder sources)
  add_library(${target} OBJECT ${sources} ${backend_sources}
    ${emulation_folder}/emulated_backend.cpp ${emulation_folder}/made_up_nccl.cpp
    ${emulation_folder}/reference_library.cpp)
  # Kernels are alone as nvcc compiles them.
  set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX SKIP_UNITY_BUILD_INCLUSION ON)
  # Where the time goes when it runs are the kernels and the loops in place of cuDNN.
  target_compile_options(${target} PRIVATE -xc++ $<IF:$<CONFIG:Release>,-O1,-O0>)
  set_source_files_properties(${sources} ${emulation_folder}/reference_library.cpp PROPERTIES
    COMPILE_OPTIONS $<IF:$<CONFIG:Release>,-O3,-O1>)
  target_compile_definitions(${target} PRIVATE DPLL_EMULATED ${ARGN})
  target_include_directories(${target} BEFORE PRIVATE ${kernel_folder} ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE dpll_core)
  target_link_libraries(dpll_tests PRIVATE ${target})
endfunction()

dpll_add_emulated_backend(dpll_emulated_cuda ${PROJECT_SOURCE_DIR}/kernels "${kernel_sources}")

# Mutants: a copy of the kernels with the faults of faults.h. Each replaces one piece of a kernel, which must be
# there, and every kernels/*.cu has one at least.
set(mutant_folder ${CMAKE_CURRENT_BINARY_DIR}/mutants)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${kernel_files})
foreach(file ${kernel_files})
  get_filename_component(name ${file} NAME)
  file(READ ${file} "text_${name}")
endforeach()
function(dpll_mutate name from to)
  string(FIND "${text_${name}}" "${from}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "tests/emulation: kernels/${name} has no \"${from}\" to break")
  endif()
  string(REPLACE "${from}" "${to}" text "${text_${name}}")
  set("text_${name}" "${text}" PARENT_SCOPE)
endfunction()
# dpll_remove_barrier(): the one behind `before`.
function(dpll_remove_barrier name fault before)
  dpll_mutate(${name} "${before}__syncthreads();" "${before}if (!DPLL_FAULT(${fault})) __syncthreads();")
  set("text_${name}" "${text_${name}}" PARENT_SCOPE)
endfunction()

dpll_remove_barrier(augment.cu augment_barrier "[image[i]], 1);\n  }\n  ")
dpll_remove_barrier(normalise.cuh normaliser_barrier "shared[2 * channels + c] = norm.beta;\n  }\n  ")
dpll_remove_barrier(comparison.cu compare_barrier "first[threadIdx.x] = index;\n  ")
dpll_remove_barrier(reduce.cuh sum_barrier "partial[threadIdx.x / kWarp] = value;\n    ")
dpll_remove_barrier(reduce.cuh top_barrier "indices[threadIdx.x / kWarp] = top.index;\n    }\n    ")
dpll_remove_barrier(channel_rows.cuh row_lanes_barrier "+= other[i * kTileThreads];\n    }\n    ")
dpll_remove_barrier(view_statistics.cu statistics_barrier "counts[own] = all;\n    }\n    ")

dpll_mutate(augment.cu "in_box(draw, i / width" "in_box(draw, DPLL_FAULT(augment_box) ? i % width : i / width")
dpll_mutate(batch_norm_backward.cu "view_d_beta[std::int64_t{view}"
  "view_d_beta[std::int64_t{DPLL_FAULT(backward_view) ? 0 : view}")
dpll_mutate(batch_norm_forward.cu "index == 2 ?" "index == 2 && !DPLL_FAULT(dropout_word) ?")
dpll_mutate(block_join.cu "+ 2 * w) * shape.s_channels + own"
  "+ (DPLL_FAULT(join_shortcut_pixel) ? w : 2 * w)) * shape.s_channels + own")
dpll_mutate(feature_views.cu "task.ahead + row % task.batch"
  "task.ahead + row % (DPLL_FAULT(feature_views_row) ? task.views : task.batch)")
dpll_mutate(batch_norm_forward.cu "k / 2 * task.image.width"
  "k / 2 * (DPLL_FAULT(forward_window) ? 1 : task.image.width)")
dpll_mutate(fused_batch_norm.cu "of_view = stats + std::int64_t{view} * 2"
  "of_view = stats + std::int64_t{view} * (DPLL_FAULT(fused_statistics_view) ? 1 : 2)")
dpll_mutate(sgd.cu "task.spec.elements - first, weights"
  "task.spec.elements - first + DPLL_ONE_IF_FAULT(sgd_one_too_far), weights")

dpll_mutate(elementwise.cu "for (; at < elements; ++at)"
  "for (; at + DPLL_ONE_IF_FAULT(add_gradients_tail) < elements; ++at)")
dpll_mutate(advance.cu "threadIdx.x == 0" "threadIdx.x == 0 || DPLL_FAULT(advance_every_thread)")
dpll_mutate(batch_norm_backward.cu "chosen[c] != k"
  "chosen[c] != k - DPLL_ONE_IF_FAULT(backward_window)")
dpll_mutate(channel_rows.cuh "part < parts;" "part + DPLL_ONE_IF_FAULT(sums_last_block) < parts;")
dpll_mutate(elementwise.cu "  wait_for_previous_kernel();" "  if (!DPLL_FAULT(no_wait)) wait_for_previous_kernel();")
dpll_mutate(last_block.cuh "if (is_last) *counter = 0;"
  "if (is_last && !DPLL_FAULT(counter_not_reset)) *counter = 0;")
dpll_mutate(last_block.cuh "  __threadfence();  // what" "  if (!DPLL_FAULT(fence_missing)) __threadfence();  // what")
dpll_mutate(block_join.cu "(s[c] - join.s.mean.v[c]) * s_slope.v[c]"
  "(s[c] - join.s.mean.v[c]) * (DPLL_FAULT(join_shortcut_slope) ? slope.v[c] : s_slope.v[c])")
dpll_mutate(plain_activation.cu "at / image * shape.channels"
  "(at / image + DPLL_ONE_IF_FAULT(average_next_image)) % shape.images * shape.channels")
dpll_mutate(comparison.cu "for (int i = 1; i < kThreads; ++i)"
  "for (int i = 1; i + DPLL_ONE_IF_FAULT(compare_last_thread) < kThreads; ++i)")
dpll_mutate(fused_batch_norm.cu "fmaf(-norm.mean"
  "fmaf((DPLL_FAULT(fused_bias_sign) ? 1.0F : -1.0F) * norm.mean")
dpll_mutate(pll_objective.cu "row < task.batch; row"
  "row + DPLL_ONE_IF_FAULT(metrics_last_sample) < task.batch; row")
dpll_mutate(pll_objective.cu "gridDim.x - 1" "gridDim.x - 1 - DPLL_ONE_IF_FAULT(metrics_too_early)")
dpll_mutate(pll_objective.cu "task.scratch->samples_done = 0"
  "task.scratch->samples_done = DPLL_ONE_IF_FAULT(metrics_count_kept)")
dpll_mutate(pll_objective.cu "if (lane == i) own" "if (lane == i + DPLL_ONE_IF_FAULT(metrics_field)) own")
# One method is enough to find faults, and each takes its time to compile.
dpll_mutate(pll_objective.cu "std::visit([&](const auto& m) { run_method(task, m, per_sample, share, stream); }, method);"
  "run_method(task, std::get<Plcr>(method), per_sample, share, stream);")
dpll_mutate(rank_sums.cu "rank < call.ranks" "rank + DPLL_ONE_IF_FAULT(rank_statistics_last) < call.ranks")
dpll_mutate(rank_sums.cu "call.samples * rank" "call.samples * (DPLL_FAULT(rank_statistics_shares) ? 0 : rank)")
dpll_mutate(rank_sums.cu "rank < ranks" "rank + DPLL_ONE_IF_FAULT(rank_sums_last) < ranks")
dpll_mutate(batch_norm_forward.cu "+ task.dropout.ahead +" "+ (DPLL_FAULT(dropout_ahead) ? 0 : task.dropout.ahead) +")
dpll_mutate(normalise.cuh "bn.rows_of_ranks > 0 ?" "bn.rows_of_ranks > 0 && !DPLL_FAULT(rank_rows) ?")
dpll_mutate(reduce.cuh "i < warps" "i + DPLL_ONE_IF_FAULT(reduce_last_warp) < warps")
dpll_mutate(reduce.cuh "kWarp / 2; mask > 0" "kWarp / 2; mask > DPLL_ONE_IF_FAULT(reduce_half_a_warp)")
dpll_mutate(view_statistics.cu "block < task.tiling.row_blocks"
  "block + DPLL_ONE_IF_FAULT(statistics_last_block) < task.tiling.row_blocks")
dpll_mutate(fused_batch_norm.cu "part < parts" "part + DPLL_ONE_IF_FAULT(sum_parts_last) < parts")

set(mutant_sources)
foreach(file ${kernel_files})
  get_filename_component(name ${file} NAME)
  if(name MATCHES "\\.cu$")
    list(APPEND mutant_sources ${mutant_folder}/${name})
    string(FIND "${text_${name}}" "_FAULT(" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "tests/emulation: no test breaks kernels/${name}")
    endif()
  endif()
  file(CONFIGURE OUTPUT ${mutant_folder}/${name} CONTENT "${text_${name}}" @ONLY)
endforeach()
dpll_add_emulated_backend(dpll_mutant_cuda ${mutant_folder} "${mutant_sources}"
  DPLL_CUDA_NAMESPACE=mutant_cuda)
target_compile_options(dpll_mutant_cuda PRIVATE -include emulation/faults.h)

# The GPU's own runtime against a made-up CUDA, for what is said when things fail.
add_library(dpll_fake_gpu OBJECT ${PROJECT_SOURCE_DIR}/src/backend/cuda/gpu/runtime.cpp
  ${PROJECT_SOURCE_DIR}/src/backend/cuda/vendor/libraries.cpp)
target_compile_definitions(dpll_fake_gpu PRIVATE DPLL_CUDA_NAMESPACE=fake_cuda)
target_include_directories(dpll_fake_gpu BEFORE PRIVATE ${emulation_folder}/fake_cuda ${PROJECT_SOURCE_DIR}/kernels)
target_link_libraries(dpll_fake_gpu PRIVATE dpll_core ${CMAKE_DL_LIBS})
target_link_libraries(dpll_tests PRIVATE dpll_fake_gpu ${CMAKE_DL_LIBS})
set_source_files_properties(emulation/fake_cuda/gpu_runtime_test.cpp PROPERTIES
  COMPILE_DEFINITIONS DPLL_CUDA_NAMESPACE=fake_cuda)

set_source_files_properties(emulation/emulator_test.cpp emulation/tuner_test.cpp fuzz/targets/tuning.cpp PROPERTIES COMPILE_DEFINITIONS DPLL_EMULATED)

# The program with emulated GPUs, for tests of what it does about those that do not work.
add_executable(dpll_engine_emulated emulation/emulated_engine.cpp emulation/emulator.cpp emulation/stream.cpp
  emulation/device_memory.cpp)
# Beside the libraries of MPI that it opens.
set_target_properties(dpll_engine_emulated PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_compile_definitions(dpll_engine_emulated PRIVATE DPLL_EMULATED)
target_include_directories(dpll_engine_emulated PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/kernels)
target_link_libraries(dpll_engine_emulated PRIVATE dpll_core dpll_emulated_cuda Boost::context)
# What a step launches, for tools/kernel_table.
add_executable(dpll_step_graph emulation/step_graph_main.cpp emulation/step_graph.cpp emulation/emulator.cpp
  emulation/stream.cpp emulation/device_memory.cpp)
target_include_directories(dpll_step_graph PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(dpll_step_graph PRIVATE dpll_core dpll_bench dpll_emulated_cuda Boost::context ${CMAKE_DL_LIBS})
add_dependencies(dpll_tests dpll_engine_emulated dpll_step_graph)
target_compile_definitions(dpll_cases PRIVATE DPLL_ENGINE_EMULATED="$<TARGET_FILE:dpll_engine_emulated>"
  DPLL_STEP_GRAPH="$<TARGET_FILE:dpll_step_graph>")
foreach(part dpll_tests dpll_cases)
  target_include_directories(${part} PRIVATE ${PROJECT_SOURCE_DIR}/kernels)
endforeach()
target_link_libraries(dpll_tests PRIVATE Boost::context)
