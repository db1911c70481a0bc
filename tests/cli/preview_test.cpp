// `dpll_engine preview` and tools/augment_op.

#include "backend/cpu/image_ops.h"
#include "cli/engine_runs.h"
#include "data/image_file.h"
#include "dpll/chart.h"

using namespace dpll;
using namespace dpll::test;

namespace {

std::vector<std::uint8_t> read_png(const std::string& path, int& width, int& height, int& channels) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  const dpll::ImageSet image = dpll::decode_image(bytes, path, 0);
  width = static_cast<int>(image.width);
  height = static_cast<int>(image.height);
  channels = static_cast<int>(image.channels);
  return image.pixels;
}

#ifdef DPLL_AUGMENT_OP  // not in builds without the tools
ProcessResult augment_op(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), DPLL_AUGMENT_OP);
  return run_process(arguments);
}
#endif

}  // namespace

TEST_CASE("preview writes a sheet of originals and views") {
  const EngineRuns runs;
  const std::string out = runs.file("views.png");
  require_done(run_process(engine({"preview", runs.config(), "--out", out, "--samples", "3"})));
  int width = 0, height = 0, channels = 0;
  const std::vector<std::uint8_t> sheet = read_png(out, width, height, channels);
  // Original, weak and two strong views; every row has a line of text for the class.
  CHECK(width == 16 + 4 * (4 * 28 + 16));
  CHECK(height == 16 + 19 + 3 * (4 * 28 + 19 + 16));
  CHECK(channels == 3);
  const std::vector<std::uint8_t> images = read_file(kFashionFolder + "/train-images-idx3-ubyte");
  bool same = true;
  for (int y = 0; y < 4 * 28; ++y) {
    for (int x = 0; x < 4 * 28; ++x) {
      const std::size_t at = static_cast<std::size_t>((35 + y) * width + 16 + x) * 3;
      same = same && sheet[at] == images[static_cast<std::size_t>(16 + y / 4 * 28 + x / 4)];
    }
  }
  CHECK(same);
  CHECK(run_process(engine({"preview", runs.config(), "--out", out, "--samples", "0"})).exit_code == 2);
  CHECK(run_process(engine({"preview", runs.config()})).exit_code == 2);
}

TEST_CASE("a run with resized crops, black borders, colour jitter and grey views") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  const std::vector<std::string> views = {
      "views.weak_crop=resized", "views.crop_scale=0.2,1", "views.weak_jitter=0.8",    "views.weak_grey=0.2",
      "views.crop_padding=zero", "views.strong_jitter=1",  "views.jitter_contrast=0.7"};
  require_done(runs.train("plain"));
  require_done(runs.train("views", views));
  CHECK(read_file(runs.run_file("plain", "model.safetensors")) !=
        read_file(runs.run_file("views", "model.safetensors")));
  const std::string config = read_text(runs.run_file("views", "config.ini"));
  CHECK(has(config, "weak_crop = resized\n"));
  CHECK(has(config, "crop_scale = 0.2, 1\n"));
  CHECK(has(config, "crop_padding = zero\n"));
  // The resolved configuration repeats the run.
  require_done(run_process(engine({runs.run_file("views", "config.ini"), "--set", "run.name=again"})));
  CHECK(read_file(runs.run_file("again", "model.safetensors")) ==
        read_file(runs.run_file("views", "model.safetensors")));
  const ProcessResult refused = runs.train("refused", {"views.weak_policy=none", "views.weak_crop=resized"});
  CHECK(refused.exit_code == 3);
  CHECK(has(refused.err, "views.weak_crop=resized: weak_crop = resized needs a weak_policy with a crop"));
}

#ifdef DPLL_AUGMENT_OP
TEST_CASE("augment_op gives the library's pixels, as PNG and as bytes") {
  const TempDir temp;
  const std::vector<std::uint8_t> file = read_file(DPLL_TEST_FIXTURES "/cifar-10-batches-bin/test_batch.bin");
  std::vector<std::uint8_t> image(32 * 32 * 3);  // the fixture's first record: label, planes R, G, B
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = file[1 + i % 3 * 1024 + i / 3];
  std::vector<std::uint8_t> want(image.size());
  cpu::apply_op(want.data(), image.data(), prepare_op(ImageOp::shear_x, -0.3, 32, 32), {32, 32, 3});
  write_png(temp.file("a.png"), 32, 32, 3, image.data());
  write_text(temp.file("a.raw"), {image.begin(), image.end()});

  const ProcessResult png = augment_op(
      {"--op", "shearX", "--magnitude", "-0.3", "--in", temp.file("a.png"), "--out", temp.file("b.png")});
  require_done(png);
  int width = 0, height = 0, channels = 0;
  CHECK(read_png(temp.file("b.png"), width, height, channels) == want);
  CHECK(channels == 3);
  require_done(augment_op({"--op", "shearX", "--magnitude", "-0.3", "--in", temp.file("a.raw"), "--out",
                           temp.file("b.raw"), "--width", "32", "--height", "32"}));
  CHECK(read_file(temp.file("b.raw")) == want);

  const ProcessResult unknown =
      augment_op({"--op", "shearZ", "--in", temp.file("a.png"), "--out", temp.file("c.png")});
  CHECK(unknown.exit_code == 2);
  CHECK(lines_of(unknown.err).size() == 1);
  CHECK(has(unknown.err, "no operation 'shearZ'; there are identity, shearX, "));
  CHECK(augment_op({"--op", "shearX", "--in", temp.file("a.png"), "--out", temp.file("c.png")}).exit_code ==
        2);
  CHECK(augment_op({"--op", "invert", "--in", temp.file("a.raw"), "--out", temp.file("c.png"), "--width",
                    "31", "--height", "32"})
            .exit_code == 4);
  CHECK(!std::filesystem::exists(temp.file("c.png")));
}
#else
TEST_CASE("augment_op gives the library's pixels, as PNG and as bytes") {
  DPLL_SKIP("this build has no tools (DPLL_TOOLS=OFF)");
}
#endif
