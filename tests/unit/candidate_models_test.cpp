// The candidate models drawn with Philox: their distributions by chi-square with fixed seeds, their files.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "candidates/draw.h"
#include "data/catalogue.h"
#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "support/chi_square.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::chi_square_fits;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::TempDir;

namespace {

constexpr int kSamples = 60000;

std::vector<std::int32_t> labels_over(int classes, int count = kSamples) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) labels[static_cast<std::size_t>(i)] = i % classes;
  return labels;
}

// For each pair (truth, label): in how many sets of that truth the label is.
std::vector<std::vector<int>> inclusions(const CandidateSets& sets, const std::vector<std::int32_t>& labels) {
  const auto classes = static_cast<std::size_t>(sets.classes);
  std::vector<std::vector<int>> table(classes, std::vector<int>(classes, 0));
  for (std::int64_t i = 0; i < sets.count; ++i) {
    for (int c = 0; c < sets.classes; ++c) {
      if (sets.contains(i, c))
        ++table[static_cast<std::size_t>(labels[static_cast<std::size_t>(i)])][static_cast<std::size_t>(c)];
    }
  }
  return table;
}

// Each label's inclusions against the chance that it should have; 0 and 1 exactly.
void check_inclusions(const std::vector<std::vector<int>>& table, const LabelMatrix& expected, int samples) {
  for (int y = 0; y < expected.classes; ++y) {
    for (int c = 0; c < expected.classes; ++c) {
      CAPTURE(y);
      CAPTURE(c);
      const int n = samples / expected.classes;
      const int found = table[static_cast<std::size_t>(y)][static_cast<std::size_t>(c)];
      const double chance = y == c ? 1 : expected.at(y, c);
      if (chance == 0 || chance == 1) {
        CHECK(found == static_cast<int>(chance) * n);
      } else {
        CHECK(chi_square_fits({found, n - found}, {chance * n, (1 - chance) * n}));
      }
    }
  }
}

void check_never_empty(const CandidateSets& sets) {
  int empty = 0;
  for (std::int64_t i = 0; i < sets.count; ++i) empty += sets.size(i) == 0 ? 1 : 0;
  CHECK(empty == 0);
}

const LabelMatrix kInclusion = {4, {1, 0.5, 0.25, 0, 0.1, 1, 0.9, 0.3, 0, 0, 1, 1, 0.6, 0.7, 0.8, 1}};
const LabelMatrix kDistractor = {4, {0.4, 0.3, 0.2, 0.1, 0, 0, 1, 0, 0.25, 0.25, 0.25, 0.25, 0, 0, 0, 1}};

Error refused_matrix(const std::string& text, MatrixKind kind, int classes = 2) {
  const TempDir dir;
  write_file_atomically(dir.file("m.csv"), text);
  Error error = error_of([&] { read_label_matrix(dir.file("m.csv"), classes, kind); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "m.csv"));
  return error;
}

Error refused_superclasses(const std::string& text, int classes = 3) {
  const TempDir dir;
  write_file_atomically(dir.file("s.csv"), text);
  Error error = error_of([&] { read_superclasses(dir.file("s.csv"), classes); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "s.csv"));
  return error;
}

}  // namespace

TEST_CASE("class-dependent candidates: every label joins as its matrix says, independently of the others") {
  const std::vector<std::int32_t> labels = labels_over(4);
  const CandidateSets sets = class_dependent_candidates(labels, kInclusion, MatrixKind::inclusion, 7);
  check_inclusions(inclusions(sets, labels), kInclusion, kSamples);
  check_never_empty(sets);
  CHECK(count_missing_truth(sets, labels) == 0);
  // Truth 0, labels 1 and 2: the four combinations.
  std::vector<int> combinations(4, 0);
  for (std::int64_t i = 0; i < sets.count; i += 4) {
    ++combinations[(sets.contains(i, 1) ? 1u : 0u) + (sets.contains(i, 2) ? 2u : 0u)];
  }
  const double n = kSamples / 4.0;
  CHECK(chi_square_fits(combinations, {n * 0.375, n * 0.375, n * 0.125, n * 0.125}));
}

