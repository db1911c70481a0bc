#include "dpll/model/network.h"

#include "model/lenet.h"
#include "model/mlp.h"
#include "model/wide_resnet.h"

namespace dpll {

std::unique_ptr<Network> make_network(Backend& backend, const RunConfig::Model& model,
                                      const InputShape& input, bool with_average, bool with_squares) {
  std::unique_ptr<Network> network;
  switch (model.architecture) {
    case Architecture::wide_resnet:
      network = std::make_unique<WideResNet>(backend, model, input);
      break;
    case Architecture::lenet:
      network = std::make_unique<LeNet>(backend, input);
      break;
    case Architecture::mlp:
      network = std::make_unique<Mlp>(backend, model, input);
      break;
  }
  network->state().allocate(backend, with_average, with_squares);
  return network;
}

std::unique_ptr<Network> make_network(Backend& backend, const RunConfig& config, const InputShape& input) {
  return make_network(backend, config.model, input, config.optimiser.ema > 0,
                      config.optimiser.kind != OptimiserKind::sgd);
}

}  // namespace dpll
