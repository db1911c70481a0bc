// augment on the CPU against an independent, step by step implementation, NumPy's and torch's values, and the
// distributions that its draws must have.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "augment/view_draw.h"
#include "backend/cpu/cpu_ops.h"
#include "support/doctest.h"
#include "support/host_tensor.h"
#include "support/threads.h"

using namespace dpll;
using dpll::test::tensor_of;
using dpll::test::ThreadCount;

namespace {

struct Images {
  int count, height, width, channels;
  std::vector<std::uint8_t> pixels;

  Images(int n, int h, int w, int c)
      : count(n), height(h), width(w), channels(c), pixels(static_cast<std::size_t>(n * h * w * c)) {
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = static_cast<std::uint8_t>(philox4x32(99, static_cast<std::uint32_t>(i), 0, 0, 0).v[0]);
    }
  }
  std::int64_t values() const { return std::int64_t{height} * width * channels; }
  std::uint8_t at(std::int64_t n, int y, int x, int c) const {
    return pixels[static_cast<std::size_t>(((n * height + y) * width + x) * channels + c)];
  }
};

AugmentSpec spec_of(const Images& images, int views, int batch) {
  AugmentSpec spec;
  spec.views = views;
  spec.batch = batch;
  spec.height = images.height;
  spec.width = images.width;
  spec.channels = images.channels;
  spec.weak = {true, 4, 0};
  spec.strong = {true, 4, 16};
  spec.mean = {0.485F, 0.456F, 0.406F, 0.1307F};
  spec.std = {0.229F, 0.224F, 0.225F, 0.3081F};
  return spec;
}

std::vector<float> run_augment(const AugmentSpec& spec, Images& images, const StepState& step,
                               std::vector<std::int32_t>* order) {
  std::vector<float> out(static_cast<std::size_t>(spec.views * spec.batch * images.values()), -77.0F);
  AugmentCall call;
  call.images = tensor_of(out, {spec.views * spec.batch, spec.height, spec.width, spec.channels});
  call.pixels = tensor_of(images.pixels, {images.count, images.height, images.width, images.channels});
  call.rows.step = &step;
  if (order != nullptr) call.rows.order = tensor_of(*order);
  cpu::make_augment(spec)->run(call);
  return out;
}

// One view as the specification words it: whole arrays, one step after the other, the five words taken
// straight from the generator's blocks.
std::vector<float> naive_view(const AugmentSpec& spec, const Images& images, const StepState& step,
                              std::uint32_t sample, std::uint32_t view) {
  const ViewRecipe& recipe = view == 0 ? spec.weak : spec.strong;
  const std::uint32_t purpose_view = 3u | (view << 16);
  const Philox4 first = philox4x32(step.seed, 0, sample, step.epoch, purpose_view);
  const Philox4 second = philox4x32(step.seed, 1, sample, step.epoch, purpose_view);
  const std::array<std::uint32_t, 5> words = {first.v[0], first.v[1], first.v[2], first.v[3], second.v[0]};
  const auto below = [](std::uint32_t word, int n) {
    return static_cast<int>(std::floor(static_cast<double>(word) / 0x1p32 * n));
  };
  const int h = spec.height, w = spec.width, c = spec.channels, pad = recipe.pad;
  const bool mirrored = recipe.flip && words[0] >= 0x80000000u;

  const int padded_width = w + 2 * pad;
  std::vector<std::uint8_t> padded(static_cast<std::size_t>((h + 2 * pad) * padded_width * c));
  const auto padded_at = [&](int y, int x, int channel) -> std::uint8_t& {
    const std::int64_t pixel = std::int64_t{y} * padded_width + x;
    return padded[static_cast<std::size_t>(pixel * c + channel)];
  };
  for (int y = -pad; y < h + pad; ++y) {
    for (int x = -pad; x < w + pad; ++x) {
      const int from_y = y < h ? std::abs(y) : 2 * h - 2 - y;
      const int from_x = x < w ? std::abs(x) : 2 * w - 2 - x;
      for (int k = 0; k < c; ++k) {
        padded_at(y + pad, x + pad, k) = images.at(sample, from_y, mirrored ? w - 1 - from_x : from_x, k);
      }
    }
  }
  const int top = below(words[1], 2 * pad + 1), left = below(words[2], 2 * pad + 1);
  const int centre_y = below(words[3], h), centre_x = below(words[4], w);
  std::vector<float> out;
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      const bool black = std::abs(2 * (y - centre_y) + 1) <= recipe.cutout - recipe.cutout % 2 &&
                         std::abs(2 * (x - centre_x) + 1) <= recipe.cutout - recipe.cutout % 2;
      for (int k = 0; k < c; ++k) {
        const auto channel = static_cast<std::size_t>(k);
        const float pixel = black ? 0.0F : static_cast<float>(padded_at(top + y, left + x, k)) / 255.0F;
        out.push_back((pixel - spec.mean[channel]) / spec.std[channel]);
      }
    }
  }
  return out;
}