TEST_CASE("class-dependent candidates: one distractor is drawn by the truth's row") {
  const std::vector<std::int32_t> labels = labels_over(4);
  const CandidateSets sets = class_dependent_candidates(labels, kDistractor, MatrixKind::distractor, 7);
  check_inclusions(inclusions(sets, labels), kDistractor, kSamples);
  CHECK(count_missing_truth(sets, labels) == 0);
  int alone = 0, largest = 0;
  for (std::int64_t i = 0; i < sets.count; i += 4) {
    alone += sets.size(i) == 1 ? 1 : 0;
    largest = std::max(largest, sets.size(i));
  }
  CHECK(largest == 2);
  const double n = kSamples / 4.0;
  CHECK(chi_square_fits({alone, static_cast<int>(n) - alone}, {n * 0.4, n * 0.6}));
}

TEST_CASE("pair candidates: only the next label joins, with the rate") {
  const std::vector<std::int32_t> labels = labels_over(10);
  for (const double rate : {0.0, 0.1, 0.7}) {
    LabelMatrix expected{10, std::vector<double>(100, 0)};
    for (std::size_t y = 0; y < 10; ++y) expected.values[y * 10 + (y + 1) % 10] = rate;
    check_inclusions(inclusions(pair_candidates(labels, 10, rate, 3), labels), expected, kSamples);
  }
  CHECK(pair_candidates({0, 0}, 1, 0.9, 3).size(1) == 1);
}

TEST_CASE("hierarchical candidates: only labels of the truth's superclass join, with the rate") {
  const std::vector<int> superclasses = {0, 1, 0, 2, 1, 0};
  const std::vector<std::int32_t> labels = labels_over(6);
  LabelMatrix expected{6, std::vector<double>(36, 0)};
  for (std::size_t y = 0; y < 6; ++y) {
    for (std::size_t c = 0; c < 6; ++c)
      if (superclasses[y] == superclasses[c]) expected.values[y * 6 + c] = 0.4;
  }
  check_inclusions(inclusions(hierarchical_candidates(labels, superclasses, 0.4, 3), labels), expected,
                   kSamples);
}

TEST_CASE("CIFAR-100-H: twenty superclasses of five, by name, and the mean size of rate 0.5") {
  const std::vector<int>& table = cifar100_superclasses();
  REQUIRE(table.size() == 100);
  const std::vector<std::string>& fine = dataset_row("cifar100").published.class_names;
  const std::vector<std::string>& coarse = dataset_row("cifar100").coarse_names;
  std::map<std::string, std::string> members;
  for (std::size_t c = 0; c < 100; ++c) {
    members[coarse.at(static_cast<std::size_t>(table[c]))] += fine.at(c) + " ";
  }
  // The publisher's table of superclasses and classes.
  CHECK(members == std::map<std::string, std::string>{
                       {"aquatic_mammals", "beaver dolphin otter seal whale "},
                       {"fish", "aquarium_fish flatfish ray shark trout "},
                       {"flowers", "orchid poppy rose sunflower tulip "},
                       {"food_containers", "bottle bowl can cup plate "},
                       {"fruit_and_vegetables", "apple mushroom orange pear sweet_pepper "},
                       {"household_electrical_devices", "clock keyboard lamp telephone television "},
                       {"household_furniture", "bed chair couch table wardrobe "},
                       {"insects", "bee beetle butterfly caterpillar cockroach "},
                       {"large_carnivores", "bear leopard lion tiger wolf "},
                       {"large_man-made_outdoor_things", "bridge castle house road skyscraper "},
                       {"large_natural_outdoor_scenes", "cloud forest mountain plain sea "},
                       {"large_omnivores_and_herbivores", "camel cattle chimpanzee elephant kangaroo "},
                       {"medium_mammals", "fox porcupine possum raccoon skunk "},
                       {"non-insect_invertebrates", "crab lobster snail spider worm "},
                       {"people", "baby boy girl man woman "},
                       {"reptiles", "crocodile dinosaur lizard snake turtle "},
                       {"small_mammals", "hamster mouse rabbit shrew squirrel "},
                       {"trees", "maple_tree oak_tree palm_tree pine_tree willow_tree "},
                       {"vehicles_1", "bicycle bus motorcycle pickup_truck train "},
                       {"vehicles_2", "lawn_mower rocket streetcar tank tractor "}});
  const CandidateSets sets = hierarchical_candidates(labels_over(100), table, 0.5, 2);
  CHECK(std::abs(sets.mean_size() - 3) < 5 / std::sqrt(kSamples));  // 1 + 4 * 0.5; deviation of a size: 1
}

