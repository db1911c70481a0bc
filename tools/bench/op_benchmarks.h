// The benchmarks of operations: every case of tests/ops at its real size on any backend, with the correct
// results.
//
// The reference backend has plain float64 loops, which are too slow for the large cases (convolutions, the
// update). There it computes a few samples per view, and the case at its real size consists of copies of
// these samples. Statistics are then the same, rows repeat, and sums over rows are multiples, so every
// element of the full result can be compared. In 16 bits inputs and bounds are those of the type:
// support/op_tolerances.h.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/op_tolerances.h"

namespace dpll::bench {

struct OpBenchmark {
  std::string op, name;  // "preact_conv", the case's name
  std::vector<std::string> passes;
  // The inputs, made once, the results of the reference, and one run at the real size.
  struct Prepared {
    std::function<test::OpResult(Backend&)> run;
    test::OpResult want;
    test::Tolerances tolerances;
  };
  std::function<Prepared(DType products)> prepare;  // Backend::product_dtype()

  // "preact_conv/WRN-28-2 group 1/forward"
  std::string pass_name(const std::string& pass) const { return op + "/" + name + "/" + pass; }
};

// The largest size for the reference backend; larger cases are reduced.
struct ReferenceLimits {
  double macs = 3e8;                  // of a convolution's forward pass: about a second
  std::int64_t parameters = 1 << 20;  // of an update
};

// All benchmarks, for networks up to WRN-34-10.
std::vector<OpBenchmark> op_benchmarks();
// The cases of the tests, for tests of the benchmarks.
std::vector<OpBenchmark> small_op_benchmarks(const ReferenceLimits& limits);

// Empty, or one line about the difference from the backend's result.
std::string complaint_about(const OpBenchmark& benchmark, const OpBenchmark::Prepared& prepared,
                            Backend& backend);

}  // namespace dpll::bench
