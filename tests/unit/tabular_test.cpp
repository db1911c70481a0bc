// Tabular sets. tests/fixtures/tabular was written by SciPy, the other files by mat_writer.h.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "data/split.h"
#include "data/tabular.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "dpll/views.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/mat_writer.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::MatWriter;
using dpll::test::TempDir;

namespace {

using Bytes = std::vector<std::uint8_t>;
const std::string kFolder = std::string(DPLL_TEST_FIXTURES) + "/tabular/";

template <typename Write>
Bytes written(Write&& write) {
  const TempDir dir;
  {
    MatWriter writer(dir.file("a.mat"));
    write(writer);
  }
  return read_file(dir.file("a.mat"));
}

// Three samples of two features, two classes; column-major.
struct TabularParts {
  std::vector<double> data = {1, 2, 3, 10, 20, 30}, target = {1, 0, 0, 1, 1, 0}, partial = {1, 1, 0, 1, 1, 0};
  std::vector<std::size_t> data_shape = {3, 2}, target_shape = {2, 3}, partial_shape = {2, 3};

  Bytes file() const {
    return written([&](MatWriter& w) {
      w.add("data", data_shape, data).add("target", target_shape, target);
      if (!partial.empty()) w.add("partial_target", partial_shape, partial);
    });
  }
};

Error tabular_error(const Bytes& bytes) {
  Error error = error_of([&] { parse_tabular(bytes, "x.mat"); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "x.mat: "));
  return error;
}

template <typename Change>
Error refused_with(Change&& change) {
  TabularParts parts;
  change(parts);
  return tabular_error(parts.file());
}

RunConfig config_of(const std::string& file, int folds = 10, int fold = 0) {
  RunConfig config;
  config.data.dataset = "tabular";
  config.data.path = kFolder + file;
  config.data.folds = folds;
  config.data.fold = fold;
  return config;
}

}  // namespace

TEST_CASE("tabular: rows, labels and candidate sets of a small file") {
  const DataSet data = parse_tabular(TabularParts().file(), "x");
  CHECK(data.classes == 2);
  CHECK(data.train.count == 3);
  CHECK(data.train.channels == 2);
  CHECK(data.train.pixels.empty());
  CHECK(data.train.features == std::vector<float>{1, 10, 2, 20, 3, 30});
  CHECK(data.train.labels == std::vector<std::int32_t>{0, 1, 0});
  REQUIRE(data.candidates);
  CHECK(*data.candidates == Bytes{1, 1, 0, 1, 1, 0});
}

TEST_CASE("tabular: sparse, dense and integer variables give the same set; partial_target may be missing") {
  const DataSet dense = parse_tabular(read_file(kFolder + "dense.mat"), "dense"),
                sparse = parse_tabular(read_file(kFolder + "sparse.mat"), "sparse");
  CHECK(dense.train.count == 150);
  CHECK(dense.train.channels == 6);
  CHECK(dense.classes == 3);
  CHECK(dense.train.features == sparse.train.features);
  CHECK(dense.train.labels == sparse.train.labels);
  CHECK(*dense.candidates == *sparse.candidates);
  CHECK(fingerprint(dense) == fingerprint(sparse));
  for (std::size_t i = 0; i < 150; ++i)
    CHECK(dense.train.labels[i] == static_cast<std::int32_t>(i * 3 / 150));

  const TabularParts parts;
  const DataSet mixed = parse_tabular(written([&](MatWriter& w) {
                                        w.add_sparse("data", 3, 2, parts.data);
                                        w.add("target", {2, 3}, std::vector<std::int32_t>{1, 0, 0, 1, 1, 0});
                                      }),
                                      "x");
  CHECK(mixed.train.features == std::vector<float>{1, 10, 2, 20, 3, 30});
  CHECK(mixed.train.labels == std::vector<std::int32_t>{0, 1, 0});
  CHECK_FALSE(mixed.candidates);
}

TEST_CASE("tabular: an empty sparse variable is all zeros") {
  const Bytes bytes = written([](MatWriter& w) {
    w.add_sparse("data", 3, 2, std::vector<double>(6));
    w.add("target", {2, 3}, std::vector<double>{1, 0, 0, 1, 1, 0});
  });
  CHECK(parse_tabular(bytes, "x").train.features == std::vector<float>(6, 0.0F));
}

