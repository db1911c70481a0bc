// Layers against PyTorch in float64.
#include "selftest/golden_checks.h"

namespace dpll::selftest {

void check_preact_conv(Backend& backend, GoldenCase& c) {
  const bool train = c.mode() == Mode::train;
  const auto residual = c.value<std::string>("residual");
  PreactConvSpec spec;
  spec.mode = c.mode();
  spec.views = c.value<int>("views");
  spec.batch = c.value<int>("batch");
  spec.height = c.value<int>("height");
  spec.width = c.value<int>("width");
  spec.in_channels = c.value<int>("in_channels");
  spec.out_channels = c.value<int>("out_channels");
  spec.kernel = c.value<int>("kernel");
  spec.stride = c.value<int>("stride");
  spec.pad = c.value<int>("pad");
  spec.preact = c.value<bool>("preact");
  spec.dropout = c.value<double>("dropout");
  spec.dropout_site = c.value<std::uint32_t>("dropout_site");
  spec.bias = c.value<bool>("bias");
  spec.projection = c.value<bool>("projection");
  spec.residual = residual != "none";
  spec.stats = c.value<bool>("stats");
  const auto op = backend.make_preact_conv(spec);
  void* saved = c.memory(op->saved_bytes());
  void* workspace = c.memory(op->workspace_bytes());
  const BatchRows rows{.step = c.put_step({.seed = c.value<std::uint64_t>("seed"),
                                           .epoch = c.value<std::uint32_t>("epoch"),
                                           .first = c.value<std::uint32_t>("first")}),
                       .order = c.put_int32(c.value<std::vector<std::int32_t>>("order"))};

  PreactConvForward f{.y = c.compute_output("y"),
                      .x = c.compute_input("x"),
                      .weight = c.conv_weight_input("weight"),
                      .rows = rows,
                      .saved = saved,
                      .workspace = workspace};
  if (spec.stats) f.y_stats = c.master_output("y_stats");
  if (spec.preact) f.bn = c.batch_norm();
  if (spec.preact && train) f.x_stats = c.master_input("x_stats");
  if (spec.bias) f.bias = c.master_input("bias");
  if (spec.projection) {
    f.projected = c.compute_output("projected");
    f.projection_weight = c.conv_weight_input("projection_weight");
  }
  if (spec.residual) f.residual = c.compute_input(residual == "input" ? "x" : "residual");
  op->forward(f);
  c.check("y", f.y);
  if (spec.stats) c.check("y_stats", f.y_stats);
  if (spec.projection) c.check("projected", f.projected);

  if (train) {
    // An identity shortcut: the gradient that arrives through it is there already.
    const bool accumulate = residual == "input";
    PreactConvBackward b{.d_x = accumulate ? c.compute_input("d_y") : c.compute_output("d_x"),
                         .accumulate = accumulate ? Accumulate::yes : Accumulate::no,
                         .d_weight = c.conv_weight_output("d_weight"),
                         .bn = f.bn,
                         .d_y = c.compute_input("d_y"),
                         .x = f.x,
                         .x_stats = f.x_stats,
                         .weight = f.weight,
                         .projection_weight = f.projection_weight,
                         .rows = rows,
                         .saved = saved,
                         .workspace = workspace};
    if (spec.bias) b.d_bias = c.master_output("d_bias");
    if (spec.projection) {
      b.d_projection_weight = c.conv_weight_output("d_projection_weight");
      b.d_projected = c.compute_input("d_projected");
    }
    op->backward(b);
    c.check("d_x", b.d_x);
    c.check_conv_weight("d_weight", b.d_weight);
    if (spec.bias) c.check("d_bias", b.d_bias);
    if (spec.projection) c.check_conv_weight("d_projection_weight", b.d_projection_weight);
  }
  if (spec.preact) c.check_batch_norm(f.bn);
}

void check_bn_relu_pool(Backend& backend, GoldenCase& c) {
  const auto pool = c.value<std::string>("pool"), shortcut = c.value<std::string>("shortcut", "none");
  BnReluPoolSpec spec{
      .mode = c.mode(),
      .views = c.value<int>("views"),
      .batch = c.value<int>("batch"),
      .height = c.value<int>("height"),
      .width = c.value<int>("width"),
      .channels = c.value<int>("channels"),
      .pool = pool == "none" ? Pool::none : (pool == "max2" ? Pool::max2 : Pool::global_average),
      .batch_norm = c.value<bool>("batch_norm", true),
      .relu = c.value<bool>("relu", true)};
  if (shortcut == "identity") spec.shortcut = Shortcut::identity;
  if (shortcut == "normalised") spec.shortcut = Shortcut::normalised;
  if (shortcut == "subsampled") {
    spec.shortcut = Shortcut::subsampled;
    spec.shortcut_height = c.value<int>("shortcut_height");
    spec.shortcut_width = c.value<int>("shortcut_width");
    spec.shortcut_channels = c.value<int>("shortcut_channels");
  }
  const bool train = spec.mode == Mode::train, joins = spec.shortcut != Shortcut::none,
             normalised = spec.shortcut == Shortcut::normalised;
  const std::string of_shortcut = "shortcut_bn/";
  const auto op = backend.make_bn_relu_pool(spec);
  void* saved = c.memory(op->saved_bytes());
  void* workspace = c.memory(op->workspace_bytes());
  BnReluPoolForward f{.y = c.compute_output("y"),
                      .x = c.compute_input("x"),
                      .bn = spec.batch_norm ? c.batch_norm() : BatchNorm{},
                      .saved = saved,
                      .workspace = workspace};
  if (train && spec.batch_norm) f.x_stats = c.master_input("x_stats");
  if (joins) f.shortcut = c.compute_input("shortcut");
  if (normalised) f.shortcut_bn = c.batch_norm(of_shortcut);
  if (train && normalised) f.shortcut_stats = c.master_input("shortcut_stats");
  op->forward(f);
  c.check("y", f.y);
  if (train) {
    BnReluPoolBackward b{.d_x = c.compute_output("d_x"),
                         .bn = f.bn,
                         .shortcut_bn = f.shortcut_bn,
                         .d_y = c.compute_input("d_y"),
                         .x = f.x,
                         .x_stats = f.x_stats,
                         .shortcut = f.shortcut,
                         .shortcut_stats = f.shortcut_stats,
                         .saved = saved,
                         .workspace = workspace};
    // As networks do it: where the shapes are the same, the shortcut's gradient lies over d_y.
    if (joins) b.d_shortcut = spec.shortcut == Shortcut::subsampled ? c.compute_output("d_shortcut") : b.d_y;
    op->backward(b);
    c.check("d_x", b.d_x);
    if (joins) c.check("d_shortcut", b.d_shortcut);
  }
  if (spec.batch_norm) c.check_batch_norm(f.bn);
  if (normalised) c.check_batch_norm(f.shortcut_bn, of_shortcut);
}

void check_linear(Backend& backend, GoldenCase& c) {
  const LinearSpec spec{.views = c.value<int>("views"),
                        .batch = c.value<int>("batch"),
                        .in_features = c.value<int>("in_features"),
                        .out_features = c.value<int>("out_features"),
                        .stats = c.value<bool>("stats")};
  const auto op = backend.make_linear(spec);
  void* workspace = c.memory(op->workspace_bytes());
  LinearForward f{.y = c.compute_output("y"),
                  .x = c.compute_input("x"),
                  .weight = c.weight_input("weight"),
                  .bias = c.master_input("bias"),
                  .workspace = workspace};
  if (spec.stats) f.y_stats = c.master_output("y_stats");
  op->forward(f);
  c.check("y", f.y);
  if (spec.stats) c.check("y_stats", f.y_stats);
  const LinearBackward b{.d_x = c.compute_output("d_x"),
                         .d_weight = c.weight_output("d_weight"),
                         .d_bias = c.master_output("d_bias"),
                         .d_y = c.compute_input("d_y"),
                         .x = f.x,
                         .weight = f.weight,
                         .workspace = workspace};
  op->backward(b);
  c.check("d_x", b.d_x);
  c.check("d_weight", b.d_weight);
  c.check("d_bias", b.d_bias);
}

}  // namespace dpll::selftest
