# The CUDA backend is optional. With no toolkit the build is CPU-only and says so.
set(DPLL_HAVE_CUDA OFF)
if(NOT DPLL_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      # CMake 3.25 does not know how nvcc is told.
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    endif()
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    file(GLOB DPLL_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu
      ${PROJECT_SOURCE_DIR}/src/backend/cuda/*.cpp ${PROJECT_SOURCE_DIR}/src/backend/cuda/gpu/*.cpp
      ${PROJECT_SOURCE_DIR}/src/backend/cuda/vendor/*.cpp)
    # Headers only: cuDNN and cuBLAS are opened at run time.
    file(GLOB cudnn_wheels $ENV{VIRTUAL_ENV}/lib/python3*/site-packages/nvidia/cudnn/include
      $ENV{CONDA_PREFIX}/lib/python3*/site-packages/nvidia/cudnn/include
      /usr/lib/python3*/dist-packages/nvidia/cudnn/include)
    find_path(DPLL_CUDNN_INCLUDE cudnn_graph.h HINTS ENV CUDNN_PATH ${CUDAToolkit_INCLUDE_DIRS}
      PATHS $ENV{CONDA_PREFIX} ${cudnn_wheels} PATH_SUFFIXES include)
    if(DPLL_CUDNN_INCLUDE)
      set(DPLL_HAVE_CUDA ON)
      message(STATUS "CUDA ${CUDAToolkit_VERSION}: device code is compiled for ${CMAKE_CUDA_ARCHITECTURES}")
    elseif(DPLL_CUDA STREQUAL "ON")
      message(FATAL_ERROR "DPLL_CUDA=ON but the headers of cuDNN 9 were not found. Install them (Debian package "
        "cudnn9-cuda, or the PyPI wheel nvidia-cudnn-cu13) or set CUDNN_PATH to the folder that has include/cudnn_graph.h.")
    else()
      message(STATUS "CUDA ${CUDAToolkit_VERSION} works, but the headers of cuDNN 9 were not found (CUDNN_PATH)")
    endif()
  elseif(DPLL_CUDA STREQUAL "ON")
    message(FATAL_ERROR "DPLL_CUDA=ON but no CUDA compiler was found. Put nvcc on PATH or set CUDACXX.")
  endif()
endif()
if(NOT DPLL_HAVE_CUDA)
  message(STATUS "CPU-only build: device = cuda will be refused at run time (DPLL_CUDA=${DPLL_CUDA})")
endif()

# A kernel that spills registers does not compile.
# Adds kernels/*.cu and src/backend/cuda/*.cpp to `target` when CUDA is there.
function(dpll_add_cuda_backend target)
  if(NOT DPLL_HAVE_CUDA)
    return()
  endif()
  target_sources(${target} PRIVATE ${DPLL_CUDA_SOURCES})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/kernels)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xptxas=--warn-on-spills,--warning-as-error;-Xcompiler=-Wall;-Xcompiler=-Werror;--expt-relaxed-constexpr>)
  target_include_directories(${target} SYSTEM PRIVATE ${DPLL_CUDNN_INCLUDE} ${CUDAToolkit_INCLUDE_DIRS})
  target_compile_definitions(${target} PRIVATE DPLL_WITH_CUDA)
  target_link_libraries(${target} PUBLIC CUDA::cudart_static ${CMAKE_DL_LIBS})
endfunction()