void check_against_naive(const AugmentSpec& spec, Images& images, const StepState& step,
                         std::vector<std::int32_t>* order) {
  const std::vector<float> out = run_augment(spec, images, step, order);
  for (int i = 0; i < spec.views * spec.batch; ++i) {
    const auto position = static_cast<std::size_t>(step.first) + static_cast<std::size_t>(i % spec.batch);
    const auto sample = order != nullptr ? static_cast<std::uint32_t>((*order)[position])
                                         : static_cast<std::uint32_t>(position);
    const std::vector<float> want =
        naive_view(spec, images, step, sample, static_cast<std::uint32_t>(i / spec.batch));
    const bool equal =
        std::memcmp(out.data() + i * images.values(), want.data(), want.size() * sizeof(float)) == 0;
    CHECK_MESSAGE(equal, "image ", i, " of ", images.height, "x", images.width, "x", images.channels);
  }
}

// Upper limit of a chi-square variable with `df` degrees of freedom, exceeded about once in 10,000 tables
// (Wilson and Hilferty's approximation).
double chi_square_limit(double df) {
  const double a = 2.0 / (9.0 * df);
  return df * std::pow(1.0 - a + 3.72 * std::sqrt(a), 3);
}

double chi_square(const std::vector<int>& counts) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double expected = total / static_cast<double>(counts.size());
  double sum = 0;
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

void check_uniform(const std::vector<int>& counts, const char* what) {
  CHECK_MESSAGE(chi_square(counts) < chi_square_limit(static_cast<double>(counts.size()) - 1), what);
}

ViewDraw draw(const ViewRecipe& recipe, std::uint64_t seed, std::uint32_t epoch, std::uint32_t sample,
              std::uint32_t view) {
  PhiloxStream stream = view_stream({seed, epoch, sample, view});
  return draw_view(stream, recipe, 32, 32);
}

}  // namespace

TEST_CASE("augment equals a step by step implementation") {
  StepState step;
  step.seed = 0x123456789ABCDEFull;
  step.epoch = 3;
  step.first = 2;
  std::vector<std::int32_t> order = {0, 1, 9, 4, 2, 7, 5, 11, 3, 8};
  for (const int channels : {1, 2, 3, 4}) {
    Images images(12, 28, 32, channels);
    AugmentSpec spec = spec_of(images, 3, 8);
    check_against_naive(spec, images, step, &order);
    spec.strong = {false, 0, 20};
    spec.weak = {};
    check_against_naive(spec, images, step, &order);
    spec.strong = {true, 27, 100};
    spec.weak = {true, 0, 2};
    check_against_naive(spec, images, step, nullptr);
  }
  Images odd(12, 5, 7, 3);
  AugmentSpec spec = spec_of(odd, 5, 7);
  spec.weak = {true, 3, 0};
  spec.strong = {true, 4, 2};
  check_against_naive(spec, odd, step, &order);
  Images dot(12, 1, 1, 1);
  spec = spec_of(dot, 2, 3);
  spec.weak = {true, 0, 0};
  spec.strong = {true, 0, 2};
  check_against_naive(spec, dot, step, &order);
}

