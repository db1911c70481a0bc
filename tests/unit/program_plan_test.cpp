// Where a program's tensors lie: lifetimes follow from the layers, and what can share memory does.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "dpll/model/network.h"
#include "support/doctest.h"
#include "support/tiny_network.h"

using namespace dpll;
using test::TinyNetwork;

namespace {

std::vector<std::string> gradients_of(Program& program) {
  std::vector<std::string> names;
  for (const MemoryPlanner::Block& block : program.plan().blocks()) {
    if (block.tensor != nullptr && block.name.starts_with("d_")) names.push_back(block.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

TinyNetwork on_cpu(const RunConfig::Model& model, const InputShape& input, Mode mode) {
  return {make_cpu_backend({}), model, input, {mode, 2, 3}};
}

}  // namespace

TEST_CASE("program plan: the gradient of a residual stream is one tensor") {
  RunConfig::Model wide = test::tiny_wide_resnet();
  wide.depth = 16;
  wide.width = 2;
  // Two blocks a group; a stream ends where the width changes. Of the blocks' own gradients each conv1's
  // output has one.
  TinyNetwork net = on_cpu(wide, {8, 8, 3, 4}, Mode::train);
  std::vector<std::string> expected = {"d_logits", "d_pool", "d_conv1"};
  for (int group = 1; group <= 3; ++group) {
    // The last block's output names the stream of its group; the first block's and the projection's lie in
    // it.
    expected.push_back("d_block" + std::to_string(group) + ".layer.1");
    for (int i = 0; i < 2; ++i) {
      expected.push_back("d_block" + std::to_string(group) + ".layer." + std::to_string(i) + ".conv1");
    }
  }
  std::sort(expected.begin(), expected.end());
  CHECK(gradients_of(*net.program) == expected);
}

TEST_CASE("program plan: a block's shortcut has its gradient where the block's output had it") {
  TinyNetwork net = on_cpu(test::tiny_resnet(ShortcutKind::projection, 14), {8, 8, 3, 4}, Mode::train);
  std::vector<std::string> expected = {"d_logits", "d_pool", "d_conv1", "d_layer1.1"};
  for (const char* block : {"layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1"}) {
    expected.push_back("d_" + std::string(block) + ".conv1");
    expected.push_back("d_" + std::string(block) + ".conv2");
  }
  for (const char* last : {"layer2.1", "layer3.1"}) expected.push_back("d_" + std::string(last));
  std::sort(expected.begin(), expected.end());
  CHECK(gradients_of(*net.program) == expected);
}

TEST_CASE("program plan: evaluation keeps nothing for a backward pass") {
  for (const RunConfig::Model& model :
       {test::tiny_wide_resnet(), test::tiny_resnet(ShortcutKind::identity), test::tiny_lenet()}) {
    TinyNetwork net = on_cpu(model, {8, 8, 1, 4}, Mode::eval);
    CHECK(gradients_of(*net.program).empty());
    CHECK(!net.program->d_logits().defined());
    std::map<std::string, Lifetime> lifetimes;
    for (const MemoryPlanner::Block& block : net.program->plan().blocks()) {
      lifetimes[block.name] = block.lifetime;
      CHECK(block.name.find("statistics") == std::string::npos);
    }
    CHECK(lifetimes.at("images").birth == 0);
    CHECK(lifetimes.at("images").death == 1);  // the first layer
  }
}

TEST_CASE("program plan: outputs have names") {
  TinyNetwork wide = on_cpu(test::tiny_wide_resnet(), {8, 8, 3, 4}, Mode::eval);
  CHECK(wide.program->output("logits").data == wide.program->logits().data);
  CHECK(wide.program->output("features").shape.elements() == 6 * 64);
  CHECK(wide.program->output("features").data != nullptr);
  CHECK(wide.program->activations().back().name == "logits");
  // The perceptron without hidden layers has its images.
  TinyNetwork linear = on_cpu(test::tiny_mlp({}), {1, 1, 5, 3}, Mode::eval);
  CHECK(linear.program->output("features").data == linear.program->images().data);
  CHECK_THROWS(wide.program->output("embedding"));
}
