// A WideResNet made for one batch size: its operations and where their tensors lie. forward() and backward()
// are the walk through the network, one line an operation.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "dpll/core/trace.h"
#include "model/schedule.h"
#include "model/wide_resnet.h"

namespace dpll {

class WideResNetProgram final : public Program {
 public:
  WideResNetProgram(WideResNet& network, const ProgramSpec& spec);

  void forward(const BatchRows& rows) override;
  void backward(const BatchRows& rows) override;

 private:
  // An activation with its per-view statistics.
  struct Activation {
    Tensor value, stats;
  };
  // The gradient of a residual stream: identity blocks add to it in place, so one tensor serves all
  // activations between two changes of width.
  struct Stream {
    Tensor gradient;
    int first_writer = 0;  // the operation whose backward pass writes it first
    int producer = 0;      // the operation whose backward pass reads it last
  };
  struct Block {
    const WideResNet::BlockParameters* parameters = nullptr;
    std::string conv1_name, conv2_name;
    std::unique_ptr<PreactConv> conv1, conv2;
    Activation h, y;
    Tensor d_h;
    void* saved1 = nullptr;
    void* saved2 = nullptr;
    std::size_t in_stream = 0, out_stream = 0;
  };

  void plan_block(Block& block, int block_index, const Activation& stem_out, int first_operation);
  void forward_block(const Block& block, const Activation& x, const BatchRows& rows, trace::Sequence& layers);
  void backward_block(const Block& block, const Activation& x, const BatchRows& rows,
                      trace::Sequence& layers);
  void need_workspace(std::size_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

  WideResNet& network_;
  Backend& backend_;
  ModelState& state_;
  TickSchedule schedule_;
  std::size_t workspace_bytes_ = 0;
  void* workspace_ = nullptr;

  std::unique_ptr<PreactConv> stem_;
  void* stem_saved_ = nullptr;
  Activation stem_out_;
  std::vector<Block> blocks_;
  std::vector<Stream> streams_;
  std::unique_ptr<BnReluPool> pool_;
  void* pool_saved_ = nullptr;
  Tensor pooled_, d_pooled_;
  std::unique_ptr<Linear> fc_;
};

}  // namespace dpll
