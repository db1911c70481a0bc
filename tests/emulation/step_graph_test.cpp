// How much a training step launches. A change that makes a step slower shows here: each bound says what it is
// made of. One that launches less may lower it.
#include "emulation/step_graph.h"

#include <fmt/format.h>

#include <map>

#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("step graph: the nodes of a step and its longest chain are those that are accounted for") {
  struct Bound {
    const char* model;
    int nodes, chain;
  };
  for (const Bound& bound : {Bound{"lenet", 36, 36}, Bound{"wrn-16-2", 112, 112}, Bound{"wrn-28-2", 196, 196},
                             Bound{"wrn-34-10", 238, 238}, Bound{"resnet-32", 254, 254}}) {
    const emulation::Graph graph = step_graph({.model = bound.model});
    std::map<std::string, int> counts;
    for (const emulation::Node& node : graph.nodes) {
      counts[node.work.kernel == nullptr ? "of the libraries" : node.work.name]++;
    }
    std::string text;
    for (const auto& [name, count] : counts) text += fmt::format("\n  {} {}", count, name);
    CAPTURE(bound.model);
    CAPTURE(text);
    CHECK(static_cast<int>(graph.nodes.size()) == bound.nodes);
    CHECK(static_cast<int>(longest_chain(graph)) == bound.chain);
  }
}
