#include "model/lenet.h"

#include <algorithm>

#include "dpll/core/trace.h"
#include "model/schedule.h"

namespace dpll {

LeNet::LeNet(Backend& backend, const InputShape& input) : Network(backend, input) {
  if (input.height < 4 || input.width < 4) {
    fail(ExitCode::config, "lenet needs images of at least 4x4 pixels, these have {}x{}", input.height,
         input.width);
  }
  const auto add = [this](const std::string& name, std::vector<std::int64_t> dims, std::int64_t fan_in,
                          ElementOrder order) {
    return state_.add_parameter({.name = name,
                                 .dims = std::move(dims),
                                 .init = InitRule::uniform_fan_in,
                                 .fan = fan_in,
                                 .order = order});
  };
  const std::int64_t fan1 = 25 * input.channels, fan2 = 25 * kChannels1;
  conv1_weight_ = add("conv.0.weight", {kChannels1, input.channels, 5, 5}, fan1, ElementOrder::conv);
  conv1_bias_ = add("conv.0.bias", {kChannels1}, fan1, ElementOrder::plain);
  bn1_ = state_.add_batch_norm("conv.1", kChannels1);
  conv2_weight_ = add("conv.4.weight", {kChannels2, kChannels1, 5, 5}, fan2, ElementOrder::conv);
  conv2_bias_ = add("conv.4.bias", {kChannels2}, fan2, ElementOrder::plain);
  bn2_ = state_.add_batch_norm("conv.5", kChannels2);
  const std::int64_t pixels = std::int64_t{input.height / 4} * (input.width / 4),
                     features = kChannels2 * pixels;
  // PyTorch flattens [C,H,W]; activations here lie as [H,W,C], so the columns are kept in that order.
  hidden_weight_ = state_.add_parameter({.name = "linear.0.weight",
                                         .dims = {kHidden, features},
                                         .init = InitRule::uniform_fan_in,
                                         .fan = features,
                                         .order = ElementOrder::flattened_image,
                                         .image_channels = kChannels2,
                                         .image_pixels = pixels});
  hidden_bias_ = add("linear.0.bias", {kHidden}, features, ElementOrder::plain);
  bn3_ = state_.add_batch_norm("linear.1", kHidden);
  last_weight_ = add("last.weight", {input.classes, kHidden}, kHidden, ElementOrder::plain);
  last_bias_ = add("last.bias", {input.classes}, kHidden, ElementOrder::plain);
}

double LeNet::forward_macs() const {
  const double pixels = double(input_.height) * input_.width;
  const double quarter = double(input_.height / 2) * (input_.width / 2);
  const double features = kChannels2 * double(input_.height / 4) * (input_.width / 4);
  return 25 * (pixels * input_.channels * kChannels1 + quarter * kChannels1 * kChannels2) +
         features * kHidden + double(kHidden) * input_.classes;
}

// LeNet made for one batch size. Operations: 0 conv1, 1 pool1, 2 conv2, 3 pool2, 4 hidden, 5 hidden's bn, 6
// last.
class LeNetProgram final : public Program {
 public:
  LeNetProgram(LeNet& network, const ProgramSpec& spec);
  void forward(const BatchRows& rows) override;
  void backward(const BatchRows& rows) override;