TEST_CASE("a view depends on seed, epoch, sample and view number alone") {
  Images images(20, 32, 32, 3);
  StepState step;
  step.seed = 5;
  step.epoch = 7;
  std::vector<std::int32_t> order(20);
  std::iota(order.begin(), order.end(), 0);
  const AugmentSpec whole = spec_of(images, 3, 20);
  const std::vector<float> want = run_augment(whole, images, step, nullptr);
  CHECK(run_augment(whole, images, step, &order) == want);

  const auto view_of = [&](const std::vector<float>& all, int batch, int view, int row) {
    const auto begin = all.begin() + (view * batch + row) * images.values();
    return std::vector<float>(begin, begin + images.values());
  };
  std::vector<std::int32_t> shuffled = {3, 17, 0, 11, 19, 5, 8, 1, 14, 2, 16, 4, 10, 18, 6, 13, 7, 9, 12, 15};
  for (const int threads : {1, 2, 3, 7}) {
    const ThreadCount scope(threads);
    CHECK(run_augment(whole, images, step, &order) == want);
    for (const int batch : {1, 6, 20}) {
      step.first = static_cast<std::uint32_t>(20 - batch);
      const std::vector<float> got = run_augment(spec_of(images, 3, batch), images, step, &shuffled);
      step.first = 0;
      for (int view = 0; view < 3; ++view) {
        for (int row = 0; row < batch; ++row) {
          const int sample = *(shuffled.end() - batch + row);
          CHECK(view_of(got, batch, view, row) == view_of(want, 20, view, sample));
        }
      }
    }
  }
  StepState other = step;
  other.epoch = 8;
  CHECK(run_augment(whole, images, other, nullptr) != want);
  other = step;
  other.seed = 6;
  CHECK(run_augment(whole, images, other, nullptr) != want);
  CHECK(view_of(want, 20, 1, 4) != view_of(want, 20, 2, 4));
}

TEST_CASE("reflect padding is NumPy's") {
  // numpy.pad(numpy.arange(20).reshape(5, 4), 3, mode="reflect")
  const std::vector<std::vector<int>> golden = {{15, 14, 13, 12, 13, 14, 15, 14, 13, 12},
                                                {11, 10, 9, 8, 9, 10, 11, 10, 9, 8},
                                                {7, 6, 5, 4, 5, 6, 7, 6, 5, 4},
                                                {3, 2, 1, 0, 1, 2, 3, 2, 1, 0},
                                                {7, 6, 5, 4, 5, 6, 7, 6, 5, 4},
                                                {11, 10, 9, 8, 9, 10, 11, 10, 9, 8},
                                                {15, 14, 13, 12, 13, 14, 15, 14, 13, 12},
                                                {19, 18, 17, 16, 17, 18, 19, 18, 17, 16},
                                                {15, 14, 13, 12, 13, 14, 15, 14, 13, 12},
                                                {11, 10, 9, 8, 9, 10, 11, 10, 9, 8},
                                                {7, 6, 5, 4, 5, 6, 7, 6, 5, 4}};
  ViewDraw at_corner{};
  at_corner.crop_y = at_corner.crop_x = -3;
  ViewDraw mirrored = at_corner;
  mirrored.flip = true;
  for (int y = 0; y < 11; ++y) {
    for (int x = 0; x < 10; ++x) {
      const int want = golden[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)];
      CHECK(source_y(at_corner, y, 5) * 4 + source_x(at_corner, x, 4) == want);
      CHECK(source_y(mirrored, y, 5) * 4 + 3 - source_x(mirrored, x, 4) == want);
    }
  }
  // numpy.pad([0, 1], 1, mode="reflect")
  const std::vector<int> pair = {1, 0, 1, 0};
  for (int i = 0; i < 4; ++i) CHECK(reflect(i - 1, 2) == pair[static_cast<std::size_t>(i)]);
}

