# Libraries, all packaged by Debian and Ubuntu (tools/install_deps knows the package names).
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(LibArchive REQUIRED)
# Only for tools/bench_ops: the quick-start does without.
find_package(benchmark QUIET)
if(DPLL_TOOLS AND NOT benchmark_FOUND)
  message(STATUS "No Google Benchmark: bench_ops is not built (tools/install_deps bench)")
endif()

# oneDNN: 2.x (Debian 12) and 3.x (Ubuntu 24.04) have different descriptor interfaces; src/backend/cpu/onednn.h
# is the only file that knows. Not every package ships a CMake config, so look for header and library.
find_path(DPLL_DNNL_INCLUDE dnnl.hpp REQUIRED)
find_library(DPLL_DNNL_LIBRARY dnnl REQUIRED)

# libmatio reads SVHN's and the tabular sets' .mat files; its packages ship no CMake config either.
find_path(DPLL_MATIO_INCLUDE matio.h REQUIRED)
find_library(DPLL_MATIO_LIBRARY matio REQUIRED)

find_path(DPLL_STB_INCLUDE stb_image_write.h PATH_SUFFIXES stb REQUIRED)

add_library(dpll_dependencies INTERFACE)
target_include_directories(dpll_dependencies SYSTEM INTERFACE ${DPLL_DNNL_INCLUDE} ${DPLL_STB_INCLUDE}
  ${DPLL_MATIO_INCLUDE})
target_link_libraries(dpll_dependencies INTERFACE ${DPLL_DNNL_LIBRARY} OpenMP::OpenMP_CXX Threads::Threads
  ${DPLL_MATIO_LIBRARY} ZLIB::ZLIB OpenSSL::Crypto fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11
  LibArchive::LibArchive)
