#include "report/view_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "augment/colour_draw.h"
#include "augment/policy_draw.h"
#include "augment/view_draw.h"

namespace dpll {
namespace {

// The changes of colours and the policy's operations for `view` of `sample` in epoch 0.
std::vector<std::string> fired_ops(std::uint64_t seed, int sample, int view, const ViewRecipe& recipe,
                                   const ImageSet& images) {
  const int height = static_cast<int>(images.height), width = static_cast<int>(images.width);
  const ViewKey key{seed, 0, static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(view)};
  PhiloxStream stream = view_stream(key);
  draw_view(stream, recipe, height, width);
  ColourDraw colours;
  draw_colours(colours, key, recipe.jitter, recipe.grey);
  const PolicyDraw draw = draw_policy(stream, prepare_policy(recipe, height, width));
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(colours.count + draw.count));
  for (int i = 0; i < colours.count; ++i) names.emplace_back(op_name(colours.settings[i].op));
  for (int i = 0; i < draw.count; ++i) names.emplace_back(op_name(draw.ops[i].op));
  return names;
}

std::string class_of(const DataSet& data, std::size_t sample) {
  if (!data.train.has_labels() || data.train.labels[sample] < 0) return "";
  return data.class_names.at(static_cast<std::size_t>(data.train.labels[sample]));
}

}  // namespace

report::ContactSheet view_sheet(const RunConfig& config, const ViewSetup& setup, const DataSet& data,
                                int most, Backend& host) {
  const ImageSet& train = data.train;
  const int samples = static_cast<int>(std::min<std::int64_t>(most, train.count));
  const int views = views_of(config);
  report::ContactSheet sheet;
  sheet.height = static_cast<int>(train.height);
  sheet.width = static_cast<int>(train.width);
  sheet.channels = static_cast<int>(train.channels);

  AugmentSpec spec{.views = views,
                   .batch = samples,
                   .height = sheet.height,
                   .width = sheet.width,
                   .channels = sheet.channels,
                   .weak = setup.weak,
                   .strong = setup.strong};
  spec.std.fill(1);  // with mean 0: pixel / 255
  const auto image_size = static_cast<std::size_t>(train.image_bytes());
  std::vector<float> values(static_cast<std::size_t>(views) * static_cast<std::size_t>(samples) * image_size);
  const StepState step{.seed = config.run.seed};
  std::vector<std::uint8_t> originals(
      train.pixels.begin(),
      train.pixels.begin() + static_cast<std::ptrdiff_t>(samples) * train.image_bytes());
  host.make_augment(spec)->run(
      {.images = {values.data(), DType::f32, {views * samples, train.height, train.width, train.channels}},
       .pixels = {originals.data(), DType::u8, {samples, train.height, train.width, train.channels}},
       .rows = {.step = &step, .order = {}}});

  sheet.headings = {"original", "weak view"};
  for (int view = 1; view < views; ++view) sheet.headings.push_back(fmt::format("strong view {}", view));
  for (int sample = 0; sample < samples; ++sample) {
    const auto index = static_cast<std::size_t>(sample);
    const std::uint8_t* original = originals.data() + index * image_size;
    std::vector<report::SheetCell>& row = sheet.rows.emplace_back();
    row.push_back({{original, original + image_size}, {class_of(data, index)}});
    for (int view = 0; view < views; ++view) {
      const float* from = values.data() + static_cast<std::size_t>(view * samples + sample) * image_size;
      report::SheetCell& cell = row.emplace_back();
      cell.pixels.resize(image_size);
      std::transform(from, from + image_size, cell.pixels.begin(),
                     [](float value) { return static_cast<std::uint8_t>(std::lround(value * 255)); });
      cell.lines = fired_ops(config.run.seed, sample, view, view == 0 ? setup.weak : setup.strong, train);
    }
  }
  return sheet;
}

}  // namespace dpll