TEST_CASE("flips, crop offsets and Cutout centres are uniform and independent") {
  const ViewRecipe recipe = {true, 4, 1};  // a box of one pixel shows its centre
  std::vector<int> flip(2), offset_y(9), offset_x(9), centre_y(32), centre_x(32);
  std::vector<int> flip_offset(2 * 9), offsets(81), centres(32 * 32), offset_centre(9 * 32);
  std::vector<int> flip_views(4), offset_views(81), offset_epochs(81);
  const auto count = [](std::vector<int>& table, int cell) { ++table[static_cast<std::size_t>(cell)]; };
  for (std::uint32_t sample = 0; sample < 50000; ++sample) {
    for (std::uint32_t epoch = 0; epoch < 4; ++epoch) {
      const ViewDraw d = draw(recipe, 20, epoch, sample, 1);
      REQUIRE(std::min(d.crop_y, d.crop_x) >= -4);
      REQUIRE(std::max(d.crop_y, d.crop_x) <= 4);
      REQUIRE((d.box_y1 == d.box_y0 + 1 && d.box_x1 == d.box_x0 + 1));
      REQUIRE((d.box_y0 >= 0 && d.box_y1 <= 32 && d.box_x0 >= 0 && d.box_x1 <= 32));
      count(flip, d.flip ? 1 : 0);
      count(offset_y, d.crop_y + 4);
      count(offset_x, d.crop_x + 4);
      count(centre_y, d.box_y0);
      count(centre_x, d.box_x0);
      count(flip_offset, (d.flip ? 9 : 0) + d.crop_y + 4);
      count(offsets, (d.crop_y + 4) * 9 + d.crop_x + 4);
      count(centres, d.box_y0 * 32 + d.box_x0);
      count(offset_centre, (d.crop_x + 4) * 32 + d.box_y0);
      const ViewDraw other_view = draw(recipe, 20, epoch, sample, 2);
      count(flip_views, (d.flip ? 2 : 0) + (other_view.flip ? 1 : 0));
      count(offset_views, (d.crop_y + 4) * 9 + other_view.crop_y + 4);
      const ViewDraw next_epoch = draw(recipe, 20, epoch + 4, sample, 1);
      count(offset_epochs, (d.crop_y + 4) * 9 + next_epoch.crop_y + 4);
    }
  }
  check_uniform(flip, "flip");
  check_uniform(offset_y, "offset y");
  check_uniform(offset_x, "offset x");
  check_uniform(centre_y, "centre y");
  check_uniform(centre_x, "centre x");
  check_uniform(flip_offset, "flip and offset");
  check_uniform(offsets, "both offsets");
  check_uniform(centres, "both centres");
  check_uniform(offset_centre, "offset and centre");
  check_uniform(flip_views, "flips of two views");
  check_uniform(offset_views, "offsets of two views");
  check_uniform(offset_epochs, "offsets of two epochs");
  // The limit itself rejects a small bias: 1% more in one of nine cells, at this number of draws.
  std::vector<int> biased(9, 200000 / 9);
  biased[4] += 1000;
  CHECK(chi_square(biased) > chi_square_limit(8));
}