TEST_CASE("instance-dependent candidates: a label joins by its probability beside the other wrong ones") {
  // Wrong labels of truth 0: p in ratios 1 : 1/2 : 1/4, so r has the mean (1 + 1/2 + 1/4) / 4 over the
  // classes.
  const float two = std::log(2.0F);
  const std::vector<std::vector<float>> rows = {{50, 2 * two, two, 0}, {-3, 5, 5, 5 + two}, {0, 0, 0, 0}};
  for (const double scale : {0.4, 1.0}) {
    std::vector<std::int32_t> labels;
    std::vector<float> logits;
    for (int i = 0; i < kSamples; ++i) {
      labels.push_back(i % 3);
      logits.insert(logits.end(), rows[static_cast<std::size_t>(i % 3)].begin(),
                    rows[static_cast<std::size_t>(i % 3)].end());
    }
    const CandidateSets sets = instance_candidates(labels, logits, 4, scale, 5);
    CHECK(count_missing_truth(sets, labels) == 0);
    const auto table = inclusions(sets, labels);
    const auto check = [&](int truth, const std::vector<double>& ratios) {
      const double mean = (ratios[0] + ratios[1] + ratios[2] + ratios[3]) / 4;
      for (std::size_t c = 0; c < 4; ++c) {
        CAPTURE(truth);
        CAPTURE(c);
        const int n = kSamples / 3, found = table[static_cast<std::size_t>(truth)][c];
        const double chance =
            c == static_cast<std::size_t>(truth) ? 1 : std::min(1.0, ratios[c] / mean * scale);
        if (chance == 1) {
          CHECK(found == n);
        } else {
          CHECK(chi_square_fits({found, n - found}, {n * chance, n * (1 - chance)}));
        }
      }
    };
    check(0, {0, 1, 0.5, 0.25});
    check(1, {std::exp(-8.0) / 2, 0, 0.5, 1});
    check(2, {1, 1, 0, 1});
  }
}

TEST_CASE("instance-dependent candidates: vanishing probabilities and outputs that are not finite") {
  // All wrong labels underflow beside the truth; among themselves the first one stands out.
  const CandidateSets sets =
      instance_candidates({0, 0}, {1e30F, -1e30F, -1.1e30F, 500, -500, -500.5F}, 3, 3, 1);
  CHECK(sets.contains(0, 1));
  CHECK(!sets.contains(0, 2));
  CHECK(sets.size(1) == 3);
  const float nan = std::nanf("");
  const Error error = error_of([&] { instance_candidates({0, 1}, {1, 2, nan, 3}, 2, 0.4, 1); });
  CHECK(error.code() == ExitCode::run);
  CHECK(contains(error, "output for sample 1 is nan"));
  CHECK(contains(error_of([] { instance_candidates({0}, {1, 2}, 2, 0, 1); }), "annotator.scale = 0"));
}

