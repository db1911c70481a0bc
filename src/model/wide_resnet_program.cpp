#include "model/wide_resnet_program.h"

#include <algorithm>

namespace dpll {

// Operations in forward order: 0 the stem, 1 + 2b and 2 + 2b the convolutions of block b, then pool, then
// linear.
WideResNetProgram::WideResNetProgram(WideResNet& network, const ProgramSpec& spec)
    : Program(spec), network_(network), backend_(network.backend_), state_(network.state()) {
  const bool train = spec.mode == Mode::train;
  const int block_count = static_cast<int>(network.blocks_.size());
  schedule_ = {2 * block_count + 3, spec.mode};
  const int pool_operation = schedule_.operations - 2, fc_operation = schedule_.operations - 1;
  const DType compute = backend_.compute_dtype();
  const InputShape& in = network.input();
  const std::int64_t rows = std::int64_t{spec.views} * spec.batch;

  stem_ = backend_.make_preact_conv({.mode = spec.mode,
                                     .views = spec.views,
                                     .batch = spec.batch,
                                     .height = in.height,
                                     .width = in.width,
                                     .in_channels = in.channels,
                                     .out_channels = WideResNet::kStemChannels,
                                     .zero_channels = backend_.image_channels(in.channels) - in.channels,
                                     .preact = false,
                                     .stats = train,
                                     .input_gradient = false});
  need_workspace(stem_->workspace_bytes());
  plan_.add(&images_, compute, {rows, in.height, in.width, backend_.image_channels(in.channels)},
            schedule_.activation(-1, 0, 0), "images");
  plan_.add(&stem_saved_, stem_->saved_bytes(), schedule_.activation(0, 0, 0), "conv1 saved");
  streams_.push_back({});

  blocks_.resize(network.blocks_.size());
  plan_.add(&stem_out_.value, compute, {rows, in.height, in.width, WideResNet::kStemChannels},
            schedule_.activation(0, network.blocks_[0].projects() ? 1 : 2, 1), "conv1");
  plan_.add(&stem_out_.stats, backend_.master_dtype(),
            view_stats_shape(spec.views, WideResNet::kStemChannels), schedule_.activation(0, 1, 1),
            "conv1 statistics");
  activations_.push_back({"conv1", &stem_out_.value});

  for (int b = 0; b < block_count; ++b)
    plan_block(blocks_[static_cast<std::size_t>(b)], b, stem_out_, 1 + 2 * b);
  streams_.back().first_writer = pool_operation;

  const WideResNet::BlockParameters& last = network.blocks_.back();
  const Tensor& features = blocks_.back().y.value;
  const int channels = last.out_channels;
  pool_ = backend_.make_bn_relu_pool({.mode = spec.mode,
                                      .views = spec.views,
                                      .batch = spec.batch,
                                      .height = static_cast<int>(features.shape[1]),
                                      .width = static_cast<int>(features.shape[2]),
                                      .channels = channels,
                                      .pool = Pool::global_average});
  fc_ = backend_.make_linear({.mode = spec.mode,
                              .views = spec.views,
                              .batch = spec.batch,
                              .in_features = channels,
                              .out_features = in.classes});
  need_workspace(pool_->workspace_bytes());
  need_workspace(fc_->workspace_bytes());
  plan_.add(&pool_saved_, pool_->saved_bytes(),
            schedule_.activation(pool_operation, pool_operation, pool_operation), "pool saved");
  plan_.add(&pooled_, compute, {rows, channels},
            schedule_.activation(pool_operation, fc_operation, fc_operation), "pool");
  activations_.push_back({"pool", &pooled_});
  plan_.add(&logits_, compute, {rows, in.classes}, {schedule_.forward(fc_operation), schedule_.objective()},
            "logits");
  activations_.push_back({"logits", &logits_});

  if (train) {
    plan_.add(&d_logits_, compute, {rows, in.classes},
              {schedule_.objective(), schedule_.backward(fc_operation)}, "d_logits");
    plan_.add(&d_pooled_, compute, {rows, channels},
              {schedule_.backward(fc_operation), schedule_.backward(pool_operation)}, "d_pool");
    for (std::size_t s = 0; s < streams_.size(); ++s) {
      // A stream carries the shape of the activation that its producer wrote.
      const Stream& stream = streams_[s];
      const Tensor& like = stream.producer == 0
                               ? stem_out_.value
                               : blocks_[static_cast<std::size_t>((stream.producer - 1) / 2)].y.value;
      plan_.add(&streams_[s].gradient, compute, like.shape,
                {schedule_.backward(stream.first_writer), schedule_.backward(stream.producer)},
                fmt::format("d_stream {}", s));
    }
  }
  plan_.add(&workspace_, workspace_bytes_, {0, schedule_.end()}, "workspace");
}

void WideResNetProgram::plan_block(Block& block, int block_index, const Activation& stem_out,
                                   int first_operation) {
  const WideResNet::BlockParameters& p = network_.blocks_[static_cast<std::size_t>(block_index)];
  const bool train = spec_.mode == Mode::train;
  const int op1 = first_operation, op2 = first_operation + 1;
  const DType compute = backend_.compute_dtype(), master = backend_.master_dtype();
  block.parameters = &p;
  block.conv1_name = p.name + ".conv1";
  block.conv2_name = p.name + ".conv2";

  PreactConvSpec spec1{.mode = spec_.mode,
                       .views = spec_.views,
                       .batch = spec_.batch,
                       .height = p.height,
                       .width = p.width,
                       .in_channels = p.in_channels,
                       .out_channels = p.out_channels,
                       .stride = p.stride,
                       .projection = p.projects(),
                       .stats = train};
  PreactConvSpec spec2{.mode = spec_.mode,
                       .views = spec_.views,
                       .batch = spec_.batch,
                       .height = spec1.out_height(),
                       .width = spec1.out_width(),
                       .in_channels = p.out_channels,
                       .out_channels = p.out_channels,
                       .dropout = train ? network_.model_.dropout : 0,
                       .dropout_site = static_cast<std::uint32_t>(block_index),
                       .residual = true,
                       .stats = train};
  block.conv1 = backend_.make_preact_conv(spec1);
  block.conv2 = backend_.make_preact_conv(spec2);
  need_workspace(std::max(block.conv1->workspace_bytes(), block.conv2->workspace_bytes()));

  const std::int64_t rows = stem_out.value.shape[0];
  const Shape out{rows, spec1.out_height(), spec1.out_width(), p.out_channels};
  const Shape stats = view_stats_shape(spec_.views, p.out_channels);
  plan_.add(&block.saved1, block.conv1->saved_bytes(), schedule_.activation(op1, op1, op1),
            p.name + ".conv1 saved");
  plan_.add(&block.saved2, block.conv2->saved_bytes(), schedule_.activation(op2, op2, op2),
            p.name + ".conv2 saved");
  plan_.add(&block.h.value, compute, out, schedule_.activation(op1, op2, op2), p.name + ".conv1");
  plan_.add(&block.h.stats, master, stats, schedule_.activation(op1, op2, op2), p.name + ".conv1 statistics");
  // y begins its life as the projected shortcut where there is one. The next reader is op2 + 1; an identity
  // block behind this one reads y once more as its residual, at op2 + 2.
  const bool next_is_identity = static_cast<std::size_t>(block_index) + 1 < network_.blocks_.size() &&
                                !network_.blocks_[static_cast<std::size_t>(block_index) + 1].projects();
  const int writer = p.projects() ? op1 : op2;
  plan_.add(&block.y.value, compute, out,
            schedule_.activation(writer, op2 + (next_is_identity ? 2 : 1), op2 + 1), p.name);
  plan_.add(&block.y.stats, master, stats, schedule_.activation(op2, op2 + 1, op2 + 1),
            p.name + " statistics");
  activations_.push_back({p.name + ".conv1", &block.h.value});
  activations_.push_back({p.name, &block.y.value});

  block.in_stream = streams_.size() - 1;
  if (p.projects()) {
    streams_.back().first_writer = op1;
    streams_.push_back({.gradient = {}, .first_writer = 0, .producer = op1});
  }
  block.out_stream = streams_.size() - 1;
  if (train) {
    plan_.add(&block.d_h, compute, out, {schedule_.backward(op2), schedule_.backward(op1)},
              p.name + ".d_conv1");
  }
}

void WideResNetProgram::forward(const BatchRows& rows) {
  const trace::Range range("forward");
  trace::Sequence layers;
  layers.next("conv1");
  stem_->forward({.y = stem_out_.value,
                  .y_stats = stem_out_.stats,
                  .x = images_,
                  .weight = state_.weight(network_.stem_),
                  .rows = rows,
                  .saved = stem_saved_,
                  .workspace = workspace_});
  const Activation* x = &stem_out_;
  for (const Block& block : blocks_) {
    forward_block(block, *x, rows, layers);
    x = &block.y;
  }
  layers.next("bn1");
  pool_->forward({.y = pooled_,
                  .x = x->value,
                  .x_stats = x->stats,
                  .bn = state_.batch_norm(network_.head_bn_),
                  .saved = pool_saved_,
                  .workspace = workspace_});
  layers.next("fc");
  fc_->forward({.y = logits_,
                .x = pooled_,
                .weight = state_.weight(network_.fc_weight_),
                .bias = state_.value(network_.fc_bias_),
                .workspace = workspace_});
}

void WideResNetProgram::forward_block(const Block& block, const Activation& x, const BatchRows& rows,
                                      trace::Sequence& layers) {
  const WideResNet::BlockParameters& p = *block.parameters;
  layers.next(block.conv1_name.c_str());
  block.conv1->forward({.y = block.h.value,
                        .y_stats = block.h.stats,
                        .projected = p.projects() ? block.y.value : Tensor{},
                        .x = x.value,
                        .x_stats = x.stats,
                        .bn = state_.batch_norm(p.bn1),
                        .weight = state_.weight(p.conv1),
                        .projection_weight = p.projects() ? state_.weight(p.shortcut) : Tensor{},
                        .rows = rows,
                        .saved = block.saved1,
                        .workspace = workspace_});
  layers.next(block.conv2_name.c_str());
  block.conv2->forward({.y = block.y.value,
                        .y_stats = block.y.stats,
                        .x = block.h.value,
                        .x_stats = block.h.stats,
                        .bn = state_.batch_norm(p.bn2),
                        .weight = state_.weight(p.conv2),
                        .residual = p.projects() ? block.y.value : x.value,
                        .rows = rows,
                        .saved = block.saved2,
                        .workspace = workspace_});
}

void WideResNetProgram::backward(const BatchRows& rows) {
  const trace::Range range("backward");
  trace::Sequence layers;
  layers.next("fc");
  fc_->backward({.d_x = d_pooled_,
                 .d_weight = state_.gradient(network_.fc_weight_),
                 .d_bias = state_.gradient(network_.fc_bias_),
                 .d_y = d_logits_,
                 .x = pooled_,
                 .weight = state_.weight(network_.fc_weight_),
                 .workspace = workspace_});
  layers.next("bn1");
  pool_->backward({.d_x = streams_.back().gradient,
                   .bn = state_.batch_norm(network_.head_bn_),
                   .d_y = d_pooled_,
                   .x = blocks_.back().y.value,
                   .x_stats = blocks_.back().y.stats,
                   .saved = pool_saved_,
                   .workspace = workspace_});
  for (std::size_t b = blocks_.size(); b-- > 0;) {
    backward_block(blocks_[b], b == 0 ? stem_out_ : blocks_[b - 1].y, rows, layers);
  }
  layers.next("conv1");
  stem_->backward({.d_weight = state_.gradient(network_.stem_),
                   .d_y = streams_.front().gradient,
                   .x = images_,
                   .weight = state_.weight(network_.stem_),
                   .rows = rows,
                   .saved = stem_saved_,
                   .workspace = workspace_});
}

void WideResNetProgram::backward_block(const Block& block, const Activation& x, const BatchRows& rows,
                                       trace::Sequence& layers) {
  const WideResNet::BlockParameters& p = *block.parameters;
  const Tensor& d_y = streams_[block.out_stream].gradient;
  layers.next(block.conv2_name.c_str());
  block.conv2->backward({.d_x = block.d_h,
                         .d_weight = state_.gradient(p.conv2),
                         .bn = state_.batch_norm(p.bn2),
                         .d_y = d_y,
                         .x = block.h.value,
                         .x_stats = block.h.stats,
                         .weight = state_.weight(p.conv2),
                         .rows = rows,
                         .saved = block.saved2,
                         .workspace = workspace_});
  layers.next(block.conv1_name.c_str());
  // With an identity shortcut d_x begins as d_y, in the same tensor.
  block.conv1->backward({.d_x = streams_[block.in_stream].gradient,
                         .accumulate = p.projects() ? Accumulate::no : Accumulate::yes,
                         .d_weight = state_.gradient(p.conv1),
                         .d_projection_weight = p.projects() ? state_.gradient(p.shortcut) : Tensor{},
                         .bn = state_.batch_norm(p.bn1),
                         .d_y = block.d_h,
                         .d_projected = p.projects() ? d_y : Tensor{},
                         .x = x.value,
                         .x_stats = x.stats,
                         .weight = state_.weight(p.conv1),
                         .projection_weight = p.projects() ? state_.weight(p.shortcut) : Tensor{},
                         .rows = rows,
                         .saved = block.saved1,
                         .workspace = workspace_});
}

}  // namespace dpll
