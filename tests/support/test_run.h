// Counts the test cases of a run and, where asked, shares them among several processes.
#pragma once

#include <string>

namespace doctest {
class Context;
}

namespace dpll::test {

// What the run has come to, over all of its processes.
struct TestCounts {
  int passed = 0, failed = 0, skipped = 0;
};

// The listener's word about the process's test case: `name` must live as long as the program. A case that a
// crash ends gets no end: whoever finds the process dead counts it.
enum class Outcome { passed, failed, skipped };
void test_case_begins(const char* name);
void test_case_ends(Outcome outcome);

// Keeps a line that is printed by print_notes(), when all tests have run.
void note(const std::string& line);
void print_notes();
TestCounts test_counts();

// N of the option --jobs=N; 1 without it, and where another of doctest's options is about one process: a
// range of test cases, an end after some failures, an output of another kind.
int jobs_of(int argc, const char* const* argv);

// Call once, before anything that may start a thread. Runs the test cases that pass the context's filters in
// `jobs` processes; each takes the next one that none has taken. What a test case prints comes in one piece
// and on standard output. A test case that ends its process has failed, by name, and a new process goes on
// behind it. So has what ends a process badly between two or after the last one, as leaks do. Throws
// std::system_error if there is no memory or process to be had.
void run_in_processes(doctest::Context& context, int jobs);

}  // namespace dpll::test
