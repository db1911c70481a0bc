#include "dpll/config.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "config/keys.h"
#include "dpll/core/check.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/random_config.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;

namespace {

const std::string kReference = DPLL_SOURCE_DIR "/configs/reference.ini";

RunConfig parsed(const std::string& text, const std::vector<Override>& overrides = {}) {
  return parse_config(text, "dir/a.ini", overrides);
}

Error config_error(const std::string& text, const std::vector<Override>& overrides = {}) {
  Error error = error_of([&] { parsed(text, overrides); });
  CHECK(error.code() == ExitCode::config);
  return error;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("config: reference.ini parses to the defaults") {
  RunConfig expected;
  expected.run.name = "reference";
  CHECK(load_config(kReference, {}) == expected);
}

TEST_CASE(
    "config: reference.ini holds exactly the keys, in order, each with its meaning and what it accepts") {
  RunConfig config;
  const std::vector<Key> keys = bind_keys(config);
  std::string section;
  std::vector<std::string> comment;
  std::vector<std::string> found;
  for (const std::string& line : lines_of(kReference)) {
    if (line.empty()) {
      comment.clear();
    } else if (line[0] == '#') {
      comment.push_back(line);
    } else if (line[0] == '[') {
      section = line.substr(1, line.find(']') - 1);
      comment.clear();
    } else {
      found.push_back(fmt::format("{}.{}", section, line.substr(0, line.find(' '))));
      CAPTURE(found.back());
      const auto key =
          std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == found.back(); });
      REQUIRE(key != keys.end());
      REQUIRE(comment.size() >= 2);
      CHECK(comment[0] == fmt::format("# {}", key->doc));
      const std::string accepts = fmt::format("# ({})", key->accepts);
      CHECK(comment[1].substr(0, accepts.size()) == accepts);
      comment.clear();
    }
  }
  CHECK(found == config_keys());
  CHECK(std::set<std::string>(found.begin(), found.end()).size() == found.size());
}

TEST_CASE("config: an empty section is a configuration of defaults named after the file") {
  RunConfig expected;
  expected.run.name = std::string("a");
  CHECK(parsed("[run]\n") == expected);
  CHECK(parse_config("[run]", "x/y.z/cifar10_q0.3.ini", {}).run.name == "cifar10_q0.3");
  CHECK(parsed("[run]\nname = own\n").run.name == "own");
}

TEST_CASE("config: values reach their members") {
  const RunConfig c = parsed(
      "[run]\nseed = 18446744073709551615\ndevice = check\nresume = yes\n"
      "[data]\ndataset = safetensors\npath = \"x # y\"\ntrain_limit=5\nshuffle = off\n"
      "[candidates]\nmode = dataset\nrate = 0\nseed = 4294967295\n"
      "[views]\nweak_policy = none\nstrong_policy = flip_crop_cutout\ncutout = 0\nmean = .5\nstd = 1\n"
      "[model]\narchitecture = lenet\ndepth = 11\n"
      "[optimiser]\nlr = 1e-3\nlr_decay_epochs = none\nschedule = cosine\n");
  CHECK(c.run.seed == std::numeric_limits<std::uint64_t>::max());
  CHECK(c.run.device == DeviceChoice::check);
  CHECK(c.run.resume == ResumeMode::require);
  CHECK(c.data.dataset == "safetensors");
  CHECK(c.data.path == "x # y");
  CHECK(c.data.train_limit == 5);
  CHECK(!c.data.shuffle);
  CHECK(c.candidates.mode == CandidateMode::dataset);
  CHECK(c.candidates.rate == 0);
  CHECK(c.candidates.seed == 4294967295u);
  CHECK(c.views.weak_policy == ViewPolicy::none);
  CHECK(c.views.strong_policy == ViewPolicy::flip_crop_cutout);
  CHECK(c.views.cutout == 0);
  CHECK(!c.views.pad.has_value());
  CHECK(c.views.mean == std::vector<double>{0.5});
  CHECK(c.views.std == std::vector<double>{1});
  CHECK(c.model.architecture == Architecture::lenet);
  CHECK(c.optimiser.lr == 1e-3);
  CHECK(c.optimiser.lr_decay_epochs.empty());
  CHECK(c.optimiser.schedule == ScheduleKind::cosine);
  for (const char* yes : {"true", "yes", "on", "1"}) {
    CHECK(parsed(std::string("[optimiser]\nnesterov = ") + yes).optimiser.nesterov);
  }
  for (const char* no : {"false", "no", "off", "0"}) {
    CHECK(!parsed(std::string("[log]\ncharts = ") + no).log.charts);
  }
}

