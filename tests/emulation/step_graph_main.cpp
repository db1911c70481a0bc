// Writes the graph of a training step as JSON, for tools/kernel_table.
//   dpll_step_graph MODEL [BATCH STRONG CLASSES [RANKS]]
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "dpll/core/check.h"
#include "emulation/step_graph.h"

namespace {

using namespace dpll;

// Where a function lies behind the beginning of this program, as nm prints it.
std::uintptr_t offset_of(const void* function) {
  Dl_info info = {};
  if (function == nullptr || dladdr(function, &info) == 0) return 0;
  return reinterpret_cast<std::uintptr_t>(function) - reinterpret_cast<std::uintptr_t>(info.dli_fbase);
}

int number(const char* text) {
  return static_cast<int>(std::strtol(text, nullptr, 10));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 5 && argc != 6) {
    std::fprintf(stderr, "usage: dpll_step_graph MODEL [BATCH STRONG CLASSES [RANKS]]\n");
    return static_cast<int>(ExitCode::usage);
  }
  try {
    test::StepShape shape{.model = argv[1]};
    if (argc > 2) {
      shape.batch = number(argv[2]);
      shape.strong = number(argv[3]);
      shape.classes = number(argv[4]);
      if (argc > 5) shape.ranks = number(argv[5]);
    }
    const emulation::Graph graph = test::step_graph(shape);
    nlohmann::json nodes = nlohmann::json::array();
    for (const emulation::Node& node : graph.nodes) {
      const emulation::Work& work = node.work;
      nodes.push_back({{"name", work.name},
                       {"layer", node.layer},
                       {"stream", node.stream},
                       {"after", node.after},
                       {"function", offset_of(work.kernel)},
                       {"blocks", {work.blocks.x, work.blocks.y, work.blocks.z}},
                       {"threads", work.threads},
                       {"shared", work.shared_bytes},
                       {"bytes", work.bytes},
                       {"operations", work.operations},
                       {"dependent_launch", work.overlaps}});
    }
    std::printf(
        "%s\n",
        nlohmann::json{{"nodes", nodes}, {"longest_chain", test::longest_chain(graph)}}.dump().c_str());
  } catch (const Error& error) {
    std::fprintf(stderr, "dpll_step_graph: %s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