TEST_CASE("tabular: the other layouts give the same set, and a file's own split is kept") {
  const auto read = [](const std::string& name) { return parse_tabular(read_file(kFolder + name), name); };
  const DataSet xy = read("xy.mat"), features = read("features.mat"), structure = read("structure.mat");
  CHECK(xy.train.count == 24);
  CHECK(xy.train.channels == 4);
  CHECK(xy.classes == 3);
  for (std::size_t i = 0; i < 24; ++i) CHECK(xy.train.labels[i] == static_cast<std::int32_t>(i % 3));
  for (const DataSet* other : {&features, &structure}) {
    CHECK(fingerprint(*other) == fingerprint(xy));
    CHECK(*other->candidates == *xy.candidates);
  }
  const DataSet split = read("split.mat");
  CHECK(split.train.count == 16);
  CHECK(split.test.count == 8);
  CHECK_FALSE(split.train.has_labels());
  CHECK(split.test.labels == std::vector<std::int32_t>(xy.train.labels.begin() + 16, xy.train.labels.end()));
  std::vector<float> all = split.train.features;
  all.insert(all.end(), split.test.features.begin(), split.test.features.end());
  CHECK(all == xy.train.features);
  CHECK(*split.candidates == Bytes(xy.candidates->begin(), xy.candidates->begin() + 48));

  // Its test set is standardised by its training set, and there are no folds.
  RunConfig config = config_of("split.mat");
  const DataSet loaded = load_data(config);
  CHECK(loaded.train.count == 16);
  CHECK(loaded.test.count == 8);
  CHECK(loaded.test.features != split.test.features);
  config.data.fold = 1;
  const Error folds = error_of([&] { load_data(config); });
  CHECK(folds.code() == ExitCode::config);
  CHECK(contains(folds, "has a test set of its own"));
}

TEST_CASE("tabular: as many samples as classes, so that only the layout says which size is which") {
  // Sample 0 has class 1, sample 1 class 0.
  const std::vector<double> data = {1, 2}, first = {0, 1, 1, 0}, sets = {1, 1, 1, 0};
  const DataSet by_columns = parse_tabular(written([&](MatWriter& w) {
                                             w.add("data", {2, 1}, data).add("target", {2, 2}, first);
                                             w.add("partial_target", {2, 2}, sets);
                                           }),
                                           "x");
  CHECK(*by_columns.candidates == Bytes{1, 1, 1, 0});
  const DataSet by_rows = parse_tabular(written([&](MatWriter& w) {
                                          w.add("X", {2, 1}, data).add("Y", {2, 2}, first);
                                          w.add("Y_P", {2, 2}, std::vector<double>{1, 0, 1, 1});
                                        }),
                                        "x");
  CHECK(*by_rows.candidates == Bytes{1, 1, 0, 1});
}

TEST_CASE("tabular: samples with several true labels") {
  const DataSet data = parse_tabular(read_file(kFolder + "several.mat"), "several");
  REQUIRE(data.train.truths.size() == 72);
  for (std::size_t i = 0; i < 24; ++i) {
    const bool several = i % 4 == 0 && i % 3 != 0;
    CHECK(data.train.labels[i] == (several ? -1 : static_cast<std::int32_t>(i % 3)));
    CHECK(data.train.truths[3 * i + i % 3] == 1);
    if (several) CHECK(data.train.truths[3 * i] == 1);
  }
  const DataSet folded = load_data(config_of("several.mat", 4, 1));
  CHECK(folded.test.count == 6);
  CHECK(folded.test.truths.size() == 18);
  CHECK(folded.train.truths.size() == 54);
  for (std::size_t i = 0; i < 6; ++i) {
    const auto ones =
        folded.test.truths[3 * i] + folded.test.truths[3 * i + 1] + folded.test.truths[3 * i + 2];
    CHECK((folded.test.labels[i] == -1) == (ones > 1));
  }
  CHECK(parse_tabular(TabularParts().file(), "x").train.truths.empty());
}