TEST_CASE("config: every member has its own key") {
  // Writing one key changes the configuration, and no two keys change it in the same way.
  const std::vector<std::string> keys = config_keys();
  const std::string text = to_ini(parsed("[run]"));
  test::RandomConfig random(3);
  std::vector<bool> changes(keys.size(), false);
  for (int i = 0; i < 200; ++i) {
    RunConfig drawn = random.draw();
    const RunConfig original = drawn;
    const std::vector<Key> bound = bind_keys(drawn);
    for (std::size_t k = 0; k < bound.size(); ++k) {
      RunConfig other;
      const std::vector<Key> target = bind_keys(other);
      CHECK(target[k].parse(bound[k].print()) == "");
      std::size_t differing = 0;
      RunConfig defaults;
      const std::vector<Key> reference = bind_keys(defaults);
      for (std::size_t j = 0; j < target.size(); ++j) {
        if (target[j].print() == reference[j].print()) continue;
        ++differing;
        CHECK(j == k);
      }
      CHECK((other == defaults) == (differing == 0));
      if (differing == 1) changes[k] = true;
    }
    CHECK(drawn == original);
  }
  for (std::size_t k = 0; k < keys.size(); ++k) CHECK_MESSAGE(changes[k], keys[k]);
}

TEST_CASE("config: to_ini and parse_config are inverse on random configurations") {
  test::RandomConfig random(1);
  for (int i = 0; i < 2000; ++i) {
    const RunConfig config = random.draw();
    const std::string text = to_ini(config);
    RunConfig again;
    try {
      again = parse_config(text, "other.ini", {});
    } catch (const Error& error) {
      FAIL(error.what(), "\n", text);
    }
    REQUIRE_MESSAGE(again == config, text);
  }
}

TEST_CASE("config: a method has a section of its own; [objective] keeps PLCR's old keys") {
  const RunConfig config = parsed(
      "[objective]\nmethod = proden\nlambda_max = 3\nvariant = published\n[proden]\nvariant = "
      "published\n[plcr]\nramp_epochs = "
      "7\n[cross_entropy]\n");
  CHECK(config.objective.method == "proden");
  CHECK(std::get<Proden>(config.methods).variant == ObjectiveVariant::published);
  CHECK(std::get<Plcr>(config.methods) ==
        Plcr{.variant = ObjectiveVariant::published, .lambda_max = 3, .ramp_epochs = 7});
  CHECK(parsed(to_ini(config)).methods == config.methods);
  // Those that are not used are checked all the same.
  CHECK(contains(config_error("[objective]\nmethod = proden\n[plcr]\nlambda_max = -1\n"),
                 "dir/a.ini:4: plcr.lambda_max = -1: out of range"));
  CHECK(contains(config_error("[objective]\nlambda_max = -1\n"),
                 "dir/a.ini:2: objective.lambda_max = -1: out of range"));
  CHECK(contains(config_error("[plcr]\nlambda = 1\n"),
                 "unknown key; did you mean plcr.lambda_max or plcr.ramp?"));
  CHECK(contains(config_error("[cross_entropy]\nlambda_max = 1\n"),
                 "unknown key; did you mean plcr.lambda_max?"));
  CHECK(contains(
      config_error("[objective]\nmethod = prodan\n"),
      "dir/a.ini:2: objective.method = prodan: not known; did you mean proden?; expected: one of plcr, "
      "proden, cross_entropy"));
}

TEST_CASE("config: an override of a method that is not used is a warning") {
  const RunConfig config = parsed("[objective]\nmethod = proden\n");
  CHECK(unused_overrides(config, {{"proden.variant", "article"}, {"run.epochs", "3"}}).empty());
  const std::vector<std::string> warnings = unused_overrides(config, {{"plcr.lambda_max", "2"}});
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] == "--set plcr.lambda_max=2 is not used: objective.method is proden");
}

