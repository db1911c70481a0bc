// The tables of sub-policies, and that views draw from them as often as they should.
#include "augment/policy_draw.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "augment/colour_draw.h"
#include "augment/view_draw.h"
#include "dpll/core/check.h"
#include "support/doctest.h"

using namespace dpll;

namespace {

constexpr std::uint32_t kDraws = 1'000'000;
constexpr std::uint64_t kSeed = 31;

using Row = std::tuple<ImageOp, int, int, ImageOp, int, int>;
Row row_of(const SubPolicy& entry) {
  const PolicyStep &a = entry.steps[0], &b = entry.steps[1];
  return {a.op, a.tenths, a.level, b.op, b.tenths, b.level};
}

double identity_probability(std::span<const SubPolicy> table) {
  double sum = 0;
  for (const SubPolicy& entry : table) {
    sum += (10 - entry.steps[0].tenths) * (10 - entry.steps[1].tenths) / 100.0;
  }
  return sum / static_cast<double>(table.size());
}

// Exceeded by chance once in about 10,000 (Wilson and Hilferty's approximation).
double chi_square_limit(double df) {
  const double a = 2.0 / (9.0 * df);
  return df * std::pow(1.0 - a + 3.72 * std::sqrt(a), 3);
}

// Counts against probabilities that sum to 1; cells of probability 0 must be empty.
void check_counts(const std::vector<double>& counts, const std::vector<double>& probabilities,
                  const std::string& what) {
  REQUIRE(counts.size() == probabilities.size());
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  double chi_square = 0, cells = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * probabilities[i];
    if (expected == 0) {
      CHECK_MESSAGE(counts[i] == 0, what, " cell ", i);
      continue;
    }
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++cells;
  }
  if (cells > 1) CHECK_MESSAGE(chi_square < chi_square_limit(cells - 1), what, ": ", chi_square);
}

PhiloxStream stream_of(std::uint32_t sample) {
  PhiloxStream stream = view_stream({kSeed, 0, sample, 1});
  for (int i = 0; i < kFirstPolicyWord; ++i) stream.next();
  return stream;
}

}  // namespace

TEST_CASE("the tables have the published shape") {
  const std::span<const SubPolicy> cifar = sub_policies(AugmentPolicy::plcr_cifar);
  const std::span<const SubPolicy> article = sub_policies(AugmentPolicy::autoaugment_cifar);
  const std::span<const SubPolicy> svhn = sub_policies(AugmentPolicy::svhn);
  CHECK(cifar.size() == 97);
  CHECK(svhn.size() == 25);
  CHECK(article.size() == 25);
  CHECK(sub_policies(AugmentPolicy::none).empty());
  CHECK(sub_policies(AugmentPolicy::randaugment).empty());

  std::set<Row> distinct;
  for (const SubPolicy& entry : cifar) distinct.insert(row_of(entry));
  CHECK(distinct.size() == 92);
  for (std::size_t n = 20; n < 25; ++n) CHECK(row_of(cifar[n]) == row_of(cifar[n + 5]));
  CHECK((cifar[84].steps[0].tenths == 0 && cifar[84].steps[1].tenths == 0));
  for (std::size_t n = 0; n < 25; ++n) CHECK((row_of(cifar[n]) == row_of(article[n])) == (n != 16));
  CHECK(row_of(cifar[16]) == Row{ImageOp::equalize, 2, 8, ImageOp::equalize, 8, 4});
  CHECK(row_of(article[16]) == Row{ImageOp::equalize, 2, 8, ImageOp::equalize, 6, 4});
  CHECK(row_of(cifar[96]) == Row{ImageOp::equalize, 6, 9, ImageOp::equalize, 4, 4});
  CHECK(row_of(svhn[0]) == Row{ImageOp::shear_x, 9, 4, ImageOp::invert, 2, 3});
  CHECK(row_of(svhn[24]) == Row{ImageOp::shear_x, 7, 2, ImageOp::invert, 1, 5});
  CHECK(identity_probability(cifar) == doctest::Approx(0.270).epsilon(0.002));
  CHECK(identity_probability(svhn) == doctest::Approx(0.094).epsilon(0.005));
  for (const auto table : {cifar, svhn, article}) {
    for (const SubPolicy& entry : table) {
      for (const PolicyStep& step : entry.steps) {
        CHECK((step.tenths <= 10 && step.level < kPolicyLevels));
        CHECK(step.op != ImageOp::identity);
      }
    }
  }
}