TEST_CASE("tabular: structures and splits that do not fit are refused by name") {
  CHECK(contains(
      tabular_error(written([](MatWriter& w) { w.add_structure("s").add_cell("c"); })),
      "no variable data; it has s, c. Known are data, target and partial_target; or X, Y and Y_P; or"));
  const std::vector<double> data = {1, 2, 3}, sets = {1, 1, 0, 1, 1, 0};
  const auto split = [&](std::size_t features, std::size_t classes) {
    return written([&](MatWriter& w) {
      w.add("train_data", {3, 1}, data).add("train_p_target", {2, 3}, sets);
      w.add("test_data", {1, features}, std::vector<double>(features, 1));
      std::vector<double> target(classes);
      target[0] = 1;
      w.add("test_target", {classes, 1}, target);
    });
  };
  CHECK(parse_tabular(split(1, 2), "x").test.count == 1);
  CHECK(contains(tabular_error(split(2, 2)), "test_data has 2 features, train_data 1"));
  CHECK(contains(tabular_error(split(1, 3)), "test_target has 3 classes, train_p_target 2"));
  CHECK(contains(tabular_error(written([&](MatWriter& w) {
                   w.add("train_data", {3, 1}, data).add("train_p_target", {2, 3}, sets);
                 })),
                 "no variable test_data; it has train_data, train_p_target"));
}

TEST_CASE("tabular: what does not fit together is refused by name") {
  CHECK(contains(tabular_error(written([](MatWriter& w) { w.add("x", "text"); })),
                 "no variable data; it has x"));
  CHECK(contains(tabular_error(written([](MatWriter& w) {
                   w.add("data", {2, 1}, std::vector<double>{1, 2});
                 })),
                 "no variable target; it has data"));
  CHECK(contains(tabular_error(written([](MatWriter& w) { w.add("data", "text"); })),
                 "variable data is char, expected numbers"));
  CHECK(contains(refused_with([](TabularParts& p) {
                   p.data_shape = {3, 1, 2};
                 }),
                 "variable data is [3,1,2], expected two sizes"));
  CHECK(contains(refused_with([](TabularParts& p) {
                   p.target_shape = {6, 1};
                 }),
                 "variable target is [6,1], expected [C,3] or [3,C]"));
  CHECK(contains(refused_with([](TabularParts& p) {
                   p.partial_shape = {1, 6};
                 }),
                 "variable partial_target is [1,6], expected [C,3] or [3,C]"));
  CHECK(contains(refused_with([](TabularParts& p) {
                   p.partial = std::vector<double>(9, 1), p.partial_shape = {3, 3};
                 }),
                 "partial_target has 3 classes, target 2"));
  CHECK(contains(refused_with([](TabularParts& p) { p.data[4] = std::numeric_limits<double>::quiet_NaN(); }),
                 "variable data holds nan in row 1, column 1"));
  CHECK(contains(refused_with([](TabularParts& p) { p.data[0] = 1e300; }), "in row 0, column 0"));
  CHECK(contains(refused_with([](TabularParts& p) { p.target[3] = 2; }),
                 "variable target holds 2 for class 1 of sample 1, expected 0 or 1"));
  CHECK(contains(refused_with([](TabularParts& p) { p.target[4] = 0; }), "0 labels for sample 2"));
  CHECK(contains(refused_with([](TabularParts& p) { p.partial[4] = 0; }), "no candidate for sample 2"));
  CHECK(contains(refused_with([](TabularParts& p) { p.partial[0] = -1; }),
                 "partial_target holds -1 for class 0"));
}

TEST_CASE("tabular: folds are disjoint, cover everything, follow the seed and keep rows together") {
  std::set<std::int64_t> seen;
  for (int fold = 0; fold < 7; ++fold) {
    const Split split = draw_fold(150, 7, fold, 5);
    CHECK(std::abs(static_cast<double>(split.chosen.size()) - 150 / 7.0) < 1);
    CHECK(split.chosen.size() + split.rest.size() == 150);
    CHECK(std::is_sorted(split.chosen.begin(), split.chosen.end()));
    CHECK(std::is_sorted(split.rest.begin(), split.rest.end()));
    for (const std::int64_t i : split.chosen) {
      CHECK(seen.insert(i).second);
      CHECK_FALSE(std::binary_search(split.rest.begin(), split.rest.end(), i));
    }
  }
  CHECK(seen.size() == 150);
  CHECK(draw_fold(150, 7, 2, 5).chosen == draw_fold(150, 7, 2, 5).chosen);
  CHECK(draw_fold(150, 7, 2, 5).chosen != draw_fold(150, 7, 2, 6).chosen);

  const DataSet whole = parse_tabular(read_file(kFolder + "dense.mat"), "x");
  const DataSet data = load_data(config_of("dense.mat", 4, 1));
  CHECK(data.train.count + data.test.count == 150);
  REQUIRE(data.train_origin.size() == static_cast<std::size_t>(data.train.count));
  const auto classes = static_cast<std::size_t>(data.classes);
  for (std::size_t i = 0; i < data.train_origin.size(); ++i) {
    const auto origin = static_cast<std::size_t>(data.train_origin[i]);
    CHECK(data.train.labels[i] == whole.train.labels[origin]);
    for (std::size_t c = 0; c < classes; ++c) {
      CHECK((*data.candidates)[i * classes + c] == (*whole.candidates)[origin * classes + c]);
    }
  }
}

