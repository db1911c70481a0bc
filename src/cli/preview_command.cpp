// What training sees: the views of the first epoch, as the CPU backend makes them.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "augment/policy_draw.h"
#include "augment/view_draw.h"
#include "cli/commands.h"
#include "config/text.h"
#include "dpll/backend.h"
#include "dpll/chart.h"
#include "dpll/data.h"
#include "dpll/views.h"
#include "report/contact_sheet.h"

namespace dpll {
namespace {

// The operations of the policy that `view` of `sample` goes through in epoch 0.
std::vector<std::string> fired_ops(std::uint64_t seed, int sample, int view, const ViewRecipe& recipe,
                                   const ImageSet& images) {
  const int height = static_cast<int>(images.height), width = static_cast<int>(images.width);
  PhiloxStream stream =
      view_stream(seed, 0, static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(view));
  draw_view(stream, recipe, height, width);
  const PolicyDraw draw = draw_policy(stream, prepare_policy(recipe, height, width));
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(draw.count));
  for (int i = 0; i < draw.count; ++i) names.emplace_back(op_name(draw.ops[i].op));
  return names;
}

std::string class_of(const DataSet& data, std::size_t sample) {
  if (!data.train.has_labels() || data.train.labels[sample] < 0) return "";
  return data.class_names.at(static_cast<std::size_t>(data.train.labels[sample]));
}

}  // namespace

int preview_command(const PreviewArguments& arguments) {
  const RunConfig& config = arguments.config;
  DataSet data = load_data(config);
  for (const std::string& warning : data.warnings)
    std::fprintf(stderr, "warning: %s\n", escaped(warning).c_str());
  ImageSet& train = data.train;
  if (train.tabular()) fail(ExitCode::config, "preview draws images; data.dataset = tabular has none");
  const int samples = static_cast<int>(std::min<std::int64_t>(arguments.samples, train.count));
  const int views = views_of(config);
  report::ContactSheet sheet;
  sheet.height = static_cast<int>(train.height);
  sheet.width = static_cast<int>(train.width);
  sheet.channels = static_cast<int>(train.channels);
  const ViewSetup setup = resolve_views(config, sheet.height, sheet.width, sheet.channels);

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
  make_cpu_backend({.threads = 1})
      ->make_augment(spec)
      ->run({.images = {values.data(),
                        DType::f32,
                        {views * samples, train.height, train.width, train.channels}},
             .pixels = {train.pixels.data(),
                        DType::u8,
                        {train.count, train.height, train.width, train.channels}},
             .rows = {.step = &step, .order = {}}});

  sheet.headings = {"original", "weak view"};
  for (int view = 1; view < views; ++view) sheet.headings.push_back(fmt::format("strong view {}", view));
  for (int sample = 0; sample < samples; ++sample) {
    const auto index = static_cast<std::size_t>(sample);
    const std::uint8_t* original = train.pixels.data() + index * image_size;
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
  const report::Canvas canvas = report::draw_contact_sheet(sheet);
  write_png(arguments.out, canvas.width(), canvas.height(), 3, canvas.pixels().data());
  std::printf("%d views of %d images, written to %s\n", views, samples, escaped(arguments.out).c_str());
  return 0;
}

}  // namespace dpll