TEST_CASE("Cutout boxes have the asked-for side inside and are cut off at the edges") {
  CHECK(clipped_interval(8, 16, 32).begin == 8);
  CHECK(clipped_interval(8, 16, 32).end == 24);
  bool seen_smallest = false, seen_full = false;
  for (std::uint32_t sample = 0; sample < 4000; ++sample) {
    const ViewDraw centre = draw({true, 4, 1}, 1, 0, sample, 1);
    const ViewDraw box = draw({true, 4, 16}, 1, 0, sample, 1);
    CHECK(box.box_y0 == std::max(0, centre.box_y0 - 8));
    CHECK(box.box_y1 == std::min(32, centre.box_y0 + 8));
    CHECK(box.box_x0 == std::max(0, centre.box_x0 - 8));
    CHECK(box.box_x1 == std::min(32, centre.box_x0 + 8));
    const int area = (box.box_y1 - box.box_y0) * (box.box_x1 - box.box_x0);
    CHECK(area >= 8 * 8);
    CHECK(area <= 16 * 16);
    seen_smallest |= area == 8 * 8;
    seen_full |= area == 16 * 16;
    const ViewDraw odd = draw({false, 0, 3}, 1, 0, sample, 1);
    if (centre.box_y0 > 0 && centre.box_y0 < 31) CHECK(odd.box_y1 - odd.box_y0 == 3);
    const ViewDraw none = draw({true, 4, 0}, 1, 0, sample, 1);
    CHECK(!in_box(none, 0, 0));
    CHECK(none.box_y0 == none.box_y1);
    // Switching a step off does not move the others' draws.
    CHECK((none.flip == box.flip && none.crop_y == box.crop_y && none.crop_x == box.crop_x));
    const ViewDraw whole = draw({false, 0, 64}, 1, 0, sample, 1);
    CHECK((whole.box_y0 == 0 && whole.box_y1 == 32 && whole.box_x0 == 0 && whole.box_x1 == 32));
  }
  CHECK(seen_smallest);
  CHECK(seen_full);
}

TEST_CASE("the geometry takes the first five words, the policies' words follow") {
  PhiloxStream stream = view_stream({3, 1, 2, 1});
  draw_view(stream, {}, 32, 32);
  CHECK(stream.next() == philox4x32(3, 1, 2, 1, 3u | (1u << 16)).v[kFirstPolicyWord % 4]);
}

TEST_CASE("normalisation is torch's float32 for all 256 values") {
  // crc32 of the 256 little-endian float32 values of
  // arange(256, dtype=uint8).to(float32).div(255).sub(mean).div(std), and those of 1 and 255.
  struct Golden {
    float mean, std;
    unsigned long crc;
    float one, last;
  };
  const std::vector<Golden> goldens = {{0.485F, 0.229F, 0x3fb36a59ul, -0x1.0ce656p+1F, 0x1.1fdc3ap+1F},
                                       {0.456F, 0.224F, 0xc0f51e01ul, -0x1.02549ep+1F, 0x1.36db6ep+1F},
                                       {0.406F, 0.225F, 0x8060ccfful, -0x1.c979d4p+0F, 0x1.51eb86p+1F},
                                       {0.5F, 0.5F, 0xb62c8544ul, -0x1.fbfbfcp-1F, 0x1p+0F},
                                       {0.1307F, 0.3081F, 0x8524d6e0ul, -0x1.a55c4p-2F, 0x1.69267ap+1F}};
  Images images(1, 16, 16, 1);
  std::iota(images.pixels.begin(), images.pixels.end(), std::uint8_t{0});
  for (const Golden& golden : goldens) {
    AugmentSpec spec = spec_of(images, 1, 1);
    spec.weak = {};
    spec.mean = {golden.mean};
    spec.std = {golden.std};
    const std::vector<float> out = run_augment(spec, images, StepState{}, nullptr);
    CHECK(out[1] == golden.one);
    CHECK(out[255] == golden.last);
    CHECK(crc32(0, reinterpret_cast<const Bytef*>(out.data()), 256 * sizeof(float)) == golden.crc);
  }
}

TEST_CASE("augment refuses rows outside of the data") {
  Images images(4, 8, 8, 1);
  AugmentSpec spec = spec_of(images, 1, 4);
  StepState step;
  std::vector<std::int32_t> order = {0, 1, 2, 4};
  CHECK_THROWS_AS(run_augment(spec, images, step, &order), Error);
  order = {0, 1, -1, 3};
  CHECK_THROWS_AS(run_augment(spec, images, step, &order), Error);
  order = {3, 2, 1, 0};
  CHECK_NOTHROW(run_augment(spec, images, step, &order));
  step.first = 1;
  CHECK_THROWS_AS(run_augment(spec, images, step, &order), Error);
  CHECK_THROWS_AS(run_augment(spec, images, step, nullptr), Error);
  spec.strong.pad = 8;
  CHECK_THROWS_AS(cpu::make_augment(spec), Error);
}