TEST_CASE("names of operations lead back to them") {
  for (int i = 0; i < kImageOps; ++i) {
    const auto op = static_cast<ImageOp>(i);
    CHECK(op_named(op_name(op)) == op);
  }
  CHECK(!op_named("shearx").has_value());
  CHECK(!op_named("").has_value());
}

TEST_CASE("probabilities end where they should") {
  CHECK(!step_fires(0, 0));
  CHECK(step_fires(0, 1));
  CHECK(step_fires(0xFFFFFFFFu, 10));
  CHECK(step_fires(0x7FFFFFFFu, 5));
  CHECK(!step_fires(0x80000000u, 5));
}

TEST_CASE("sub-policies fire, and take their signs, as often as the tables say") {
  for (const AugmentPolicy which :
       {AugmentPolicy::plcr_cifar, AugmentPolicy::svhn, AugmentPolicy::autoaugment_cifar}) {
    CAPTURE(static_cast<int>(which));
    ViewRecipe recipe;
    recipe.policy = which;
    const PreparedPolicy policy = prepare_policy(recipe, 32, 32);
    const std::span<const SubPolicy> table = sub_policies(which);
    const std::size_t entries = table.size();
    std::vector<double> drawn(entries), fired(entries * 4), signs(entries * 4);
    double identities = 0;
    for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
      PhiloxStream words = stream_of(sample);
      const std::uint32_t n = words.next_below(static_cast<std::uint32_t>(entries));
      const std::uint32_t fire_1 = words.next(), sign_1 = words.next();
      const std::uint32_t fire_2 = words.next(), sign_2 = words.next();
      PhiloxStream stream = stream_of(sample);
      const PolicyDraw draw = draw_policy(stream, policy);
      // The same entry: what fired is what its row holds, in order.
      const bool first = step_fires(fire_1, table[n].steps[0].tenths);
      const bool second = step_fires(fire_2, table[n].steps[1].tenths);
      bool as_expected = draw.count == (first ? 1 : 0) + (second ? 1 : 0);
      if (first) {
        as_expected &= draw.ops[0].op == table[n].steps[0].op && draw.ops[0].level == table[n].steps[0].level;
      }
      if (second) as_expected &= draw.ops[draw.count - 1].op == table[n].steps[1].op;
      REQUIRE(as_expected);
      ++drawn[n];
      ++fired[n * 4 + (first ? 2 : 0) + (second ? 1 : 0)];
      ++signs[n * 4 + (sign_1 >> 31) * 2 + (sign_2 >> 31)];
      identities += draw.count == 0;
    }
    std::vector<double> uniform(entries, 1.0 / static_cast<double>(entries)), fire_shares, sign_shares;
    for (const SubPolicy& entry : table) {
      const double p = entry.steps[0].tenths / 10.0, q = entry.steps[1].tenths / 10.0;
      for (const double share : {(1 - p) * (1 - q), (1 - p) * q, p * (1 - q), p * q}) {
        fire_shares.push_back(share / static_cast<double>(entries));
        sign_shares.push_back(0.25 / static_cast<double>(entries));
      }
    }
    check_counts(drawn, uniform, "sub-policies");
    check_counts(fired, fire_shares, "sub-policies and what fires");
    check_counts(signs, sign_shares, "signs");
    const double p = identity_probability(table);
    CHECK(std::abs(identities / kDraws - p) < 4 * std::sqrt(p * (1 - p) / kDraws));
  }
}

