// The benchmarks of operations: every case of tests/ops at its real size, on any backend, and what is right
// for each.
//
// The reference backend is plain float64 loops, too slow for the large cases. For those (convolutions, the
// update) it computes a few samples a view, and the case at its real size is made of copies of these samples:
// then statistics are the same, rows repeat, and sums over rows are multiples. So every element of the result
// at the real size is compared. In 16 bits inputs and bounds are those of the type: support/op_tolerances.h.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/op_tolerances.h"

namespace dpll::bench {

struct OpBenchmark {
  std::string op, name;  // "preact_conv", the case's name
  std::vector<std::string> passes;
  // The inputs, made once, what the reference makes of them, and one run at the real size.
  struct Prepared {
    std::function<test::OpResult(Backend&)> run;
    test::OpResult want;
    test::Tolerances tolerances;
  };
  std::function<Prepared(DType products)> prepare;  // Backend::product_dtype()

  // "preact_conv/WRN-28-2 group 1/forward"
  std::string pass_name(const std::string& pass) const { return op + "/" + name + "/" + pass; }
};

// What the reference backend may be asked for; a larger case is cut down.
struct ReferenceLimits {
  double macs = 3e8;                  // of a convolution's forward pass: a second or so
  std::int64_t parameters = 1 << 20;  // of an update
};

// All of them, of networks up to WRN-34-10.
std::vector<OpBenchmark> op_benchmarks();
// The cases of the tests, for tests of the benchmarks.
std::vector<OpBenchmark> small_op_benchmarks(const ReferenceLimits& limits);

// Empty, or in one line how the backend's result is wrong.
std::string complaint_about(const OpBenchmark& benchmark, const OpBenchmark::Prepared& prepared,
                            Backend& backend);

}  // namespace dpll::bench
