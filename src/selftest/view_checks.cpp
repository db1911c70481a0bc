// Compares whole views with those of Pillow for the same draws.
#include <zlib.h>

#include <cmath>

#include "backend/host_copy.h"
#include "selftest/embedded_goldens.h"
#include "selftest/golden_checks.h"

namespace dpll::selftest {
namespace {

// The weak view is the image, the strong one has `recipe`; nothing is normalised.
AugmentSpec spec_of(const std::vector<std::int64_t>& shape, const ViewRecipe& recipe) {
  AugmentSpec spec;
  spec.views = 2;
  spec.batch = static_cast<int>(shape[0]);
  spec.height = static_cast<int>(shape[1]);
  spec.width = static_cast<int>(shape[2]);
  spec.channels = static_cast<int>(shape[3]);
  spec.strong = recipe;
  spec.std = {1, 1, 1, 1};
  return spec;
}

class ViewCheck {
 public:
  ViewCheck(Backend& backend, const SafetensorsFile& file) : backend_(backend), file_(file) {}

  // Images `kind` of the file, and the check sums of their strong views in several epochs.
  void run(const std::string& kind, const std::string& name, const ViewRecipe& recipe, GoldenResult& result) {
    const std::string images_key = kind + "/images", key = fmt::format("{}/views/{}", kind, name);
    const AugmentSpec spec = spec_of(file_.entry(images_key).shape, recipe);
    const std::int64_t values = std::int64_t{spec.height} * spec.width * spec.channels;
    const Shape images{spec.batch, spec.height, spec.width, spec.channels};
    const Shape views{2 * std::int64_t{spec.batch}, spec.height, spec.width, spec.channels};
    const auto augment = backend_.make_augment(spec);
    const Buffer pixels = backend_.allocate(static_cast<std::size_t>(images.elements()), "golden images");
    const DType type = backend_.compute_dtype();
    const Buffer out = backend_.allocate(static_cast<std::size_t>(views.elements()) * size_of(type), "views");
    const Buffer step_memory = backend_.allocate(sizeof(StepState), "a step's state");
    const AugmentCall call{.images = out.tensor(type, views),
                           .pixels = pixels.tensor(DType::u8, images),
                           .rows = {.step = static_cast<const StepState*>(step_memory.data()), .order = {}}};
    backend_.copy_in(call.pixels, file_.get<std::uint8_t>(images_key).data());
    const std::vector<std::int32_t> want = file_.get<std::int32_t>(key);
    for (std::size_t epoch = 0; epoch * static_cast<std::size_t>(spec.batch) < want.size(); ++epoch) {
      const StepState step{.seed = std::stoull(file_.metadata().at("seed")),
                           .epoch = static_cast<std::uint32_t>(epoch)};
      backend_.copy_in(step_memory.tensor(DType::u8, {static_cast<std::int64_t>(sizeof step)}), &step);
      augment->run(call);
      backend_.synchronize();
      const std::vector<float> got = read_floats(backend_, call.images);
      for (std::int64_t i = 0; i < spec.batch; ++i) {
        const auto at = epoch * static_cast<std::size_t>(spec.batch) + static_cast<std::size_t>(i);
        if (crc_of(got.data() + (spec.batch + i) * values, values) == want.at(at)) continue;
        result.complaints.push_back(
            fmt::format("{}: {}, epoch {}, image {} is not Pillow's", backend_.name(), key, epoch, i));
      }
    }
    ++result.cases;
  }

 private:
  // A 16-bit value is within half a pixel step of the unrounded value.
  static std::int32_t crc_of(const float* view, std::int64_t values) {
    std::vector<std::uint8_t> pixels;
    for (std::int64_t i = 0; i < values; ++i) {
      pixels.push_back(static_cast<std::uint8_t>(std::lround(view[i] * 255)));
    }
    return static_cast<std::int32_t>(crc32(0, pixels.data(), static_cast<uInt>(pixels.size())));
  }

  Backend& backend_;
  const SafetensorsFile& file_;
};

}  // namespace

GoldenResult check_views(Backend& backend) {
  const SafetensorsFile file = SafetensorsFile::parse(embedded_golden("augment"), "golden values of augment");
  ViewCheck check(backend, file);
  GoldenResult result;
  for (const char* kind : {"rgb", "grey"}) {
    ViewRecipe recipe = {.flip = true, .pad = 4, .cutout = 16, .policy = AugmentPolicy::plcr_cifar};
    check.run(kind, "plcr_cifar", recipe, result);
    recipe.cutout_after = true;
    check.run(kind, "plcr_cifar_cutout_after", recipe, result);
    recipe.cutout_after = false;
    recipe.policy = AugmentPolicy::svhn;
    check.run(kind, "svhn", recipe, result);
    recipe.policy = AugmentPolicy::autoaugment_cifar;
    check.run(kind, "autoaugment_cifar", recipe, result);

    recipe = {.flip = true, .pad = 4, .padding = CropPadding::zero};
    check.run(kind, "zero_padding", recipe, result);
    recipe.jitter = {1, 1.2F, 0.8F, 1.5F, 0.5F};
    recipe.grey = 0.5F;
    check.run(kind, "colours", recipe, result);
    recipe = {.flip = true, .crop = CropKind::resized, .resized = resized_crop(0.08, 1, 3.0 / 4, 4.0 / 3)};
    check.run(kind, "resized", recipe, result);
    recipe.resized = resized_crop(0.9, 1, 3, 4);  // no attempt fits
    check.run(kind, "resized_fallback", recipe, result);
    recipe.resized = resized_crop(0.2, 1, 3.0 / 4, 4.0 / 3);
    recipe.jitter = {0.8F, 0.4F, 0.4F, 0.4F, 0.1F};
    recipe.grey = 0.2F;
    check.run(kind, "pico", recipe, result);
  }
  return result;
}

}  // namespace dpll::selftest