TEST_CASE("config: unknown sections and keys name the nearest") {
  CHECK(contains(config_error("[run]\n[optimizer]\nlr = 1\n"),
                 "dir/a.ini:2: unknown section [optimizer]; did you mean optimiser?"));
  CHECK(contains(config_error("[zzzzzzzz]\n"),
                 "unknown section [zzzzzzzz]; known sections: run, data, candidates, annotator, "
                 "views, model, objective, plcr, proden, "));
  CHECK(contains(config_error("[run]\nepoch = 3\n"),
                 "dir/a.ini:2: run.epoch = 3: unknown key; did you mean run.epochs?"));
  CHECK(contains(config_error("[run]\nlr = 3\n"), "unknown key; did you mean annotator.lr or optimiser.lr?"));
  CHECK(contains(config_error("[run]\nbatch = 3\n"),
                 "did you mean annotator.batch or optimiser.batch or evaluation.batch?"));
  CHECK(contains(config_error("[log]\nqqqqqqqq = 3\n"),
                 "unknown key; known keys of [log]: steps, charts, tensorboard, progress"));
  CHECK(contains(config_error("[run]\n", {{"optimizer.lrr", "1"}}),
                 "--set optimizer.lrr=1: unknown key; did you mean optimiser.lr?"));
  CHECK(contains(config_error("[run]\n", {{"optimizer.lr", "1"}}),
                 "--set optimizer.lr=1: unknown key; did you mean optimiser.lr?"));
}

TEST_CASE("config: wrong values say what would be right") {
  const auto problem = [](const std::string& section, const std::string& line) {
    return config_error(fmt::format("[{}]\n{}\n", section, line));
  };
  CHECK(contains(
      problem("data", "dataset = cifar-10"),
      "dir/a.ini:2: data.dataset = cifar-10: not known; did you mean cifar10?; expected: one of cifar10, "
      "cifar100, svhn,"));
  CHECK(contains(problem("views", "weak_policy = crops"),
                 "one of none, flip_crop, cutout, flip_crop_cutout, preset"));
  CHECK(contains(problem("views", "policy = plcr_cifr"),
                 "not known; did you mean plcr_cifar?; expected: one of "));
  CHECK(contains(problem("views", "rand_m = 31"), "out of range; expected: integer, 0 to 30"));
  CHECK(
      contains(problem("run", "device ="), "run.device = : empty; expected: one of auto, cpu, cuda, check"));
  CHECK(contains(problem("run", "device = CPU"), "did you mean cpu?"));
  CHECK(contains(problem("log", "charts = maybe"), "not a truth value; expected: true or false"));
  CHECK(contains(problem("run", "out_dir ="), "empty; expected: text, not empty"));

  CHECK(contains(problem("run", "epochs = 0"),
                 "run.epochs = 0: out of range; expected: integer, 1 to 1000000"));
  CHECK(contains(problem("run", "epochs = -3"), "out of range"));
  CHECK(contains(problem("run", "epochs = 99999999999999999999"), "out of range"));
  CHECK(contains(problem("run", "epochs = 1e4"),
                 "an integer is written in digits alone, here 10000; expected: integer"));
  CHECK(contains(problem("run", "epochs = 64.0"), "digits alone, here 64"));
  CHECK(contains(problem("run", "epochs = 1.5"), "not an integer"));
  CHECK(contains(problem("run", "epochs = 12x"), "not a number"));
  CHECK(contains(problem("run", "epochs = 1 2"), "not a number"));
  CHECK(contains(problem("run", "epochs = +1"), "not a number"));
  CHECK(contains(problem("run", "epochs = 0x10"), "not a number"));
  CHECK(contains(problem("run", "epochs ="), "empty"));
  CHECK(contains(problem("run", "epochs = -"), "not a number"));
  CHECK(contains(problem("run", "epochs = nan"), "not a number"));
  CHECK(contains(problem("run", "seed = -1"), "out of range; expected: integer, 0 to 18446744073709551615"));
  CHECK(contains(problem("run", "seed = 18446744073709551616"), "out of range"));
  CHECK(contains(problem("candidates", "seed = 4294967296"),
                 "out of range; expected: integer, 0 to 4294967295"));
  CHECK(contains(problem("views", "pad = -1"), "out of range; expected: integer, 0 to 1024, or preset"));
  CHECK(contains(problem("model", "depth = 4"), "wide_resnet needs depth = 6n + 4; the nearest to 4 is 10"));
  CHECK(contains(problem("model", "depth = 1001"), "out of range"));

  CHECK(contains(problem("optimiser", "lr = -0.1"), "out of range; expected: number, 0 to 1000"));
  CHECK(contains(problem("optimiser", "lr = nan"), "not a finite number"));
  CHECK(contains(problem("optimiser", "lr = inf"), "not a finite number"));
  CHECK(contains(problem("optimiser", "lr = 1e999"), "too large or too small for a double"));
  CHECK(contains(problem("optimiser", "lr = 0,1"), "not a number"));
  CHECK(contains(problem("optimiser", "lr = 0.1f"), "not a number"));
  CHECK(contains(problem("optimiser", "lr ="), "empty"));
  CHECK(contains(problem("optimiser", "momentum = 1"), "out of range; expected: number, 0 or more, below 1"));
  CHECK(contains(problem("optimiser", "ema = 1"), "out of range"));
  CHECK(contains(problem("optimiser", "lr_decay_factor = 0"), "expected: number, above 0, at most 1"));
  CHECK(contains(problem("candidates", "rate = 1"), "out of range; expected: number, 0 or more, below 1"));
  CHECK(contains(problem("candidates", "rate = -0.1"), "out of range"));
  CHECK(contains(problem("data", "validation_fraction = 0.91"), "expected: number, 0 to 0.9"));
  CHECK(contains(problem("objective", "lambda_max = -1"), "out of range"));
  CHECK(contains(problem("objective", "lambda_max = inf"), "not a finite number"));

  CHECK(contains(problem("optimiser", "lr_decay_epochs = 1, , 3"), "item 2 is empty"));
  CHECK(contains(problem("optimiser", "lr_decay_epochs = 1,"), "item 2 is empty"));
  CHECK(contains(problem("optimiser", "lr_decay_epochs ="),
                 "empty; expected: integers, 1 to 1000000, separated by commas, or none"));
  CHECK(contains(problem("optimiser", "lr_decay_epochs = 1 2"), "item 1, \"1 2\": not a number"));
  CHECK(contains(problem("optimiser", "lr_decay_epochs = 0, 2"), "item 1, \"0\": out of range"));
  CHECK(contains(problem("views", "std = 1, 0, 1"), "item 2, \"0\": out of range"));
  CHECK(contains(problem("views", "mean = 1, x"), "item 2, \"x\": not a number"));
}