TEST_CASE("noise takes the truth out of the asked share of the sets and leaves none empty") {
  const std::vector<std::int32_t> labels = labels_over(5);
  for (const double rate : {0.0, 0.2, 1.0}) {
    CandidateSets sets = pair_candidates(labels, 5, 0.3, 4);
    const CandidateSets before = sets;
    remove_truths(sets, labels, rate, 4);
    check_never_empty(sets);
    const auto missing = static_cast<int>(count_missing_truth(sets, labels));
    if (rate == 0 || rate == 1) {
      CHECK(missing == static_cast<int>(rate) * kSamples);
    } else {
      CHECK(chi_square_fits({missing, kSamples - missing}, {kSamples * rate, kSamples * (1 - rate)}));
    }
    // Labels that joined instead: only where the truth stood alone, and every wrong one as often.
    std::vector<int> instead(5, 0);
    int replaced = 0;
    for (std::int64_t i = 0; i < sets.count; ++i) {
      const int truth = labels[static_cast<std::size_t>(i)];
      for (int c = 0; c < 5; ++c) {
        if (!sets.contains(i, c) || before.contains(i, c)) continue;
        CHECK(before.size(i) == 1);
        CHECK(!sets.contains(i, truth));
        ++instead[static_cast<std::size_t>((c - truth + 5) % 5)];
        ++replaced;
      }
    }
    CHECK(instead[0] == 0);
    if (rate > 0) {
      const double each = replaced / 4.0;
      CHECK(replaced > 0.6 * rate * kSamples);
      CHECK(chi_square_fits({instead[1], instead[2], instead[3], instead[4]}, {each, each, each, each}));
    }
  }
}

TEST_CASE("noise is drawn apart from the labels: the rest of a set stays as it was") {
  const std::vector<std::int32_t> labels = labels_over(10, 2000);
  CandidateSets sets = uniform_candidates(labels, 10, 0.5, 1, 2);
  const CandidateSets before = sets;
  remove_truths(sets, labels, 0.3, 2);
  for (std::int64_t i = 0; i < sets.count; ++i) {
    for (int c = 0; c < 10; ++c) {
      if (c != labels[static_cast<std::size_t>(i)]) CHECK(sets.contains(i, c) == before.contains(i, c));
    }
  }
}

TEST_CASE("drawn candidates depend on sample, label and seed alone") {
  const std::vector<std::int32_t> labels = labels_over(10, 500);
  const std::vector<std::int32_t> first(labels.begin(), labels.begin() + 100);
  const CandidateSets all = hierarchical_candidates(labels, std::vector<int>(10, 0), 0.5, 9);
  const CandidateSets some = hierarchical_candidates(first, std::vector<int>(10, 0), 0.5, 9);
  CHECK(std::equal(some.words.begin(), some.words.end(), all.words.begin()));
  CHECK(hierarchical_candidates(labels, std::vector<int>(10, 0), 0.5, 10).words != all.words);
}

TEST_CASE("drawn candidates need true labels and rates in their range") {
  for (const auto& labels : {std::vector<std::int32_t>{0, -1}, std::vector<std::int32_t>{0, 4}}) {
    CHECK(contains(error_of([&] { pair_candidates(labels, 4, 0.5, 1); }), "sample 1 has "));
    CHECK(contains(
        error_of([&] { class_dependent_candidates(labels, kDistractor, MatrixKind::distractor, 1); }),
        "true label of every sample"));
  }
  CHECK(contains(error_of([] { pair_candidates({0}, 4, 1, 1); }), "candidates.rate = 1"));
  CHECK(contains(error_of([] { hierarchical_candidates({0}, {0, 0}, -1, 1); }), "candidates.rate = -1"));
  CandidateSets alone(1, 1);
  alone.insert(0, 0);
  CHECK(contains(error_of([&] { remove_truths(alone, {0}, 0.5, 1); }), "at least 2 classes, not 1"));
  CHECK(contains(error_of([&] { remove_truths(alone, {0}, 1.5, 1); }), "candidates.noise_rate = 1.5"));
}

TEST_CASE("label matrix file: numbers, comments, spaces and CRLF") {
  const TempDir dir;
  write_file_atomically(dir.file("m.csv"), "# truth, other\r\n 1 , 0.25\r\n\r\n0,1");
  const LabelMatrix matrix = read_label_matrix(dir.file("m.csv"), 2, MatrixKind::inclusion);
  CHECK(matrix.values == std::vector<double>{1, 0.25, 0, 1});
  write_file_atomically(dir.file("m.csv"), "\ufeff\"1\",0.25\n0,\" 1\"\n\n");
  CHECK(read_label_matrix(dir.file("m.csv"), 2, MatrixKind::inclusion).values == matrix.values);
  write_file_atomically(dir.file("d.csv"), "0.7,0.3\n1e-7,1\n");
  CHECK(read_label_matrix(dir.file("d.csv"), 2, MatrixKind::distractor).at(0, 1) == 0.3);
}

