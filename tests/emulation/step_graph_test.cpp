// How much a training step launches. A change that makes a step slower shows here: each bound says what it is
// made of. One that launches less may lower it.
#include "emulation/step_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("step graph: the nodes of a step and its longest chain are those that are accounted for") {
  // A convolution of WRN has seven nodes: batch norm forward, convolution, statistics; gradients of weights
  // (beside the chain) and of its input, two passes of batch norm backward. A ResNet's block joins its paths
  // besides. Around them: augmentation, average, classifier, objective, update, advance. `dependent`:
  // launches that may begin before the one in front of them has ended; not those behind an event or of the
  // libraries.
  struct Bound {
    const char* model;
    int nodes, chain, dependent;
  };
  for (const Bound& bound :
       {Bound{"lenet", 30, 25, 13}, Bound{"wrn-16-2", 109, 85, 46}, Bound{"wrn-28-2", 193, 157, 88},
        Bound{"wrn-34-10", 235, 193, 109}, Bound{"resnet-32", 251, 216, 117}}) {
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
    CHECK(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                        [](const emulation::Node& node) { return node.work.overlaps; }) == bound.dependent);
  }
}