TEST_CASE("config: every architecture has its own depth") {
  for (const auto& [name, depth] : {std::pair{"wide_resnet", 34}, std::pair{"resnet", 32},
                                    std::pair{"resnet18", 18}, std::pair{"preact_resnet18", 18}}) {
    const RunConfig config = parsed(fmt::format("[model]\narchitecture = {}\n", name));
    CHECK(depth_of(config.model) == depth);
    CHECK(!config.model.depth);
  }
  CHECK(depth_of(parsed("[model]\ndepth = 28\n").model) == 28);
}

TEST_CASE("config: keys that contradict each other name the one given last") {
  CHECK(contains(
      config_error("[model]\ndepth = 33\n"),
      "dir/a.ini:2: model.depth = 33: wide_resnet needs depth = 6n + 4; the nearest to 33 are 28 and 34"));
  CHECK(contains(config_error("[model]\ndepth = 11\n"), "the nearest to 11 are 10 and 16"));
  CHECK(contains(config_error("[model]\ndepth = 995\n"), "the nearest to 995 are 994 and 1000"));
  CHECK(parsed("[model]\ndepth = 33\narchitecture = lenet\n").model.depth == 33);
  CHECK(contains(
      config_error("[model]\narchitecture = resnet\ndepth = 34\n"),
      "dir/a.ini:3: model.depth = 34: resnet needs depth = 6n + 2; the nearest to 34 are 32 and 38"));
  CHECK(contains(config_error("[model]\narchitecture = resnet\ndepth = 2\n"), "the nearest to 2 is 8"));
  CHECK(contains(config_error("[model]\ndepth = 34\narchitecture = resnet18\n"),
                 "dir/a.ini:3: model.architecture = resnet18: resnet18 needs depth = 18"));
  CHECK(contains(config_error("[annotator]\narchitecture = resnet\ndepth = 16\n"),
                 "dir/a.ini:3: annotator.depth = 16: resnet needs depth = 6n + 2"));
  CHECK(contains(config_error("[model]\narchitecture = resnet81\n"), "did you mean resnet or resnet18?"));
  CHECK(contains(config_error("[model]\ninit_match = names\n"), "there is no model.init"));
  CHECK(
      contains(config_error("[optimiser]\nlr_decay_epochs = 10, 10\n"), "must increase, but 10 follows 10"));
  CHECK(contains(config_error("[optimiser]\nlr_decay_epochs = 10, 20, 5\n"),
                 "must increase, but 5 follows 20"));
  CHECK(contains(config_error("[candidates]\nmode = file\n"),
                 "dir/a.ini:2: candidates.mode = file: mode file needs candidates.file"));
  CHECK(parsed("[candidates]\nmode = file\nfile = x.csv").candidates.file == "x.csv");
  CHECK(contains(config_error("[candidates]\nmode = dataset\n"),
                 "need data.dataset = safetensors, tabular or folder; cifar10 holds none"));
  CHECK(contains(config_error("[optimiser]\nnesterov = true\nmomentum = 0\n"),
                 "dir/a.ini:3: optimiser.momentum = 0: Nesterov momentum needs momentum above 0"));
  CHECK(contains(config_error("[views]\nmean = 0.5\n"),
                 "dir/a.ini:2: views.mean = 0.5: mean and std must be given together"));
  CHECK(contains(config_error("[views]\nstd = 0.5\n"), "must be given together"));
  CHECK(contains(config_error("[views]\ncrop_scale = 0.2\n"),
                 "dir/a.ini:2: views.crop_scale = 0.2: crop_scale needs two numbers, the least and the "
                 "greatest; here 1 given"));
  CHECK(contains(config_error("[views]\ncrop_ratio = 2, 1\n"),
                 "dir/a.ini:2: views.crop_ratio = 2, 1: crop_ratio needs two numbers, the least and the "
                 "greatest; here 2 is more than 1"));
  CHECK(contains(config_error("[views]\nweak_policy = none\nweak_crop = resized\n"),
                 "dir/a.ini:3: views.weak_crop = resized: weak_crop = resized needs a weak_policy with a "
                 "crop, flip_crop or flip_crop_cutout; weak_policy is none"));
  CHECK(contains(config_error("[views]\nstrong_crop = resized\n", {{"data.dataset", "svhn"}}),
                 "--set data.dataset=svhn: strong_crop = resized needs a strong_policy with a crop"));
  CHECK(parsed("[views]\nstrong_crop = resized\ncrop_scale = 0.2, 1\n").views.crop_scale ==
        std::vector<double>{0.2, 1});
  CHECK(contains(config_error("[views]\nstrong_jitter = 0.8\njitter_brightness = 0\njitter_contrast = 0\n"
                              "jitter_saturation = 0\njitter_hue = 0\n"),
                 "dir/a.ini:6: views.jitter_hue = 0: colour jitter needs a jitter_brightness, "));
  CHECK(contains(config_error("[views]\njitter_hue = 0.6\n"), "out of range"));
  CHECK(contains(config_error("[data]\ndataset = tabular\npath = x.mat\n[model]\narchitecture = mlp\n"
                              "[views]\nweak_grey = 0.2\n"),
                 "dir/a.ini:7: views.weak_grey = 0.2: the views of dataset = tabular have no image steps"));
  CHECK(contains(config_error("[views]\nmean = 0.5\nstd = 1, 1, 1\n"), "mean has 1 and std 3 items"));
  CHECK(contains(
      config_error("[run]\nepochs = 5\n[optimiser]\nwarmup_epochs = 6\n"),
      "dir/a.ini:4: optimiser.warmup_epochs = 6: a warm-up of 6 epochs is longer than the run of 5"));
  CHECK(parsed("[run]\nepochs = 5\n[optimiser]\nwarmup_epochs = 5\n").optimiser.warmup_epochs == 5);
  CHECK(contains(config_error("[optimiser]\nwarmup_epochs = 6\n", {{"run.epochs", "5"}}),
                 "--set run.epochs=5: a warm-up of 6 epochs is longer than the run of 5"));
  CHECK(contains(config_error("[optimiser]\nschedule = cosine\nlr_min = 0.2\n"),
                 "lr_min = 0.2 is more than lr = 0.1"));
  CHECK(contains(config_error("[data]\ncoarse_labels = yes\n"),
                 "coarse_labels is for dataset = cifar100, not for cifar10"));
  CHECK(contains(config_error("[data]\nsvhn_extra = yes\n"),
                 "svhn_extra is for dataset = svhn, not for cifar10"));
  CHECK(contains(config_error("[data]\ndataset = idx\n"), "dataset idx needs data.path"));
}

