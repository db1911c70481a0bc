// Applies one operation of the augmentation policies to one image, to compare it with Pillow's.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "augment/image_op.h"
#include "backend/cpu/image_ops.h"
#include "data/image_file.h"
#include "dpll/chart.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/text.h"

using namespace dpll;

namespace {

constexpr const char* kFooter =
    "Magnitudes, with their sign:\n"
    "  shearX, shearY           pixels a row or column; positive: to the left, up\n"
    "  translateX, translateY   part of the width, height, to the nearest pixel; positive: left, up\n"
    "  rotate                   degrees, counter-clockwise\n"
    "  brightness, color, contrast, sharpness   Pillow's enhancement factor is 1 + magnitude\n"
    "  posterize                bits that stay, 1 to 8\n"
    "  solarize                 values from here on are inverted, 0 to 256\n"
    "  identity, autocontrast, equalize, invert   none";

struct Image {
  ImageShape shape = {};
  std::vector<std::uint8_t> pixels;
};

bool is_png(const std::string& path) {
  return path.ends_with(".png");
}

Image read_png(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  const ImageSet image = decode_image(bytes, path, 0);
  return {{static_cast<int>(image.height), static_cast<int>(image.width), static_cast<int>(image.channels)},
          image.pixels};
}

ImageOp parse_op(const std::string& name) {
  if (const auto op = op_named(name)) return *op;
  std::string names;
  for (int i = 0; i < kImageOps; ++i)
    names += std::string(i > 0 ? ", " : "") + op_name(static_cast<ImageOp>(i));
  fail(ExitCode::usage, "no operation '{}'; there are {}", name, names);
}

int run(int argc, char** argv) {
  CLI::App app{"Applies one operation of the augmentation policies to an image", "augment_op"};
  app.footer(kFooter);
  std::string name, in, out;
  double magnitude = 0;
  ImageShape raw{0, 0, 3};
  app.add_option("--op", name, "Operation, for example shearX")->required();
  const CLI::Option* given = app.add_option("--magnitude", magnitude, "See below");
  app.add_option("--in", in, "Grey or RGB image: .png, or the bytes of [height, width, channels]")
      ->required();
  app.add_option("--out", out, "File to write: .png, or else the bytes")->required();
  app.add_option("--width", raw.width, "Of an image that is not a PNG");
  app.add_option("--height", raw.height, "Of an image that is not a PNG");
  app.add_option("--channels", raw.channels, "Of an image that is not a PNG")->check(CLI::IsMember({1, 3}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fail(ExitCode::usage, "{} (augment_op --help explains)", error.what());
  }
  const ImageOp op = parse_op(name);
  const bool takes_magnitude =
      op_is_signed(op) || op == ImageOp::rotate || op == ImageOp::posterize || op == ImageOp::solarize;
  if (takes_magnitude && given->count() == 0) fail(ExitCode::usage, "{} needs --magnitude", name);

  const Image image = is_png(in) ? read_png(in) : Image{raw, read_file(in)};
  const ImageShape& shape = image.shape;
  if (shape.height < 1 || shape.width < 1 || std::max(shape.height, shape.width) > kMaxOpSide) {
    fail(ExitCode::usage, "{}: {} x {} pixels; give --width and --height of 1 to {}", in, shape.width,
         shape.height, kMaxOpSide);
  }
  const std::int64_t size = std::int64_t{shape.height} * shape.width * shape.channels;
  if (static_cast<std::int64_t>(image.pixels.size()) != size) {
    fail(ExitCode::data, "{}: {} bytes, not {} x {} x {}", in, image.pixels.size(), shape.height, shape.width,
         shape.channels);
  }
  std::vector<std::uint8_t> result(image.pixels.size());
  cpu::apply_op(result.data(), image.pixels.data(), prepare_op(op, magnitude, shape.height, shape.width),
                shape);
  if (is_png(out)) {
    write_png(out, shape.width, shape.height, shape.channels, result.data());
  } else {
    write_file_atomically(out, result.data(), result.size());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "augment_op: %s\n", dpll::escaped(error.what()).c_str());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "augment_op: unexpected: %s\n", dpll::escaped(error.what()).c_str());
    return static_cast<int>(ExitCode::internal);
  }
}
