// The variants of the CUDA backend's preact_conv, with loops in place of the library's fused convolutions:
// each computes the reference's results wherever it can be used, and the tuner takes the fastest right one.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/half.h"
#include "emulation/emulated_backend.h"
#include "support/doctest.h"
#include "support/parity.h"
#include "support/preact_conv_tolerances.h"

using namespace dpll;
using namespace dpll::test;
using emulated_cuda::FusedLoops;

namespace {

constexpr const char* kVariants[] = {"plain with reductions", "statistics", "statistics with reductions",
                                     "activated", "activated with reductions"};

// Inputs that are f16 numbers wherever the operation reads f16, with kinks of ReLU away from the new x.
Tensors rounded_to_f16(Tensors inputs, int views) {
  for (const char* name : {"x", "weight", "projection_weight", "residual", "d_y", "d_projected", "d_x"}) {
    const auto found = inputs.find(name);
    if (found == inputs.end()) continue;
    for (double& value : found->second.values) {
      value = static_cast<double>(f16_to_float(float_to_f16(static_cast<float>(value))));
    }
  }
  if (inputs.count("bn.beta") != 0) {
    const HostTensor& x = inputs.at("x");
    inputs.at("bn.beta") = beta_away_from_kinks(x, view_stats(x, views), inputs.at("bn.gamma"), views);
  }
  return inputs;
}

}  // namespace

TEST_CASE("preact_conv: every variant on the emulated CUDA backend agrees with the reference") {
  constexpr std::uint64_t kSeed = 501;
  for (const char* variant : kVariants) {
    const int before = emulated_cuda::fused_passes_run();
    const auto f32 = emulated_cuda::make_forced_backend(DType::f32, variant),
               f16 = emulated_cuda::make_forced_backend(DType::f16, variant);
    int cases = 0;
    for (const PreactConvCase& c : small_preact_conv_cases()) {
      const Tensors inputs = preact_conv_inputs(c, kSeed);
      const auto run_on = [&](const Tensors& of) {
        return
            [&](Backend& backend) { return run_preact_conv(backend, c, of, Passes::forward_and_backward); };
      };
      const int runs = emulated_cuda::fused_passes_run();
      const std::string name = fmt::format("preact_conv {}, {}", c.name, variant);
      const std::string wrong =
          cuda_complaint(*f32, name, kSeed, run_on(inputs), preact_conv_tolerances(c, inputs, kEpsilon));
      CHECK_MESSAGE(wrong.empty(), wrong);
      if (emulated_cuda::fused_passes_run() == runs) continue;  // the variant does not do this
      ++cases;
      if (c.spec.mode == Mode::eval) continue;
      const Tensors halves = rounded_to_f16(inputs, c.spec.views);
      const std::string wrong_in_f16 = cuda_complaint(*f16, name + ", f16", kSeed, run_on(halves),
                                                      preact_conv_tolerances(c, halves, 0x1p-10));
      CHECK_MESSAGE(wrong_in_f16.empty(), wrong_in_f16);
    }
    CAPTURE(variant);
    CHECK(emulated_cuda::fused_passes_run() > before);
    CHECK(cases >= 6);
  }
}

TEST_CASE("preact_conv: a variant that reads x alone saves nothing") {
  PreactConvSpec spec = small_preact_conv_cases().back().spec;
  spec = {
      .views = 2, .batch = 2, .height = 4, .width = 4, .in_channels = 8, .out_channels = 8, .stats = true};
  CHECK(emulated_cuda::make_forced_backend(DType::f16, "plain")->make_preact_conv(spec)->saved_bytes() ==
        2 * 2 * 4 * 4 * 8 * 2);
  CHECK(emulated_cuda::make_forced_backend(DType::f16, "activated")->make_preact_conv(spec)->saved_bytes() ==
        0);
}

TEST_CASE("preact_conv: the tuner takes the fastest variant whose results are right") {
  const PreactConvSpec spec = {
      .views = 2, .batch = 2, .height = 6, .width = 5, .in_channels = 8, .out_channels = 16, .stats = true};
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    CAPTURE(name_of(type));
    std::vector<std::string> warnings;
    const auto warn = [&](const std::string& text) { warnings.push_back(text); };
    const auto right = emulated_cuda::make_tuned_backend(type, FusedLoops::right, warn);
    right->make_preact_conv(spec);
    for (const std::string& warning : warnings) FAIL_CHECK(warning);
    CHECK(has(right->tuning_choices(), "\"name\": \"activated with reductions\""));

    const auto wrong = emulated_cuda::make_tuned_backend(type, FusedLoops::wrong, warn);
    wrong->make_preact_conv(spec);
    CHECK(has(wrong->tuning_choices(), "\"name\": \"plain\""));
    // Each fused pass is found out by itself, so that no variant has the passes that it needs.
    for (const char* pass :
         {"forward_statistics", "activated_forward_statistics", "data_gradient_reductions"}) {
      CHECK_MESSAGE(std::any_of(warnings.begin(), warnings.end(),
                                [&](const std::string& warning) {
                                  return has(warning, fmt::format("tuning of {} of ", pass)) &&
                                         has(warning, "'loops' is left out: ");
                                }),
                    pass);
    }
  }
}

// 65,536 values in float32, one after the other: their variance is off by a hundredth or more where the mean
// is 30 deviations.
TEST_CASE("preact_conv: the tuner leaves out variants whose variance cancels") {
  const PreactConvSpec spec = {.views = 1,
                               .batch = 64,
                               .height = 32,
                               .width = 32,
                               .in_channels = 2,
                               .out_channels = 1,
                               .kernel = 1,
                               .pad = 0,
                               .preact = false,
                               .stats = true,
                               .input_gradient = false};
  std::vector<std::string> warnings;
  const auto chosen = [&](FusedLoops fused) {
    const auto backend = emulated_cuda::make_tuned_backend(
        DType::f16, fused, [&](const std::string& text) { warnings.push_back(text); });
    backend->make_preact_conv(spec);
    const nlohmann::json json = nlohmann::json::parse(backend->tuning_choices());
    for (const auto& [key, choice] : json.at("choices").items()) {
      if (key.starts_with("preact_conv of")) return choice.at("name").get<std::string>();
    }
    return std::string();
  };
  CHECK(chosen(FusedLoops::right) == "statistics");
  CHECK(warnings.empty());
  CHECK(chosen(FusedLoops::sums_in_order) == "plain");
  CHECK(std::any_of(warnings.begin(), warnings.end(), [](const std::string& warning) {
    return warning.starts_with("tuning of forward_statistics of ") &&
           warning.find("'loops' is left out: ") != std::string::npos;
  }));
}

TEST_CASE("preact_conv: variants of every case pass the tuner's check in every type") {
  std::vector<std::string> warnings;
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    const auto backend = emulated_cuda::make_tuned_backend(
        type, FusedLoops::right, [&](const std::string& text) { warnings.push_back(text); });
    for (const PreactConvCase& c : small_preact_conv_cases()) backend->make_preact_conv(c.spec);
  }
  for (const std::string& warning : warnings) FAIL_CHECK(warning);
}