TEST_CASE("signs reach operations that have one; rotate's is the policy's choice") {
  for (const AugmentPolicy which : {AugmentPolicy::plcr_cifar, AugmentPolicy::svhn,
                                    AugmentPolicy::autoaugment_cifar, AugmentPolicy::randaugment}) {
    ViewRecipe recipe;
    recipe.policy = which;
    recipe.rand_n = which == AugmentPolicy::randaugment ? 2 : 0;
    recipe.rand_m = which == AugmentPolicy::randaugment ? 9 : 0;
    const PreparedPolicy policy = prepare_policy(recipe, 32, 32);
    std::map<ImageOp, std::vector<double>> signs;
    for (std::uint32_t sample = 0; sample < 200'000; ++sample) {
      PhiloxStream stream = stream_of(sample);
      const PolicyDraw draw = draw_policy(stream, policy);
      for (int i = 0; i < draw.count; ++i) {
        signs.try_emplace(draw.ops[i].op, 2).first->second[draw.ops[i].negative] += 1;
      }
    }
    const bool rotates_both_ways =
        which == AugmentPolicy::autoaugment_cifar || which == AugmentPolicy::randaugment;
    for (const auto& [op, counts] : signs) {
      const bool both = op_is_signed(op) || (op == ImageOp::rotate && rotates_both_ways);
      check_counts(counts, both ? std::vector<double>{0.5, 0.5} : std::vector<double>{1, 0}, op_name(op));
    }
    CHECK(signs.count(ImageOp::rotate) == 1);
  }
}

TEST_CASE("RandAugment draws n of 14 operations uniformly and independently") {
  ViewRecipe recipe;
  recipe.policy = AugmentPolicy::randaugment;
  recipe.rand_n = 3;
  recipe.rand_m = 12;
  const PreparedPolicy policy = prepare_policy(recipe, 32, 32);
  std::vector<double> triples(14 * 14 * 14);
  for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
    PhiloxStream stream = stream_of(sample);
    const PolicyDraw draw = draw_policy(stream, policy);
    REQUIRE(draw.count == 3);
    std::size_t cell = 0;
    for (int i = 0; i < 3; ++i) cell = cell * 14 + static_cast<std::size_t>(draw.ops[i].op);
    ++triples.at(cell);
  }
  check_counts(triples, std::vector<double>(triples.size(), 1.0 / 2744), "triples of operations");
  const double slope = policy.settings[static_cast<int>(ImageOp::shear_x)][0][1].slope;
  CHECK(slope == -op_magnitude(ImageOp::shear_x, 12, 31));
  CHECK(slope == doctest::Approx(-0.12));
}

TEST_CASE("flips, crop offsets and box centres of a million views") {
  const ViewRecipe recipe = {.flip = true, .pad = 4, .cutout = 1};
  std::vector<double> places(2 * 81), centres(32 * 32);
  for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
    PhiloxStream stream = view_stream({kSeed, 1, sample, 2});
    const ViewDraw draw = draw_view(stream, recipe, 32, 32);
    ++places.at(static_cast<std::size_t>((draw.flip ? 81 : 0) + (draw.crop_y + 4) * 9 + draw.crop_x + 4));
    ++centres.at(static_cast<std::size_t>(draw.box_y0 * 32 + draw.box_x0));
  }
  check_counts(places, std::vector<double>(places.size(), 1.0 / 162), "flip and offsets");
  check_counts(centres, std::vector<double>(centres.size(), 1.0 / 1024), "centres");
}

TEST_CASE("resized crops of a hundred thousand views") {
  const ViewRecipe recipe = {.crop = CropKind::resized, .resized = resized_crop(0.2, 1, 3.0 / 4, 4.0 / 3)};
  constexpr std::uint32_t kViews = 100'000;
  double area = 0, log_ratio = 0, top = 0, tops = 0;
  for (std::uint32_t sample = 0; sample < kViews; ++sample) {
    const ViewKey key{kSeed, 1, sample, 2};
    PhiloxStream stream = view_stream(key);
    ViewDraw draw = draw_view(stream, recipe, 64, 48);
    draw_resized_crop(draw, key, recipe.resized, 64, 48);
    const double ratio = static_cast<double>(draw.crop_width) / draw.crop_height;
    CHECK((draw.crop_y >= 0 && draw.crop_y + draw.crop_height <= 64));
    CHECK((draw.crop_x >= 0 && draw.crop_x + draw.crop_width <= 48));
    CHECK((ratio > 0.71 && ratio < 1.4));
    area += draw.crop_height * draw.crop_width / (64.0 * 48) / kViews;
    log_ratio += std::log(ratio) / kViews;
    if (draw.crop_height <= 32) {
      top += draw.crop_y / (64.0 - draw.crop_height);
      ++tops;
    }
  }
  // Large and wide crops often do not fit into 48 columns, so the means are below 0.6 and 0. These are the
  // means of 40,000 crops of torchvision 0.29.2.
  CHECK(area == doctest::Approx(0.503).epsilon(0.01));
  CHECK(std::abs(log_ratio + 0.0366) < 0.004);
  CHECK(top / tops == doctest::Approx(0.5).epsilon(0.01));
  CHECK(exponential(0) == 1);
  for (const double x : {-4.6, -0.29, 1e-9, 0.2877, 4.6}) {
    CHECK(exponential(x) == doctest::Approx(std::exp(x)).epsilon(1e-13));
  }
}

