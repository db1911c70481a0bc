#include <set>

#include "candidates/draw.h"
#include "candidates/number_rows.h"

namespace dpll {

CandidateSets hierarchical_candidates(const std::vector<std::int32_t>& labels,
                                      const std::vector<int>& superclass_of_class, double rate,
                                      std::uint32_t seed) {
  check_rate(rate);
  const auto superclass = [&](int c) { return superclass_of_class[static_cast<std::size_t>(c)]; };
  return draw_labels(
      labels, static_cast<int>(superclass_of_class.size()), seed,
      [&](std::int64_t, int truth, int c) { return superclass(c) == superclass(truth) ? rate : 0.0; });
}

std::vector<int> read_superclasses(const std::string& path, int classes) {
  std::vector<int> superclasses;
  for (const NumberRow& row : read_number_rows(path)) {
    const auto expected = static_cast<int>(superclasses.size());
    if (expected == classes) {
      fail(ExitCode::data, "{}:{}: there is text after the last of {} classes", path, row.line, classes);
    }
    const bool pair = row.values.size() == 2;
    if (!pair || row.values[0] != expected) {
      fail(ExitCode::data, "{}:{}: expected \"{},SUPERCLASS\": a line for each class, in order", path,
           row.line, expected);
    }
    const double superclass = row.values[1];
    // A superclass is only a name, but anything except a whole number in this range is a mistake.
    if (!(superclass >= 0 && superclass < 1e6) || superclass != static_cast<int>(superclass)) {
      fail(ExitCode::data, "{}:{}: superclass {} of class {}: expected a whole number from 0", path, row.line,
           superclass, expected);
    }
    superclasses.push_back(static_cast<int>(superclass));
  }
  if (static_cast<int>(superclasses.size()) != classes) {
    fail(ExitCode::data, "{}: superclasses of {} classes; the data set has {}", path, superclasses.size(),
         classes);
  }
  if (std::set<int>(superclasses.begin(), superclasses.end()).size() == superclasses.size()) {
    fail(ExitCode::data, "{}: no superclass has two classes, so no set could have a distractor", path);
  }
  return superclasses;
}

// Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the coarse labels next to
// the fine ones in the published files; superclasses are numbered in alphabetical order, as there.
const std::vector<int>& cifar100_superclasses() {
  static const std::vector<int> kTable = {
      4,  1,  14, 8,  0,  6,  7,  7,  18, 3,   // apple to bottle
      3,  14, 9,  18, 7,  11, 3,  9,  7,  11,  // bowl to cattle
      6,  11, 5,  10, 7,  6,  13, 15, 3,  15,  // chair to dinosaur
      0,  11, 1,  10, 12, 14, 16, 9,  11, 5,   // dolphin to keyboard
      5,  19, 8,  8,  15, 13, 14, 17, 18, 10,  // lamp to mountain
      16, 4,  17, 4,  2,  0,  17, 4,  18, 17,  // mouse to pine_tree
      10, 3,  2,  12, 12, 16, 12, 1,  9,  19,  // plain to rocket
      2,  10, 0,  1,  16, 12, 9,  13, 15, 13,  // rose to spider
      16, 19, 2,  4,  6,  19, 5,  5,  8,  19,  // squirrel to tractor
      18, 1,  2,  15, 6,  0,  17, 8,  14, 13,  // train to worm
  };
  return kTable;
}

}  // namespace dpll