TEST_CASE("label matrix file: what is wrong is named with line, row and sum") {
  const auto inclusion = [](const std::string& text) { return refused_matrix(text, MatrixKind::inclusion); };
  const auto distractor = [](const std::string& text) {
    return refused_matrix(text, MatrixKind::distractor);
  };
  CHECK(contains(inclusion("1,0.5\n# x\n0.5,0.9\n"),
                 "m.csv:3: row 2 does not keep its true label: label 1 has probability 0.9, expected 1"));
  CHECK(contains(distractor("0.5,0.5\n0.5,0.4\n"), "m.csv:2: row 2 (true class 1) sums to 0.9, expected 1"));
  CHECK(contains(inclusion("1,1.5\n0,1\n"),
                 "m.csv:1: row 1 (true class 0): 1.5 for label 1 is not a probability"));
  CHECK(contains(distractor("-0.5,1.5\n0,1\n"), "m.csv:1: row 1 (true class 0): -0.5 for label 0"));
  CHECK(
      contains(inclusion("1,0,0\n0,1\n"), "m.csv:1: row 1 (true class 0) has 3 numbers; the data set has 2"));
  CHECK(contains(inclusion("1,0\n"), "m.csv: 1 rows of numbers; the data set has 2 classes"));
  CHECK(contains(inclusion("1,0\n0,1\n0,1\n"), "m.csv: 3 rows of numbers"));
  CHECK(contains(inclusion(""), "m.csv: 0 rows of numbers"));
  CHECK(contains(inclusion("1,x\n0,1\n"), "m.csv:1: item 2, \"x\", is not a number"));
  CHECK(contains(inclusion("1,\n0,1\n"), "m.csv:1: item 2, \"\", is not a number"));
  CHECK(contains(inclusion("1,nan\n0,1\n"), "item 2, \"nan\", is not a number"));
  CHECK(contains(inclusion("1,0 1\n0,1\n"), "item 2, \"0 1\", is not a number"));
  CHECK(contains(inclusion("1,0\u00a0\n0,1\n"), "m.csv:1: item 2, \"0\\u00a0\", is not a number"));
  CHECK(contains(inclusion("1,\"0\n0,1\n"), "m.csv:1: \"1,\"0\": a quote is not closed"));
  const TempDir dir;
  CHECK(error_of([&] { read_label_matrix(dir.file("none.csv"), 2, MatrixKind::inclusion); }).code() ==
        ExitCode::data);
}

TEST_CASE("superclass file: read, and what is wrong with it") {
  const TempDir dir;
  write_file_atomically(dir.file("s.csv"), "# class,superclass\n0,7\n1,2\n2,7\n");
  CHECK(read_superclasses(dir.file("s.csv"), 3) == std::vector<int>{7, 2, 7});
  CHECK(contains(refused_superclasses("0,1\n2,1\n1,1\n"), "s.csv:2: expected \"1,SUPERCLASS\""));
  CHECK(contains(refused_superclasses("0,1\n1\n2,1\n"), "s.csv:2: expected \"1,SUPERCLASS\""));
  CHECK(contains(refused_superclasses("0,1\n1,-1\n2,1\n"), "s.csv:2: superclass -1 of class 1"));
  CHECK(contains(refused_superclasses("0,1\n1,0.5\n2,1\n"), "superclass 0.5 of class 1"));
  CHECK(contains(refused_superclasses("0,1\n1,1e300\n2,1\n"), "s.csv:2: superclass 1e+300 of class 1"));
  CHECK(contains(refused_superclasses("0,1\n1,1\n"), "s.csv: superclasses of 2 classes; the data set has 3"));
  CHECK(contains(refused_superclasses("0,1\n1,1\n2,1\n3,1\n"), "s.csv:4: there is text after the last of 3"));
  CHECK(contains(refused_superclasses("0,1\n1,2\n2,3\n"), "no superclass has two classes"));
}