TEST_CASE("colour jitter: every order equally often, factors uniform in torchvision's ranges") {
  ViewRecipe recipe;
  recipe.jitter = {0.75F, 1.5F, 0.5F, 0.25F, 0.125F};
  recipe.grey = 0.25F;
  std::map<std::vector<ImageOp>, int> orders;
  std::map<ImageOp, std::pair<float, float>> ends;
  int jittered = 0, grey = 0;
  constexpr int kViews = 100'000;
  for (std::uint32_t sample = 0; sample < kViews; ++sample) {
    ColourDraw draw;
    draw_colours(draw, {kSeed, 0, sample, 1}, recipe.jitter, recipe.grey);
    std::vector<ImageOp> order;
    for (int i = 0; i < draw.count; ++i) {
      const OpSetting& setting = draw.settings[i];
      if (setting.op == ImageOp::grey) {
        CHECK(i == draw.count - 1);
        ++grey;
        continue;
      }
      order.push_back(setting.op);
      // 128 is half a turn on.
      const float value =
          setting.op == ImageOp::hue ? static_cast<float>((setting.shift + 128) % 256 - 128) : setting.factor;
      auto [known, fresh] = ends.try_emplace(setting.op, value, value);
      known->second = {std::min(known->second.first, value), std::max(known->second.second, value)};
    }
    if (order.empty()) continue;
    CHECK(order.size() == 4);
    ++jittered;
    ++orders[order];
  }
  CHECK(jittered == doctest::Approx(0.75 * kViews).epsilon(0.01));
  CHECK(grey == doctest::Approx(0.25 * kViews).epsilon(0.02));
  CHECK(orders.size() == 24);
  for (const auto& [order, count] : orders) CHECK(count == doctest::Approx(jittered / 24.0).epsilon(0.1));
  const auto check_ends = [&](ImageOp op, double low, double high) {
    CAPTURE(op_name(op));
    CHECK(std::abs(static_cast<double>(ends.at(op).first) - low) < 1e-3);
    CHECK(std::abs(static_cast<double>(ends.at(op).second) - high) < 1e-3);
  };
  check_ends(ImageOp::brightness, 0, 2.5);
  check_ends(ImageOp::contrast, 0.5, 1.5);
  check_ends(ImageOp::color, 0.75, 1.25);
  check_ends(ImageOp::hue, -31, 31);   // truncated, of 255 / 8
  recipe.jitter = {1, 0, 0.5F, 0, 0};  // strengths of 0 are left out
  recipe.grey = 0;
  ColourDraw one;
  draw_colours(one, {kSeed, 0, 0, 1}, recipe.jitter, recipe.grey);
  CHECK(one.count == 1);
  CHECK(one.settings[0].op == ImageOp::contrast);
}

TEST_CASE("magnitudes that no operation can take") {
  CHECK_THROWS_AS(prepare_op(ImageOp::hue, 0.51, 32, 32), Error);
  CHECK_THROWS_AS(prepare_op(ImageOp::hue, -0.51, 32, 32), Error);
  CHECK_THROWS_AS(prepare_op(ImageOp::rotate, std::nan(""), 32, 32), Error);
  CHECK_THROWS_AS(prepare_op(ImageOp::posterize, 0, 32, 32), Error);
  CHECK_THROWS_AS(prepare_op(ImageOp::posterize, 4.5, 32, 32), Error);
  CHECK(prepare_op(ImageOp::translate_x, 1e300, 32, 32).shift == 32);
  CHECK(prepare_op(ImageOp::translate_x, -1e300, 32, 32).shift == -32);
  CHECK(prepare_op(ImageOp::solarize, -5, 32, 32).threshold == 0);
}
