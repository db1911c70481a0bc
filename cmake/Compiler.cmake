# The oldest compilers with which the tests were run. An older one would fail later with a message about C++20's library;
# this reports it at once.
set(dpll_oldest_GNU 12)
set(dpll_oldest_Clang 16)
set(dpll_oldest "${dpll_oldest_${CMAKE_CXX_COMPILER_ID}}")
if(NOT dpll_oldest)
  message(STATUS "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} has not been tried; GCC ${dpll_oldest_GNU} and "
    "Clang ${dpll_oldest_Clang} and newer have")
elseif(CMAKE_CXX_COMPILER_VERSION VERSION_LESS dpll_oldest)
  message(FATAL_ERROR "${CMAKE_CXX_COMPILER} is ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, too old for this "
    "program's C++20: GCC ${dpll_oldest_GNU} or Clang ${dpll_oldest_Clang} or newer is needed. Name one by CXX=g++-12, for example.")
endif()
