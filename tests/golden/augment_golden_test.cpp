// The operations of policies, and whole views, against Pillow's (tools/golden/make_augment_golden.py).
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <sstream>

#include "augment/resize.h"
#include "backend/cpu/image_ops.h"
#include "dpll/safetensors.h"
#include "selftest/golden_checks.h"
#include "support/doctest.h"

using namespace dpll;

namespace {

// Images [N, H, W, C] of one kind.
struct Images {
  std::int64_t count;
  ImageShape shape;
  std::vector<std::uint8_t> pixels;

  Images(const SafetensorsFile& file, const std::string& kind)
      : pixels(file.get<std::uint8_t>(kind + "/images")) {
    const std::vector<std::int64_t>& sides = file.entries().at(kind + "/images").shape;
    count = sides[0];
    shape = {static_cast<int>(sides[1]), static_cast<int>(sides[2]), static_cast<int>(sides[3])};
  }
  std::int64_t values() const { return std::int64_t{shape.height} * shape.width * shape.channels; }
  const std::uint8_t* image(std::int64_t i) const { return pixels.data() + i * values(); }
};

const SafetensorsFile& golden() {
  static const SafetensorsFile file = SafetensorsFile::read(DPLL_TEST_GOLDEN "/augment.safetensors");
  return file;
}

std::vector<ImageOp> golden_ops() {
  std::istringstream names(golden().metadata().at("ops"));
  std::vector<ImageOp> ops;
  for (std::string name; names >> name;) {
    REQUIRE(op_named(name).has_value());
    ops.push_back(*op_named(name));
  }
  return ops;
}

std::int32_t crc_of(const std::vector<std::uint8_t>& pixels) {
  return static_cast<std::int32_t>(crc32(0, pixels.data(), static_cast<uInt>(pixels.size())));
}

std::vector<std::uint8_t> applied(const Images& images, std::int64_t i, ImageOp op, double magnitude) {
  std::vector<std::uint8_t> result(static_cast<std::size_t>(images.values()));
  cpu::apply_op(result.data(), images.image(i),
                prepare_op(op, magnitude, images.shape.height, images.shape.width), images.shape);
  return result;
}

double signed_magnitude(ImageOp op, double magnitude, int negative) {
  return negative != 0 && (op_is_signed(op) || op == ImageOp::rotate) ? -magnitude : magnitude;
}

}  // namespace

TEST_CASE("magnitudes are numpy.linspace's") {
  const std::vector<ImageOp> ops = golden_ops();
  CHECK(ops.size() == 14);
  for (const int levels : {kPolicyLevels, kRandLevels}) {
    const std::vector<double> want = golden().get<double>(fmt::format("magnitudes/{}", levels));
    std::size_t i = 0;
    for (const ImageOp op : ops) {
      for (int level = 0; level < levels; ++level, ++i) {
        CHECK_MESSAGE(op_magnitude(op, level, levels) == want.at(i), op_name(op), " level ", level);
      }
    }
  }
}

TEST_CASE("operations on whole images kept from Pillow") {
  int compared = 0;
  std::istringstream kinds(golden().metadata().at("whole"));
  for (std::string kind_and_index; kinds >> kind_and_index;) {
    const std::size_t equals = kind_and_index.find('=');
    const std::string kind = kind_and_index.substr(0, equals);
    const std::int64_t index = std::stoll(kind_and_index.substr(equals + 1));
    const Images images(golden(), kind);
    for (const ImageOp op : golden_ops()) {
      for (const int level : {3, 9}) {
        for (const int negative : {0, 1}) {
          const std::string name = fmt::format("{}/{}/{}/{}", kind, op_name(op), level, negative ? "-" : "+");
          if (!golden().contains(name)) continue;
          ++compared;
          const double magnitude = signed_magnitude(op, op_magnitude(op, level, kPolicyLevels), negative);
          const std::vector<std::uint8_t> got = applied(images, index, op, magnitude);
          const std::vector<std::uint8_t> want = golden().get<std::uint8_t>(name);
          REQUIRE(got.size() == want.size());
          const auto bad = std::mismatch(got.begin(), got.end(), want.begin());
          const std::int64_t at = bad.first - got.begin();
          const int c = images.shape.channels, w = images.shape.width;
          CHECK_MESSAGE(bad.first == got.end(), name, " (magnitude ", magnitude, ", image ", index,
                        "): first differs at (y ", at / c / w, ", x ", at / c % w, ", channel ", at % c,
                        "): Pillow ", bad.first == got.end() ? 0 : *bad.second, ", here ",
                        bad.first == got.end() ? 0 : *bad.first);
        }
      }
    }
  }
  CHECK(compared == 2 * 2 * (9 * 2 + 5));
}