TEST_CASE("config: the run's name must name a folder") {
  for (const std::string name : {".", "..", "a/b", "/", "../x"}) {
    CHECK(contains(config_error(fmt::format("[run]\nname = {}\n", name)), "cannot name a folder"));
  }
  CHECK(
      contains(config_error(fmt::format("[run]\nname = {}\n", std::string(256, 'a'))), "at most 255 bytes"));
  CHECK(parsed(fmt::format("[run]\nname = {}\n", std::string(255, 'a'))).run.name.size() == 255);
  CHECK(contains(error_of([] { parse_config("[run]", "", {}); }), "run.name \"\" cannot name a folder"));
  CHECK(contains(config_error("[run]\n", {{"run.name", std::string("a\0b", 3)}}), "holds the byte 0x00"));
}

TEST_CASE("config: overrides come after the file, the last wins, and errors say --set") {
  const RunConfig c =
      parsed("[run]\nepochs = 3\n", {{"run.epochs", "4"}, {"run.epochs", "5"}, {"data.path", "a # b"}});
  CHECK(c.run.epochs == 5);
  CHECK(c.data.path == "a # b");
  CHECK(contains(config_error("[run]\n", {{"run.epochs", "x"}}),
                 "--set run.epochs=x: not a number; expected: integer"));
  CHECK(contains(config_error("[run]\nepochs = x\n", {{"run.epochs", "5"}}), "dir/a.ini:2: run.epochs = x"));
  CHECK(contains(config_error("[run]\n", {{"model.depth", "30"}}),
                 "--set model.depth=30: wide_resnet needs depth"));

  const Override setting = parse_override("data.path = a=b ");
  CHECK(setting.key == "data.path");
  CHECK(setting.value == "a=b");
  CHECK(parse_override("run.name=").value == "");
  for (const std::string bad : {"", "=", "run.epochs", "epochs=3", ".x=3", "run.=3", "=run.x"}) {
    CAPTURE(bad);
    const Error error = error_of([&] { parse_override(bad); });
    CHECK(error.code() == ExitCode::usage);
    CHECK(contains(error, "expected --set section.key=value"));
  }
}

