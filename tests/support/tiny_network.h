// A network on a backend, with an arena for one program: what tests of whole networks share.
#pragma once

#include <memory>

#include "dpll/model/network.h"

namespace dpll::test {

struct TinyNetwork {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Network> network;
  std::unique_ptr<Program> program;
  Buffer arena, state_buffer, order_buffer;
  BatchRows rows;

  TinyNetwork(std::unique_ptr<Backend> backend_, const RunConfig::Model& model, const InputShape& input,
              const ProgramSpec& spec)
      : backend(std::move(backend_)),
        network(make_network(*backend, model, input, false)),
        program(network->make_program(spec)) {
    arena = backend->allocate(program->plan().solve(), "a test's activations");
    program->plan().bind(arena.data());
    state_buffer = backend->allocate(sizeof(StepState), "a test's step state");
    rows.step = static_cast<const StepState*>(state_buffer.data());
  }
};

inline RunConfig::Model tiny_wide_resnet(double dropout = 0) {
  RunConfig::Model model;
  model.depth = 10;
  model.width = 1;
  model.dropout = dropout;
  return model;
}
inline RunConfig::Model tiny_lenet() {
  RunConfig::Model model;
  model.architecture = Architecture::lenet;
  return model;
}

inline RunConfig::Model tiny_mlp(const std::vector<int>& hidden) {
  RunConfig::Model model;
  model.architecture = Architecture::mlp;
  model.hidden = hidden;
  return model;
}

// Narrow ones of the residual architectures; depth 8 where it is a choice.
inline RunConfig::Model tiny_resnet(ShortcutKind shortcut, int depth = 8) {
  RunConfig::Model model;
  model.architecture = Architecture::resnet;
  model.depth = depth;
  model.channels = 4;
  model.shortcut = shortcut;
  return model;
}
inline RunConfig::Model tiny_resnet18(Architecture architecture) {
  RunConfig::Model model;
  model.architecture = architecture;
  model.channels = 4;
  return model;
}

}  // namespace dpll::test
