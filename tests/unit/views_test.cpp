#include "dpll/views.h"

#include <string>

#include "dpll/core/check.h"
#include "support/doctest.h"

using namespace dpll;

namespace {

RunConfig config_of(const std::string& kind) {
  RunConfig config;
  config.data.dataset = kind;
  return config;
}

// The message of the Error(config) that resolve_views() must throw.
std::string refusal(const RunConfig& config, int height, int width, int channels,
                    ExitCode code = ExitCode::config) {
  try {
    resolve_views(config, height, width, channels);
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  FAIL_CHECK("not refused");
  return "";
}

bool views_contain(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

const ViewRecipe kNothing;
const ViewRecipe kFlipCrop = {true, 4, 0};
const ViewRecipe kFlipCropCutout = {true, 4, 16};
const ViewRecipe kCifarStrong = {true, 4, 16, AugmentPolicy::plcr_cifar};

}  // namespace

TEST_CASE("presets are those of the published experiments") {
  for (const char* kind : {"cifar10", "cifar100"}) {
    const ViewSetup cifar = resolve_views(config_of(kind), 32, 32, 3);
    CHECK(cifar.weak == kFlipCrop);
    CHECK(cifar.strong == kCifarStrong);
    CHECK(cifar.mean == std::array<float, 4>{0.485F, 0.456F, 0.406F, 0.0F});
    CHECK(cifar.std == std::array<float, 4>{0.229F, 0.224F, 0.225F, 0.0F});
  }
  const ViewSetup svhn = resolve_views(config_of("svhn"), 32, 32, 3);
  CHECK(svhn.weak == kNothing);
  CHECK(svhn.strong == ViewRecipe{false, 0, 20, AugmentPolicy::svhn});
  CHECK(svhn.mean == std::array<float, 4>{0.5F, 0.5F, 0.5F, 0.0F});
  CHECK(svhn.std == std::array<float, 4>{0.5F, 0.5F, 0.5F, 0.0F});

  const ViewSetup fashion = resolve_views(config_of("fashion_mnist"), 28, 28, 1);
  CHECK(fashion.weak == kFlipCrop);
  CHECK(fashion.strong == kFlipCropCutout);
  CHECK(fashion.mean[0] == 0.1307F);
  CHECK(fashion.std[0] == 0.3081F);
  const ViewSetup kmnist = resolve_views(config_of("kmnist"), 28, 28, 1);
  CHECK(kmnist.weak == kFlipCrop);
  CHECK(kmnist.strong == kFlipCropCutout);
  CHECK(kmnist.mean[0] == 0.5F);
  CHECK(kmnist.std[0] == 0.5F);

  for (const char* kind : {"idx", "safetensors", "folder"}) {
    for (const int channels : {1, 3, 4}) {
      const ViewSetup own = resolve_views(config_of(kind), 28, 32, channels);
      CHECK(own.weak == kFlipCrop);
      CHECK(own.strong == kFlipCropCutout);
      for (int c = 0; c < channels; ++c) CHECK(own.mean[static_cast<std::size_t>(c)] == 0.5F);
      for (int c = 0; c < channels; ++c) CHECK(own.std[static_cast<std::size_t>(c)] == 0.5F);
    }
  }
}

TEST_CASE("the configuration overrides the preset") {
  RunConfig config = config_of("svhn");
  config.views.weak_policy = ViewPolicy::flip_crop;
  config.views.strong_policy = ViewPolicy::flip_crop_cutout;
  ViewSetup setup = resolve_views(config, 32, 32, 3);
  CHECK(setup.weak == kFlipCrop);
  CHECK(setup.strong == ViewRecipe{true, 4, 20});

  config.views.pad = 2;
  config.views.cutout = 8;
  setup = resolve_views(config, 32, 32, 3);
  CHECK(setup.weak == ViewRecipe{true, 2, 0});
  CHECK(setup.strong == ViewRecipe{true, 2, 8});

  config.views.weak_policy = ViewPolicy::none;
  config.views.strong_policy = ViewPolicy::cutout;
  config.views.mean = {0.1, 0.2, 0.3};
  config.views.std = {0.4, 0.5, 0.6};
  setup = resolve_views(config, 32, 32, 3);
  CHECK(setup.weak == kNothing);
  CHECK(setup.strong == ViewRecipe{false, 0, 8});
  CHECK(setup.mean == std::array<float, 4>{0.1F, 0.2F, 0.3F, 0.0F});
  CHECK(setup.std == std::array<float, 4>{0.4F, 0.5F, 0.6F, 0.0F});

  config.views.pad = 0;
  config.views.cutout = 0;
  config.views.strong_policy = ViewPolicy::flip_crop_cutout;
  setup = resolve_views(config, 32, 32, 3);
  CHECK(setup.strong == ViewRecipe{true, 0, 0});
}

TEST_CASE(
    "the AutoAugment policy is the preset's, the user's, or none beside a strong_policy of the user's") {
  RunConfig config = config_of("cifar10");
  config.views.strong_policy = ViewPolicy::flip_crop;
  CHECK(resolve_views(config, 32, 32, 3).strong == kFlipCrop);
  config.views.policy = AugmentPolicy::svhn;
  CHECK(resolve_views(config, 32, 32, 3).strong == ViewRecipe{true, 4, 0, AugmentPolicy::svhn});
  CHECK(resolve_views(config, 32, 32, 3).weak == kFlipCrop);

  config = config_of("fashion_mnist");
  config.views.policy = AugmentPolicy::randaugment;
  config.views.rand_m = 14;
  config.views.cutout_after = true;
  CHECK(resolve_views(config, 28, 28, 1).strong ==
        ViewRecipe{true, 4, 16, AugmentPolicy::randaugment, 2, 14, true});
  config = config_of("cifar10");
  config.views.policy = AugmentPolicy::none;
  config.views.rand_m = 14;
  CHECK(resolve_views(config, 32, 32, 3).strong == kFlipCropCutout);

  config = config_of("safetensors");
  config.views.policy = AugmentPolicy::autoaugment_cifar;
  CHECK(views_contain(refusal(config, 32, 32, 4),
                      "policy = autoaugment_cifar needs images of 1 or 3 channels, not 4"));
}

TEST_CASE("crops and colours of each kind of view") {
  RunConfig config = config_of("cifar10");
  config.views.crop_padding = CropPadding::zero;
  config.views.weak_crop = CropKind::resized;
  config.views.weak_jitter = 0.8;
  config.views.strong_grey = 0.25;
  ViewSetup setup = resolve_views(config, 32, 32, 3);
  ViewRecipe weak = {.flip = true, .padding = CropPadding::zero};
  weak.crop = CropKind::resized;
  weak.resized = resized_crop(0.08, 1, 3.0 / 4, 4.0 / 3);  // torchvision's
  weak.jitter = {0.8F, 0.4F, 0.4F, 0.4F, 0.1F};            // PiCO's
  CHECK(setup.weak == weak);
  ViewRecipe strong = kCifarStrong;
  strong.padding = CropPadding::zero;
  strong.grey = 0.25F;
  CHECK(setup.strong == strong);

  config.views.crop_scale = {0.2, 0.9};
  config.views.crop_ratio = {1, 2};
  config.views.pad = 40;  // of the strong views, which have a shifted crop
  CHECK(views_contain(refusal(config, 32, 32, 3), "pad = 40"));
  config.views.strong_crop = CropKind::resized;
  setup = resolve_views(config, 32, 32, 3);
  CHECK(setup.strong.resized == resized_crop(0.2, 0.9, 1, 2));
  CHECK(setup.strong.pad == 0);

  config = config_of("safetensors");
  config.views.strong_jitter = 1;
  CHECK(views_contain(refusal(config, 32, 32, 4),
                      "colour jitter and grey need images of 1 or 3 channels, not 4"));
  config.views.strong_jitter = 0;
  config.views.weak_grey = 0.1;
  CHECK(views_contain(refusal(config, 32, 32, 2), "not 2"));
}

TEST_CASE("views that do not fit the images are refused with key and value") {
  RunConfig config = config_of("idx");
  config.views.pad = 28;
  CHECK(views_contain(refusal(config, 32, 28, 1), "pad = 28"));
  config.views.pad = 27;
  CHECK(resolve_views(config, 32, 28, 1).weak.pad == 27);
  config.views.pad = 28;
  config.views.weak_policy = ViewPolicy::none;
  config.views.strong_policy = ViewPolicy::cutout;
  CHECK(resolve_views(config, 32, 28, 1).weak.pad == 0);  // no crop, no padding
  config.views.pad = -1;
  CHECK(views_contain(refusal(config, 32, 28, 1), "pad = -1"));
  config.views.pad = 4;
  config.views.cutout = -3;
  CHECK(views_contain(refusal(config, 32, 28, 1), "cutout = -3"));

  config = config_of("cifar10");
  config.views.mean = {0.5};
  CHECK(views_contain(refusal(config, 32, 32, 3), "mean has 1 value, but the images have 3 channels"));
  config.views.mean = {0.5, 0.5, 0.5};
  config.views.std = {0.5, 0.5, 0.5, 0.5};
  CHECK(views_contain(refusal(config, 32, 32, 3), "std has 4 values"));
  config.views.std = {0.5, 0.0, 0.5};
  CHECK(views_contain(refusal(config, 32, 32, 3), "std = 0 of channel 1"));
  config.views.std = {0.5, 0.5, 1e300};
  CHECK(views_contain(refusal(config, 32, 32, 3), "std = 1e+300 of channel 2"));
  config.views.std = {};
  CHECK(views_contain(refusal(config_of("idx"), 32, 32, 5, ExitCode::data), "5 channels"));
}
