// What a training step launches, counted from the graph that it is captured into. Nothing is computed.
#pragma once

#include <string>
#include <vector>

#include "dpll/core/tensor.h"
#include "emulation/stream.h"

namespace dpll::test {

struct StepShape {
  std::string model;  // as bench_step's --model
  int batch = 64, strong = 2, classes = 10;
  DType compute = DType::f16;
  int ranks = 1;  // that share the batch; the graph is that of rank 0
};

// The graph of a step with a full batch.
emulation::Graph step_graph(const StepShape& shape);

// The nodes of the longest chain of which each waits for the one before it, in their order. Each node
// counts `weight(node)`.
std::vector<int> longest_chain(const emulation::Graph& graph,
                               const std::function<double(const emulation::Node&)>& weight);
inline std::size_t longest_chain(const emulation::Graph& graph) {
  return longest_chain(graph, [](const emulation::Node&) { return 1.0; }).size();
}

}  // namespace dpll::test