TEST_CASE("config: files that cannot be read as a configuration") {
  const test::TempDir dir;
  const auto problem = [](const std::string& path) {
    Error error = error_of([&] { load_config(path, {}); });
    CHECK(error.code() == ExitCode::config);
    CHECK(contains(error, path));
    return error;
  };
  CHECK(contains(problem(dir.file("none.ini")),
                 "cannot read this configuration file: No such file or directory"));
  CHECK(contains(problem(dir.path()), "cannot read this configuration file: Is a directory"));
  write(dir.file("empty.ini"), "");
  CHECK(contains(problem(dir.file("empty.ini")), "holds no configuration"));
  CHECK(contains(problem(dir.file("empty.ini/x.ini")), "Not a directory"));
  write(dir.file("plain.ini"), "hello\n");
  CHECK(contains(problem(dir.file("plain.ini")), ":1: \"hello\" is neither"));
  write(dir.file("long.ini"), std::string((1 << 20) + 1, '\n'));
  CHECK(contains(problem(dir.file("long.ini")), "too long for a configuration file"));
  write(dir.file("good.ini"), "[run]\nepochs = 7\n");
  CHECK(load_config(dir.file("good.ini"), {}).run.epochs == 7);
  CHECK(load_config(dir.file("good.ini"), {}).run.name == "good");
}

TEST_CASE("config: a file without read permission") {
  if (::geteuid() == 0) DPLL_SKIP("root reads every file");
  const test::TempDir dir;
  write(dir.file("a.ini"), "[run]\n");
  REQUIRE(::chmod(dir.file("a.ini").c_str(), 0) == 0);
  CHECK(contains(error_of([&] { load_config(dir.file("a.ini"), {}); }), "Permission denied"));
}

TEST_CASE("config: spellings of the enumerations") {
  CHECK(to_string(ViewPolicy::flip_crop_cutout) == "flip_crop_cutout");
  CHECK(to_string(Architecture::wide_resnet) == "wide_resnet");
  CHECK(to_string(ObjectiveVariant::published) == "published");
  CHECK(to_string(ScheduleKind::cosine) == "cosine");
  CHECK(to_string(DeviceChoice::automatic) == "auto");
  CHECK(to_string(CandidateMode::uniform) == "uniform");
  CHECK(to_string(ResumeMode::never) == "no");
  CHECK(error_of([] { to_string(static_cast<ScheduleKind>(99)); }).code() == ExitCode::internal);
}
