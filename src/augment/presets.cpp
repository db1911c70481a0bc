#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "data/catalogue.h"
#include "dpll/core/check.h"
#include "dpll/views.h"

namespace dpll {
namespace {

double end_of(const std::vector<double>& ends, std::size_t which, double preset) {
  return ends.empty() ? preset : ends.at(which);
}

// The parts of a recipe that weak and strong views set in keys of the same kind.
void add_crop_and_colours(ViewRecipe& recipe, const RunConfig::Views& views, CropKind crop, double jitter,
                          double grey) {
  recipe.padding = views.crop_padding;
  recipe.crop = crop;
  if (crop == CropKind::resized) {
    recipe.pad = 0;
    recipe.resized = resized_crop(end_of(views.crop_scale, 0, 0.08), end_of(views.crop_scale, 1, 1),
                                  end_of(views.crop_ratio, 0, 3.0 / 4), end_of(views.crop_ratio, 1, 4.0 / 3));
  }
  if (jitter > 0) {
    recipe.jitter = {static_cast<float>(jitter), static_cast<float>(views.jitter_brightness),
                     static_cast<float>(views.jitter_contrast), static_cast<float>(views.jitter_saturation),
                     static_cast<float>(views.jitter_hue)};
  }
  recipe.grey = static_cast<float>(grey);
}

ViewRecipe recipe_of(ViewPolicy policy, int pad, int cutout) {
  ViewRecipe recipe;
  if (policy == ViewPolicy::flip_crop || policy == ViewPolicy::flip_crop_cutout) {
    recipe.flip = true;
    recipe.pad = pad;
  }
  if (policy == ViewPolicy::cutout || policy == ViewPolicy::flip_crop_cutout) recipe.cutout = cutout;
  return recipe;
}

std::array<float, kMaxImageChannels> per_channel(const std::vector<double>& configured,
                                                 const std::vector<double>& preset, int channels,
                                                 const char* key) {
  const auto count = static_cast<std::size_t>(channels);
  if (!configured.empty() && configured.size() != count) {
    fail(ExitCode::config,
         "[views] {} has {} value{}, but the images have {} channel{}: give one per channel", key,
         configured.size(), configured.size() == 1 ? "" : "s", channels, channels == 1 ? "" : "s");
  }
  const std::vector<double>& values = configured.empty() ? preset : configured;
  DPLL_CHECK(values.size() == 1 || values.size() == count, "preset of {} values for {} channels",
             values.size(), channels);
  std::array<float, kMaxImageChannels> result{};
  for (std::size_t c = 0; c < count; ++c) {
    const double value = values[values.size() == 1 ? 0 : c];
    result[c] = static_cast<float>(value);
    if (!std::isfinite(result[c])) {
      fail(ExitCode::config, "[views] {} = {} of channel {} is not a finite float32 number", key, value, c);
    }
  }
  return result;
}

ViewSetup feature_views_of(const RunConfig::Views& views) {
  const auto recipe = [](const std::optional<double>& noise, const std::optional<double>& dropout,
                         const FeatureRecipe& preset) {
    return FeatureRecipe{noise ? static_cast<float>(*noise) : preset.noise,
                         dropout ? static_cast<float>(*dropout) : preset.dropout};
  };
  ViewSetup setup;
  setup.weak_features = recipe(views.weak_noise, views.weak_feature_dropout, {});
  setup.strong_features =
      recipe(views.strong_noise, views.strong_feature_dropout, {.noise = 0.2F, .dropout = 0.1F});
  return setup;
}

}  // namespace

bool takes_features(const RunConfig& config, std::int64_t height, std::int64_t width) {
  const SampleKind samples = dataset_row(config.data.dataset).samples;
  return samples == SampleKind::features || (samples == SampleKind::either && height == 1 && width == 1);
}

ViewSetup resolve_views(const RunConfig& config, int height, int width, int channels) {
  if (takes_features(config, height, width)) return feature_views_of(config.views);
  if (channels < 1 || channels > kMaxImageChannels) {
    fail(ExitCode::data, "images have {} channels, 1 to {} are supported", channels, kMaxImageChannels);
  }
  const ViewPreset& preset = dataset_row(config.data.dataset).views;
  const int pad = config.views.pad.value_or(preset.pad);
  const int cutout = config.views.cutout.value_or(preset.cutout);
  if (pad < 0) fail(ExitCode::config, "[views] pad = {} is negative", pad);
  if (cutout < 0) fail(ExitCode::config, "[views] cutout = {} is negative", cutout);

  ViewSetup setup;
  setup.weak = recipe_of(config.views.weak_policy.value_or(preset.weak), pad, cutout);
  setup.strong = recipe_of(config.views.strong_policy.value_or(preset.strong), pad, cutout);
  setup.strong.cutout_after = config.views.cutout_after;
  const RunConfig::Views& views = config.views;
  add_crop_and_colours(setup.weak, views, views.weak_crop, views.weak_jitter, views.weak_grey);
  add_crop_and_colours(setup.strong, views, views.strong_crop, views.strong_jitter, views.strong_grey);
  // If the user sets strong_policy, no part of the preset's recipe is used.
  const AugmentPolicy from_preset = config.views.strong_policy ? AugmentPolicy::none : preset.policy;
  setup.strong.policy = config.views.policy.value_or(from_preset);
  if (setup.strong.policy == AugmentPolicy::randaugment) {
    setup.strong.rand_n = config.views.rand_n;
    setup.strong.rand_m = config.views.rand_m;
  }
  if (setup.strong.policy != AugmentPolicy::none && channels != 1 && channels != 3) {
    fail(ExitCode::config, "[views] policy = {} needs images of 1 or 3 channels, not {}",
         to_string(setup.strong.policy), channels);
  }
  const bool colours = std::max(setup.weak.jitter.probability, setup.strong.jitter.probability) > 0 ||
                       std::max(setup.weak.grey, setup.strong.grey) > 0;
  if (colours && channels != 1 && channels != 3) {
    fail(ExitCode::config, "[views] colour jitter and grey need images of 1 or 3 channels, not {}", channels);
  }
  const int side = std::min(height, width);
  if (std::max(setup.weak.pad, setup.strong.pad) >= side) {
    fail(ExitCode::config, "[views] pad = {} does not fit images of {} x {} pixels: padding must be below {}",
         pad, height, width, side);
  }
  setup.mean = per_channel(config.views.mean, preset.mean, channels, "mean");
  setup.std = per_channel(config.views.std, preset.std, channels, "std");
  for (int c = 0; c < channels; ++c) {
    const float std = setup.std[static_cast<std::size_t>(c)];
    if (std <= 0) fail(ExitCode::config, "[views] std = {} of channel {} must be above 0", std, c);
  }
  return setup;
}

}  // namespace dpll
