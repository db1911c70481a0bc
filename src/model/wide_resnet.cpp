#include "model/wide_resnet.h"

#include "model/wide_resnet_program.h"

namespace dpll {
namespace {

ParameterSpec conv_weight(const std::string& name, int out, int in, int kernel) {
  return {.name = name + ".weight",
          .dims = {out, in, kernel, kernel},
          .init = InitRule::kaiming_normal_fan_out,
          .fan = std::int64_t{out} * kernel * kernel,
          .order = ElementOrder::conv};
}

}  // namespace

WideResNet::WideResNet(Backend& backend, const RunConfig::Model& model, const InputShape& input)
    : Network(backend, input), model_(model) {
  DPLL_CHECK(model.depth >= 10 && (model.depth - 4) % 6 == 0, "depth {} is not 6n + 4", model.depth);
  if (input.height < 4 || input.width < 4) {
    fail(ExitCode::config, "a wide residual network needs images of at least 4x4 pixels, these have {}x{}",
         input.height, input.width);
  }
  stem_ = state_.add_parameter(conv_weight("conv1", kStemChannels, input.channels, 3));
  int channels = kStemChannels, height = input.height, width = input.width;
  for (int group = 0; group < 3; ++group) {
    const int out = kStemChannels * model.width << group;
    for (int i = 0; i < (model.depth - 4) / 6; ++i) {
      BlockParameters block;
      block.name = fmt::format("block{}.layer.{}", group + 1, i);
      block.height = height;
      block.width = width;
      block.in_channels = channels;
      block.out_channels = out;
      block.stride = group > 0 && i == 0 ? 2 : 1;
      block.bn1 = state_.add_batch_norm(block.name + ".bn1", channels);
      block.conv1 = state_.add_parameter(conv_weight(block.name + ".conv1", out, channels, 3));
      block.bn2 = state_.add_batch_norm(block.name + ".bn2", out);
      block.conv2 = state_.add_parameter(conv_weight(block.name + ".conv2", out, out, 3));
      if (block.projects()) {
        block.shortcut = state_.add_parameter(conv_weight(block.name + ".convShortcut", out, channels, 1));
      }
      height = (height + block.stride - 1) / block.stride;
      width = (width + block.stride - 1) / block.stride;
      channels = out;
      blocks_.push_back(block);
    }
  }
  head_bn_ = state_.add_batch_norm("bn1", channels);
  fc_weight_ = state_.add_parameter({.name = "fc.weight",
                                     .dims = {input.classes, channels},
                                     .init = InitRule::uniform_fan_in,
                                     .fan = channels});
  fc_bias_ = state_.add_parameter({.name = "fc.bias", .dims = {input.classes}, .init = InitRule::zeros});
}

std::string WideResNet::name() const {
  return fmt::format("WRN-{}-{}", model_.depth, model_.width);
}

double WideResNet::forward_macs() const {
  double macs = 9.0 * kStemChannels * input_.channels * input_.height * input_.width;
  for (const BlockParameters& b : blocks_) {
    const double pixels =
        double((b.height + b.stride - 1) / b.stride) * ((b.width + b.stride - 1) / b.stride);
    macs += pixels * b.out_channels *
            (9.0 * b.in_channels + 9.0 * b.out_channels + (b.projects() ? b.in_channels : 0));
  }
  return macs + double(blocks_.back().out_channels) * input_.classes;
}

std::unique_ptr<Program> WideResNet::make_program(const ProgramSpec& spec) {
  return std::make_unique<WideResNetProgram>(*this, spec);
}

}  // namespace dpll