TEST_CASE("tabular: features are standardised by what is trained on") {
  RunConfig config = config_of("sparse.mat");
  config.data.validation_fraction = 0.2;
  const DataSet data = load_data(config);
  const auto width = static_cast<std::size_t>(data.train.channels);
  REQUIRE(data.validation.count > 0);
  double test_mean = 0;
  for (std::size_t d = 0; d < width; ++d) {
    double mean = 0, square = 0;
    for (std::size_t i = d; i < data.train.features.size(); i += width) {
      mean += data.train.features[i];
      square += double{data.train.features[i]} * data.train.features[i];
    }
    const auto n = static_cast<double>(data.train.count);
    CAPTURE(d);
    CHECK(std::abs(mean / n) < 1e-6);
    // The last feature never changes.
    CHECK(std::abs(square / n - (d + 1 < width ? 1 : 0)) < 1e-5);
    for (std::size_t i = d; i < data.test.features.size(); i += width) test_mean += data.test.features[i];
  }
  // The test set has a mean of its own, or it was standardised by itself.
  CHECK(std::abs(test_mean) > 1e-3);
  CHECK(data.test.features.size() == static_cast<std::size_t>(data.test.count) * width);
}

TEST_CASE("tabular: limits, and folds that the data cannot give") {
  RunConfig config = config_of("dense.mat");
  config.data.train_limit = 40;
  config.data.test_limit = 5;
  const DataSet data = load_data(config);
  CHECK(data.train.count == 40);
  CHECK(data.train.features.size() == 240);
  CHECK(data.test.features.size() == 30);
  CHECK(data.candidates->size() == 120);
  const Error few = error_of([] { load_data(config_of("dense.mat", 151)); });
  CHECK(few.code() == ExitCode::config);
  CHECK(contains(few, "data.folds = 151, but the data set has 150 samples"));
  const Error none = error_of([] { load_data(config_of("nowhere.mat")); });
  CHECK(none.code() == ExitCode::data);
}

TEST_CASE("tabular: what images have is refused, and the other way round") {
  const auto problem = [](const std::string& text) {
    return error_of([&] { parse_config(text, "c.ini", {}); });
  };
  const std::string head = "[data]\ndataset = tabular\n", path = "path = a.mat\n",
                    mlp = "[model]\narchitecture = mlp\n";
  parse_config(head + path + mlp + "[candidates]\nmode = dataset\n", "c.ini", {});
  CHECK(contains(problem(head + mlp), "dataset tabular needs data.path, the .mat file"));
  CHECK(contains(problem(head + path),
                 "c.ini:2: data.dataset = tabular: dataset = tabular has no images for "
                 "wide_resnet; expected architecture = mlp"));
  CHECK(contains(problem(head + path + "fold = 10\n" + mlp), "there is no fold 10 of 10; the first is 0"));
  CHECK(contains(problem(head + path + mlp + "[views]\npad = 2\n"), "have no image steps"));
  CHECK(contains(problem(head + path + mlp + "[candidates]\nmode = instance\n"), "annotator on images"));
  CHECK(contains(problem("[data]\nfold = 1\n"), "folds are for dataset = tabular; cifar10 has"));
  CHECK(contains(problem("[views]\nstrong_noise = 0.1\n"),
                 "are for dataset = safetensors or tabular, not for cifar10"));
}

TEST_CASE("tabular: presets of the views and their overrides") {
  RunConfig config = config_of("dense.mat");
  ViewSetup views = resolve_views(config, 1, 1, 6);
  CHECK(views.weak_features == FeatureRecipe{});
  CHECK(views.strong_features == FeatureRecipe{.noise = 0.2F, .dropout = 0.1F});
  config.views.weak_noise = 0.5;
  config.views.strong_feature_dropout = 0;
  views = resolve_views(config, 1, 1, 6);
  CHECK(views.weak_features == FeatureRecipe{.noise = 0.5F, .dropout = 0});
  CHECK(views.strong_features == FeatureRecipe{.noise = 0.2F, .dropout = 0});
}