 private:
  // A convolution or linear output, its statistics, and the same after bn, relu and pooling.
  struct Stage {
    Tensor value, stats, pooled;
    Tensor d_value, d_pooled;
    void* conv_saved = nullptr;
    void* pool_saved = nullptr;
    std::unique_ptr<BnReluPool> pool;
  };
  void plan_stage(Stage& stage, const char* name, const Shape& shape, const BnReluPoolSpec& pool,
                  int operation);
  void need_workspace(std::size_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

  LeNet& network_;
  Backend& backend_;
  ModelState& state_;
  TickSchedule schedule_;
  std::size_t workspace_bytes_ = 0;
  void* workspace_ = nullptr;
  std::unique_ptr<PreactConv> conv1_, conv2_;
  std::unique_ptr<Linear> hidden_, last_;
  Stage stage1_, stage2_, stage3_;
};

// `operation` writes value, operation + 1 pooled, operation + 2 reads pooled.
void LeNetProgram::plan_stage(Stage& stage, const char* name, const Shape& shape, const BnReluPoolSpec& pool,
                              int operation) {
  const DType compute = backend_.compute_dtype();
  const int channels = pool.channels;
  const Shape pooled{pool.rows(), pool.out_height(), pool.out_width(), channels};
  const std::string prefix = name;
  stage.pool = backend_.make_bn_relu_pool(pool);
  need_workspace(stage.pool->workspace_bytes());
  plan_.add(&stage.value, compute, shape, schedule_.activation(operation, operation + 1, operation + 1),
            prefix);
  plan_.add(&stage.stats, backend_.master_dtype(), view_stats_shape(spec_.views, channels),
            schedule_.activation(operation, operation + 1, operation + 1), prefix + " statistics");
  plan_.add(&stage.pooled, compute, pooled, schedule_.activation(operation + 1, operation + 2, operation + 2),
            prefix + " pool");
  plan_.add(&stage.pool_saved, stage.pool->saved_bytes(),
            schedule_.activation(operation + 1, operation + 1, operation + 1), prefix + " pool saved");
  activations_.push_back({prefix, &stage.value});
  activations_.push_back({prefix + " pool", &stage.pooled});
  if (spec_.mode == Mode::train) {
    plan_.add(&stage.d_pooled, compute, pooled,
              {schedule_.backward(operation + 2), schedule_.backward(operation + 1)}, prefix + " d_pool");
    plan_.add(&stage.d_value, compute, shape,
              {schedule_.backward(operation + 1), schedule_.backward(operation)}, "d_" + prefix);
  }
}

LeNetProgram::LeNetProgram(LeNet& network, const ProgramSpec& spec)
    : Program(spec),
      network_(network),
      backend_(network.backend_),
      state_(network.state()),
      schedule_{7, spec.mode} {
  const bool train = spec.mode == Mode::train;
  const InputShape& in = network.input();
  const int rows = spec.views * spec.batch;
  const PreactConvSpec conv1{.mode = spec.mode,
                             .views = spec.views,
                             .batch = spec.batch,
                             .height = in.height,
                             .width = in.width,
                             .in_channels = in.channels,
                             .out_channels = LeNet::kChannels1,
                             .zero_channels = backend_.image_channels(in.channels) - in.channels,
                             .kernel = 5,
                             .pad = 2,
                             .preact = false,
                             .bias = true,
                             .stats = train,
                             .input_gradient = false};
  PreactConvSpec conv2 = conv1;
  conv2.height = in.height / 2;
  conv2.width = in.width / 2;
  conv2.in_channels = LeNet::kChannels1;
  conv2.zero_channels = 0;
  conv2.out_channels = LeNet::kChannels2;
  conv2.input_gradient = true;
  const int features = LeNet::kChannels2 * (in.height / 4) * (in.width / 4);

  conv1_ = backend_.make_preact_conv(conv1);
  conv2_ = backend_.make_preact_conv(conv2);
  hidden_ = backend_.make_linear({.mode = spec.mode,
                                  .views = spec.views,
                                  .batch = spec.batch,
                                  .in_features = features,
                                  .out_features = LeNet::kHidden,
                                  .stats = train});
  last_ = backend_.make_linear({.mode = spec.mode,
                                .views = spec.views,
                                .batch = spec.batch,
                                .in_features = LeNet::kHidden,
                                .out_features = in.classes});
  for (const std::size_t bytes : {conv1_->workspace_bytes(), conv2_->workspace_bytes(),
                                  hidden_->workspace_bytes(), last_->workspace_bytes()}) {
    need_workspace(bytes);
  }

  const DType compute = backend_.compute_dtype();
  plan_.add(&images_, compute, {rows, in.height, in.width, backend_.image_channels(in.channels)},
            schedule_.activation(-1, 0, 0), "images");
  plan_.add(&stage1_.conv_saved, conv1_->saved_bytes(), schedule_.activation(0, 0, 0), "conv.0 saved");
  plan_.add(&stage2_.conv_saved, conv2_->saved_bytes(), schedule_.activation(2, 2, 2), "conv.4 saved");
  const auto pool_spec = [&](int height, int width, int channels, Pool pool) {
    return BnReluPoolSpec{.mode = spec.mode,
                          .views = spec.views,
                          .batch = spec.batch,
                          .height = height,
                          .width = width,
                          .channels = channels,
                          .pool = pool};
  };
  plan_stage(stage1_, "conv.0", {rows, conv1.height, conv1.width, conv1.out_channels},
             pool_spec(conv1.height, conv1.width, conv1.out_channels, Pool::max2), 0);
  plan_stage(stage2_, "conv.4", {rows, conv2.height, conv2.width, conv2.out_channels},
             pool_spec(conv2.height, conv2.width, conv2.out_channels, Pool::max2), 2);
  plan_stage(stage3_, "linear.0", {rows, 1, 1, LeNet::kHidden}, pool_spec(1, 1, LeNet::kHidden, Pool::none),
             4);
  plan_.add(&logits_, compute, {rows, in.classes}, {schedule_.forward(6), schedule_.objective()}, "logits");
  activations_.push_back({"logits", &logits_});
  if (train) {
    plan_.add(&d_logits_, compute, {rows, in.classes}, {schedule_.objective(), schedule_.backward(6)},
              "d_logits");
  }
  plan_.add(&workspace_, workspace_bytes_, {0, schedule_.end()}, "workspace");
}

void LeNetProgram::forward(const BatchRows& rows) {
  const trace::Range range("forward");
  trace::Sequence layers;
  layers.next("conv.0");
  conv1_->forward({.y = stage1_.value,
                   .y_stats = stage1_.stats,
                   .x = images_,
                   .weight = state_.weight(network_.conv1_weight_),
                   .bias = state_.value(network_.conv1_bias_),
                   .rows = rows,
                   .saved = stage1_.conv_saved,
                   .workspace = workspace_});
  layers.next("conv.1");
  stage1_.pool->forward({.y = stage1_.pooled,
                         .x = stage1_.value,
                         .x_stats = stage1_.stats,
                         .bn = state_.batch_norm(network_.bn1_),
                         .saved = stage1_.pool_saved,
                         .workspace = workspace_});
  layers.next("conv.4");
  conv2_->forward({.y = stage2_.value,
                   .y_stats = stage2_.stats,
                   .x = stage1_.pooled,
                   .weight = state_.weight(network_.conv2_weight_),
                   .bias = state_.value(network_.conv2_bias_),
                   .rows = rows,
                   .saved = stage2_.conv_saved,
                   .workspace = workspace_});
  layers.next("conv.5");
  stage2_.pool->forward({.y = stage2_.pooled,
                         .x = stage2_.value,
                         .x_stats = stage2_.stats,
                         .bn = state_.batch_norm(network_.bn2_),
                         .saved = stage2_.pool_saved,
                         .workspace = workspace_});
  layers.next("linear.0");
  hidden_->forward({.y = stage3_.value,
                    .y_stats = stage3_.stats,
                    .x = stage2_.pooled,
                    .weight = state_.weight(network_.hidden_weight_),
                    .bias = state_.value(network_.hidden_bias_),
                    .workspace = workspace_});
  layers.next("linear.1");
  stage3_.pool->forward({.y = stage3_.pooled,
                         .x = stage3_.value,
                         .x_stats = stage3_.stats,
                         .bn = state_.batch_norm(network_.bn3_),
                         .saved = stage3_.pool_saved,
                         .workspace = workspace_});
  layers.next("last");
  last_->forward({.y = logits_,
                  .x = stage3_.pooled,
                  .weight = state_.weight(network_.last_weight_),
                  .bias = state_.value(network_.last_bias_),
                  .workspace = workspace_});
}

void LeNetProgram::backward(const BatchRows& rows) {
  const trace::Range range("backward");
  trace::Sequence layers;
  layers.next("last");
  last_->backward({.d_x = stage3_.d_pooled,
                   .d_weight = state_.gradient(network_.last_weight_),
                   .d_bias = state_.gradient(network_.last_bias_),
                   .d_y = d_logits_,
                   .x = stage3_.pooled,
                   .weight = state_.weight(network_.last_weight_),
                   .workspace = workspace_});
  layers.next("linear.1");
  stage3_.pool->backward({.d_x = stage3_.d_value,
                          .bn = state_.batch_norm(network_.bn3_),
                          .d_y = stage3_.d_pooled,
                          .x = stage3_.value,
                          .x_stats = stage3_.stats,
                          .saved = stage3_.pool_saved,
                          .workspace = workspace_});
  layers.next("linear.0");
  hidden_->backward({.d_x = stage2_.d_pooled,
                     .d_weight = state_.gradient(network_.hidden_weight_),
                     .d_bias = state_.gradient(network_.hidden_bias_),
                     .d_y = stage3_.d_value,
                     .x = stage2_.pooled,
                     .weight = state_.weight(network_.hidden_weight_),
                     .workspace = workspace_});
  layers.next("conv.5");
  stage2_.pool->backward({.d_x = stage2_.d_value,
                          .bn = state_.batch_norm(network_.bn2_),
                          .d_y = stage2_.d_pooled,
                          .x = stage2_.value,
                          .x_stats = stage2_.stats,
                          .saved = stage2_.pool_saved,
                          .workspace = workspace_});
  layers.next("conv.4");
  conv2_->backward({.d_x = stage1_.d_pooled,
                    .d_weight = state_.gradient(network_.conv2_weight_),
                    .d_bias = state_.gradient(network_.conv2_bias_),
                    .d_y = stage2_.d_value,
                    .x = stage1_.pooled,
                    .weight = state_.weight(network_.conv2_weight_),
                    .rows = rows,
                    .saved = stage2_.conv_saved,
                    .workspace = workspace_});
  layers.next("conv.1");
  stage1_.pool->backward({.d_x = stage1_.d_value,
                          .bn = state_.batch_norm(network_.bn1_),
                          .d_y = stage1_.d_pooled,
                          .x = stage1_.value,
                          .x_stats = stage1_.stats,
                          .saved = stage1_.pool_saved,
                          .workspace = workspace_});
  layers.next("conv.0");
  conv1_->backward({.d_weight = state_.gradient(network_.conv1_weight_),
                    .d_bias = state_.gradient(network_.conv1_bias_),
                    .d_y = stage1_.d_value,
                    .x = images_,
                    .weight = state_.weight(network_.conv1_weight_),
                    .rows = rows,
                    .saved = stage1_.conv_saved,
                    .workspace = workspace_});
}

std::unique_ptr<Program> LeNet::make_program(const ProgramSpec& spec) {
  return std::make_unique<LeNetProgram>(*this, spec);
}

}  // namespace dpll
