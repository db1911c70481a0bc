# Libraries, all packaged by Debian and Ubuntu (tools/install_deps knows the names of the packages). What is missing or too
# old is collected and named in one message, each with the version that is needed: the oldest that the tests have run
# with (docs/platforms.md).
set(dpll_problems "")

# dpll_need(fmt 9 libfmt-dev "${fmt_VERSION}" ${fmt_FOUND}): notes a library that is missing or older than `minimum`.
function(dpll_need name minimum package version found)
  if(NOT found)
    set(problem "${name} ${minimum} or newer was not found")
  elseif(version AND version VERSION_LESS minimum)
    set(problem "${name} is ${version}, but ${minimum} or newer is needed")
  else()
    return()
  endif()
  set(dpll_problems "${dpll_problems}\n  ${problem} (Debian and Ubuntu: ${package})" PARENT_SCOPE)
endfunction()

# The value of `#define NAME value`, of each NAME, joined by dots: "3.7.2".
function(dpll_version_of header result)
  set(version "")
  if(EXISTS "${header}")
    file(READ "${header}" text)
    foreach(name ${ARGN})
      if(text MATCHES "#[ \t]*define[ \t]+${name}[ \t]+\"?([0-9.]+)")
        string(APPEND version ".${CMAKE_MATCH_1}")
      endif()
    endforeach()
    string(REGEX REPLACE "^\\." "" version "${version}")
  endif()
  set(${result} "${version}" PARENT_SCOPE)
endfunction()

# How each compiler brings OpenMP.
set(dpll_openmp_package "comes with g++")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  string(REGEX MATCH "^[0-9]+" dpll_clang "${CMAKE_CXX_COMPILER_VERSION}")
  set(dpll_openmp_package "libomp-${dpll_clang}-dev")
endif()
find_package(OpenMP QUIET COMPONENTS CXX)
dpll_need(OpenMP 4.5 "${dpll_openmp_package}" "${OpenMP_CXX_VERSION}" "${OpenMP_CXX_FOUND}")
find_package(Threads REQUIRED)
find_package(ZLIB QUIET)
dpll_need(zlib 1.2.11 zlib1g-dev "${ZLIB_VERSION}" "${ZLIB_FOUND}")
find_package(OpenSSL QUIET COMPONENTS Crypto)
dpll_need(OpenSSL 3.0 libssl-dev "${OPENSSL_VERSION}" "${OpenSSL_FOUND}")
find_package(fmt QUIET CONFIG)
dpll_need(fmt 9 libfmt-dev "${fmt_VERSION}" "${fmt_FOUND}")
find_package(nlohmann_json QUIET CONFIG)
dpll_need(nlohmann-json 3.11 nlohmann-json3-dev "${nlohmann_json_VERSION}" "${nlohmann_json_FOUND}")
find_package(CLI11 QUIET CONFIG)
dpll_need(CLI11 2.1 libcli11-dev "${CLI11_VERSION}" "${CLI11_FOUND}")
find_package(LibArchive QUIET)
dpll_need(libarchive 3.6 libarchive-dev "${LibArchive_VERSION}" "${LibArchive_FOUND}")

# oneDNN 2.x (Debian 12) and 3.x (Debian 13, Ubuntu 24.04) have different descriptor interfaces;
# src/backend/cpu/onednn_kernel.h is the only file that knows. Not every package ships a CMake config, so look for header
# and library.
find_path(DPLL_DNNL_INCLUDE dnnl.hpp)
find_library(DPLL_DNNL_LIBRARY dnnl)
foreach(header dnnl_version.h oneapi/dnnl/dnnl_version.h)
  dpll_version_of("${DPLL_DNNL_INCLUDE}/${header}" dpll_found DNNL_VERSION_MAJOR DNNL_VERSION_MINOR DNNL_VERSION_PATCH)
  if(dpll_found)
    set(dpll_dnnl_version ${dpll_found})
  endif()
endforeach()
if(DPLL_DNNL_INCLUDE AND DPLL_DNNL_LIBRARY)
  set(dpll_found TRUE)
else()
  set(dpll_found FALSE)
endif()
dpll_need(oneDNN 2.6 libdnnl-dev "${dpll_dnnl_version}" ${dpll_found})

# Pictures are read by libjpeg-turbo and libpng; CMake's module knows libjpeg's interface, not turbo's version.
find_package(JPEG QUIET)
find_path(DPLL_JPEG_CONFIG jconfig.h HINTS ${JPEG_INCLUDE_DIRS})
dpll_version_of("${DPLL_JPEG_CONFIG}/jconfig.h" dpll_jpeg_version LIBJPEG_TURBO_VERSION)
dpll_need(libjpeg-turbo 2.1 libjpeg-dev "${dpll_jpeg_version}" "${JPEG_FOUND}")
find_package(PNG QUIET)
dpll_need(libpng 1.6.37 libpng-dev "${PNG_VERSION_STRING}" "${PNG_FOUND}")

find_path(DPLL_STB_INCLUDE stb_image_write.h PATH_SUFFIXES stb)
if(NOT DPLL_STB_INCLUDE)
  string(APPEND dpll_problems "\n  stb_image_write.h was not found (Debian and Ubuntu: libstb-dev)")
endif()

if(DPLL_TESTS)
  find_path(DPLL_DOCTEST_INCLUDE doctest/doctest.h)
  dpll_version_of("${DPLL_DOCTEST_INCLUDE}/doctest/doctest.h" dpll_doctest_version DOCTEST_VERSION_MAJOR
    DOCTEST_VERSION_MINOR DOCTEST_VERSION_PATCH)
  dpll_need(doctest 2.4 doctest-dev "${dpll_doctest_version}" "${DPLL_DOCTEST_INCLUDE}")
  find_package(Boost QUIET COMPONENTS context)
  dpll_need("Boost.Context" 1.74 libboost-context-dev "${Boost_VERSION}" "${Boost_FOUND}")
endif()

if(dpll_problems)
  message(FATAL_ERROR "What the build needs and has not:${dpll_problems}\n"
    "tools/install_deps installs it all; other systems' names: docs/platforms.md. Or leave out the tests: -DDPLL_TESTS=OFF")
endif()

# Only for tools/bench_ops: the quick-start does without.
find_package(benchmark QUIET)
if(DPLL_TOOLS AND NOT benchmark_FOUND)
  message(STATUS "No Google Benchmark: bench_ops is not built (tools/install_deps bench)")
endif()

add_library(dpll_dependencies INTERFACE)
target_include_directories(dpll_dependencies SYSTEM INTERFACE ${DPLL_DNNL_INCLUDE} ${DPLL_STB_INCLUDE})
target_link_libraries(dpll_dependencies INTERFACE ${DPLL_DNNL_LIBRARY} OpenMP::OpenMP_CXX Threads::Threads
  ZLIB::ZLIB JPEG::JPEG PNG::PNG OpenSSL::Crypto fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11
  LibArchive::LibArchive ${CMAKE_DL_LIBS})
