// Shapes and recipes of augment: one table for comparisons of backends and benchmarks.
#pragma once

#include <vector>

#include "dpll/ops/augment.h"

namespace dpll::test {

struct AugmentCase {
  const char* name;
  AugmentSpec spec;
  bool ordered = true;     // BatchRows::order is given
  bool benchmark = false;  // a real size: timed, not run by the tests
};

inline AugmentSpec augment_spec(int views, int batch, int height, int width, int channels, ViewRecipe weak,
                                ViewRecipe strong) {
  return {.views = views,
          .batch = batch,
          .height = height,
          .width = width,
          .channels = channels,
          .weak = weak,
          .strong = strong,
          .mean = {0.485F, 0.456F, 0.406F, 0.5F},
          .std = {0.229F, 0.224F, 0.225F, 0.5F}};
}

inline ViewRecipe policy_recipe(AugmentPolicy policy, bool cutout_after = false) {
  const bool rand = policy == AugmentPolicy::randaugment;
  return {.flip = true,
          .pad = 4,
          .cutout = 16,
          .policy = policy,
          .rand_n = rand ? 3 : 0,
          .rand_m = rand ? 20 : 0,
          .cutout_after = cutout_after};
}

inline ViewRecipe resized_recipe(double scale_low, double ratio_low, double ratio_high) {
  return {
      .flip = true, .crop = CropKind::resized, .resized = resized_crop(scale_low, 1, ratio_low, ratio_high)};
}

inline ViewRecipe colour_recipe(ViewRecipe recipe, const ColourJitter& jitter, float grey) {
  recipe.jitter = jitter;
  recipe.grey = grey;
  return recipe;
}

inline std::vector<AugmentCase> small_augment_cases() {
  const ViewRecipe weak = {true, 4, 0}, strong = {true, 4, 16};
  const ColourJitter pico = {0.8F, 0.4F, 0.4F, 0.4F, 0.1F}, wild = {1, 1.2F, 0.8F, 1.5F, 0.5F};
  ViewRecipe black_border = policy_recipe(AugmentPolicy::randaugment);
  black_border.padding = CropPadding::zero;
  return {
      {"cifar", augment_spec(3, 8, 32, 32, 3, weak, strong)},
      {"fashion", augment_spec(3, 8, 28, 28, 1, weak, strong)},
      {"svhn", augment_spec(3, 8, 32, 32, 3, {}, {false, 0, 20})},
      {"cifar_policy", augment_spec(3, 12, 32, 32, 3, weak, policy_recipe(AugmentPolicy::plcr_cifar))},
      {"svhn_policy", augment_spec(3, 12, 32, 32, 3, {}, policy_recipe(AugmentPolicy::svhn))},
      {"article_policy",
       augment_spec(3, 12, 28, 28, 1, weak, policy_recipe(AugmentPolicy::autoaugment_cifar))},
      {"randaugment", augment_spec(3, 12, 32, 32, 3, weak, policy_recipe(AugmentPolicy::randaugment))},
      {"cutout_after", augment_spec(3, 12, 28, 28, 1, weak, policy_recipe(AugmentPolicy::plcr_cifar, true))},
      {"policy_odd_image", augment_spec(5, 12, 9, 6, 3, policy_recipe(AugmentPolicy::svhn),
                                        policy_recipe(AugmentPolicy::randaugment, true))},
      {"policy_single_pixel", augment_spec(4, 12, 1, 1, 3, {true, 0, 0}, {.policy = AugmentPolicy::svhn})},
      {"evaluation", augment_spec(1, 5, 32, 32, 3, {}, {}), false},
      {"single_pixel", augment_spec(2, 3, 1, 1, 1, {true, 0, 0}, {true, 0, 1})},
      {"odd_everything", augment_spec(4, 7, 5, 7, 2, {true, 3, 1}, {true, 4, 3})},
      {"black_border", augment_spec(3, 12, 28, 32, 3, colour_recipe(weak, wild, 0.5F), black_border)},
      {"black_border_4_channels",
       augment_spec(2, 7, 9, 6, 4, {.flip = true, .pad = 5, .padding = CropPadding::zero}, weak)},
      {"pico",
       augment_spec(3, 12, 32, 32, 3, colour_recipe(resized_recipe(0.2, 3.0 / 4, 4.0 / 3), pico, 0.2F),
                    colour_recipe(policy_recipe(AugmentPolicy::plcr_cifar, true), pico, 0.5F))},
      {"resized_grey_odd", augment_spec(3, 12, 29, 17, 1, resized_recipe(0.08, 3.0 / 4, 4.0 / 3),
                                        colour_recipe(resized_recipe(0.9, 3, 4), wild, 0.1F))},
      {"resized_single_pixel",
       augment_spec(2, 3, 1, 1, 2, resized_recipe(0.08, 1, 1), resized_recipe(1, 2, 3))},
      // Two images and the block's scratch: almost 48 KiB of shared memory, and the 99 KiB of the smallest
      // GPU.
      {"shared_48_kib", augment_spec(2, 1, 254, 29, 3, weak, policy_recipe(AugmentPolicy::plcr_cifar))},
      {"shared_99_kib", augment_spec(2, 1, 254, 63, 3, weak, policy_recipe(AugmentPolicy::plcr_cifar))},
      {"largest_padding", augment_spec(2, 5, 9, 6, 4, {true, 5, 0}, {false, 5, 64})},
  };
}

inline std::vector<AugmentCase> benchmark_augment_cases() {
  const ViewRecipe weak = {true, 4, 0}, strong = {true, 4, 16};
  return {
      {"64x3 CIFAR", augment_spec(3, 64, 32, 32, 3, weak, strong), true, true},
      {"64x3 CIFAR with its policy",
       augment_spec(3, 64, 32, 32, 3, weak, policy_recipe(AugmentPolicy::plcr_cifar)), true, true},
      {"64x3 Fashion-MNIST", augment_spec(3, 64, 28, 28, 1, weak, strong), true, true},
  };
}

}  // namespace dpll::test