TEST_CASE("operations at every magnitude and sign on every kind of image, by checksum") {
  const std::vector<ImageOp> ops = golden_ops();
  for (const char* kind : {"rgb", "grey", "odd_rgb", "odd_grey"}) {
    const Images images(golden(), kind);
    for (const int levels : {kPolicyLevels, kRandLevels}) {
      const std::string name = fmt::format("{}/crc/{}", kind, levels);
      const std::vector<std::int32_t> want = golden().get<std::int32_t>(name);
      const std::int64_t count = golden().entries().at(name).shape.at(3);
      std::size_t at = 0;
      for (const ImageOp op : ops) {
        for (int level = 0; level < levels; ++level) {
          for (const int negative : {0, 1}) {
            const double magnitude = signed_magnitude(op, op_magnitude(op, level, levels), negative);
            for (std::int64_t i = 0; i < count; ++i, ++at) {
              CHECK_MESSAGE(crc_of(applied(images, i, op, magnitude)) == want.at(at), op_name(op),
                            " magnitude ", magnitude, " on ", kind, " image ", i);
            }
          }
        }
      }
      CHECK(at == want.size());
    }
  }
}

TEST_CASE("lines of every length up to 96 are enlarged as by Pillow") {
  const std::vector<std::int32_t> want = golden().get<std::int32_t>("resize/lines");
  REQUIRE(want.size() == 96);
  for (int outputs = 1; outputs <= 96; ++outputs) {
    std::vector<std::uint8_t> lines;
    for (int inputs = 1; inputs <= outputs; ++inputs) {
      std::vector<std::uint8_t> line;
      for (int k = 0; k < inputs; ++k) {
        line.push_back(static_cast<std::uint8_t>(k * k * 37 + k * 101 + inputs * 13 + outputs * 7));
      }
      for (int i = 0; i < outputs; ++i) {
        lines.push_back(resized_value(line.data(), 1, resize_taps(i, inputs, outputs)));
      }
    }
    CHECK_MESSAGE(crc_of(lines) == want[static_cast<std::size_t>(outputs - 1)], outputs, " pixels");
  }
}

TEST_CASE("hues are turned as by Pillow") {
  const std::vector<double> turns = golden().get<double>("hue/turns");
  const std::vector<std::int32_t> want = golden().get<std::int32_t>("hue/lattice");
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const OpSetting setting = prepare_op(ImageOp::hue, turns[i], 1, 1);
    std::vector<std::uint8_t> colours;
    for (int r = 0; r < 256; r += 5) {
      for (int g = 0; g < 256; g += 5) {
        for (int b = 0; b < 256; b += 5) {
          const std::uint8_t colour[3] = {static_cast<std::uint8_t>(r), static_cast<std::uint8_t>(g),
                                          static_cast<std::uint8_t>(b)};
          std::uint8_t turned[3];
          transform_pixel(turned, setting, colour, {1, 1, 3}, 0, 0);
          colours.insert(colours.end(), turned, turned + 3);
        }
      }
    }
    CHECK_MESSAGE(crc_of(colours) == want.at(i), turns[i], " turns");
  }
}

TEST_CASE("whole views are those of Pillow with the same draws") {
  const auto check = [](Backend& backend) {
    const selftest::GoldenResult result = selftest::check_views(backend);
    CHECK(result.cases == 18);
    for (const std::string& complaint : result.complaints) FAIL_CHECK(complaint);
  };
  check(*make_cpu_backend({.threads = 2}));
}
