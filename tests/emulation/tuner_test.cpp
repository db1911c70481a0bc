// The tuner on the emulated runtime: ways are plain loops that behave as told and take the time that they are
// told on the emulated clock.
#include "backend/cuda/tuner.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "dpll/files.h"
#include "emulation/reference_library.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::test;
using namespace dpll::emulated_cuda;

namespace {

const ConvolutionShape kShape = {.images = 2,
                                 .height = 5,
                                 .width = 4,
                                 .in_channels = 3,
                                 .out_channels = 4,
                                 .kernel = 3,
                                 .stride = 2,
                                 .pad = 1,
                                 .type = DType::f32};

const std::vector<LoopOffer> kSeveral = {{.name = "plain", .milliseconds = 5},
                                         {.name = "slow", .milliseconds = 80},
                                         {.name = "fast", .milliseconds = 2},
                                         {.name = "wrong", .milliseconds = 1, .behaviour = Behaviour::wrong},
                                         {.name = "absent", .behaviour = Behaviour::cannot_be_built},
                                         {.name = "stops", .behaviour = Behaviour::throws}};

// A tuner with its surroundings, and what it warned of.
struct Bench {
  std::unique_ptr<Runtime> runtime = make_emulated_runtime();
  std::unique_ptr<MathLibrary> library;
  std::vector<std::string> warnings;
  std::unique_ptr<Tuner> tuner;

  Bench(const std::vector<LoopOffer>& ways, TuningOptions options) : library(make_reference_library(ways)) {
    options.warn = [this](const std::string& text) { warnings.push_back(text); };
    tuner = std::make_unique<Tuner>(*runtime, *library, options);
  }
  std::string way(ConvolutionPass pass) const { return tuner->way(kShape, pass)->name(); }
  bool warned_of(const std::string& text) const {
    return std::any_of(warnings.begin(), warnings.end(),
                       [&](const std::string& warning) { return warning.find(text) != std::string::npos; });
  }
};

TuningOptions tuning(const std::string& folder = "") {
  return {.enabled = true, .identity = "this GPU, library 1", .cache_folder = folder};
}

std::string cache_file(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") return entry.path().string();
  }
  return "";
}

std::string text_of(const std::string& file) {
  const std::vector<std::uint8_t> bytes = read_file(file);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("tuner: the fastest way that computes the right thing, for every pass") {
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    for (const ConvolutionPass pass : kAllPasses) {
      if (type != DType::f16 && !is_plain(pass)) continue;
      Bench bench(kSeveral, tuning());
      ConvolutionShape shape = kShape;
      shape.type = type;
      CAPTURE(name_of(pass));
      CAPTURE(dpll::name_of(type));
      CHECK(bench.tuner->way(shape, pass)->name() == "fast");
      REQUIRE(bench.warnings.size() == 2);
      CHECK(bench.warnings[0].find(name_of(pass)) != std::string::npos);
      CHECK(bench.warnings[0].find("2x5x4x3 to 4") != std::string::npos);
      CHECK(bench.warnings[0].find("'wrong' is left out: ") != std::string::npos);
      CHECK(bench.warnings[0].find(" as the host computes it") != std::string::npos);
      CHECK(bench.warnings[1].find("'stops' is left out: this engine does not run") != std::string::npos);
      // What was timed is kept for the table; a hopeless one is timed once.
      const TuningChoices choices = parse_choices(bench.tuner->choices(), "this GPU, library 1");
      REQUIRE(choices.size() == 1);
      const TuningChoice& choice = choices.begin()->second;
      CHECK(choice.operations == 2.0 * 2 * 3 * 2 * 4 * 9 * 3);
      REQUIRE(choice.others.size() == 2);
      CHECK(choice.others[0].name == "plain");
      CHECK(choice.others[1].name == "slow");
      CHECK(choice.others[1].milliseconds == doctest::Approx(80).epsilon(0.01));
      CHECK(choice.rejected.size() == 3);
    }
  }
}

TEST_CASE("tuner: a way that adds to what was there is left out, whether it is the first or not") {
  for (const bool first : {true, false}) {
    std::vector<LoopOffer> ways = {{.name = "plain", .milliseconds = 5},
                                   {.name = "adds", .milliseconds = 1, .behaviour = Behaviour::accumulates}};
    if (first) std::swap(ways[0], ways[1]);
    for (const ConvolutionPass pass :
         {ConvolutionPass::forward, ConvolutionPass::data_gradient, ConvolutionPass::weight_gradient}) {
      Bench bench(ways, tuning());
      CHECK(bench.way(pass) == "plain");
      CHECK(bench.warned_of("'adds' is left out: "));
    }
  }
}

TEST_CASE("tuner: a way that ends the GPU's context ends the tuning, and no other is blamed") {
  Bench bench({{.name = "plain", .milliseconds = 5},
               {.name = "faults", .behaviour = Behaviour::ends_context},
               {.name = "fast", .milliseconds = 1}},
              tuning());
  const Error error = error_of([&] { bench.way(ConvolutionPass::forward); });
  CHECK(std::string(error.what()).find("'faults' ended the GPU's context: an illegal address") !=
        std::string::npos);
  CHECK(bench.warnings.empty());
}

TEST_CASE("tuner: without tuning it is the first way that can be built") {
  Bench bench(
      {{.name = "absent", .behaviour = Behaviour::cannot_be_built}, {.name = "plain"}, {.name = "fast"}},
      {.enabled = false});
  CHECK(bench.way(ConvolutionPass::forward) == "plain");
  CHECK(bench.warnings.empty());
}

TEST_CASE("tuner: no way at all is an error that names pass and shape") {
  Bench bench({}, tuning());
  const Error error = error_of([&] { bench.way(ConvolutionPass::data_gradient); });
  CHECK(error.code() == ExitCode::device);
  CHECK(std::string(error.what()).find("data_gradient of f32 2x5x4x3 to 4 channels, 3x3, stride 2, pad 1") !=
        std::string::npos);
  CHECK(bench.tuner->way(kShape, ConvolutionPass::forward_statistics) == nullptr);
}

TEST_CASE("tuner: a way that changes from run to run is left out where bits must repeat") {
  const std::vector<LoopOffer> ways = {
      {.name = "plain", .milliseconds = 5},
      {.name = "atomic", .milliseconds = 1, .behaviour = Behaviour::different_each_run}};
  Bench strict(ways, tuning());
  CHECK(strict.way(ConvolutionPass::forward) == "plain");
  CHECK(strict.warned_of("not the same bits in a second run"));
  TuningOptions any = tuning();
  any.deterministic = false;
  Bench loose(ways, any);
  CHECK(loose.way(ConvolutionPass::forward) == "atomic");
}

// In float32 one after the other, 65,536 values of means of 30 deviations leave a variance that is off by a
// hundredth. With means of the size of the deviation nothing shows.
TEST_CASE("tuner: statistics whose variance cancels are left out") {
  for (const DType type : {DType::f32, DType::f16}) {
    for (const ConvolutionPass pass :
         {ConvolutionPass::forward_statistics, ConvolutionPass::activated_forward_statistics}) {
      CAPTURE(dpll::name_of(type));
      CAPTURE(name_of(pass));
      const ConvolutionShape shape = {.images = 64,
                                      .height = 32,
                                      .width = 32,
                                      .in_channels = 2,
                                      .out_channels = 3,
                                      .kernel = 1,
                                      .pad = 0,
                                      .type = type};
      Bench bench({{.name = "cancels", .milliseconds = 1, .behaviour = Behaviour::sums_in_order},
                   {.name = "accurate", .milliseconds = 5}},
                  tuning());
      CHECK(bench.tuner->way(shape, pass)->name() == "accurate");
      REQUIRE(bench.warnings.size() == 1);
      // Sums of 65,536 values in float32 are also beyond what the host allows, sums of rounded values are
      // not.
      CHECK(bench.warned_of(type == DType::f16
                                ? "'cancels' is left out: statistics of means of 30 deviations differs in"
                                : "'cancels' is left out: "));
    }
  }
}

TEST_CASE("tuner: a choice that is kept is not timed again") {
  const TempDir folder;
  Bench first(kSeveral, tuning(folder.path()));
  CHECK(first.way(ConvolutionPass::forward) == "fast");
  const std::string kept = text_of(cache_file(folder.path()));
  CHECK(kept == first.tuner->choices());

  // Now another one would be faster.
  const std::vector<LoopOffer> faster = {{.name = "plain", .milliseconds = 1},
                                         {.name = "fast", .milliseconds = 9}};
  Bench second(faster, tuning(folder.path()));
  CHECK(second.way(ConvolutionPass::forward) == "fast");
  CHECK(second.warnings.empty());
  CHECK(text_of(cache_file(folder.path())) == kept);
  // A pass that is not in it is.
  CHECK(second.way(ConvolutionPass::data_gradient) == "plain");

  // The run's own copy comes before the cache, and needs neither it nor tuning.
  Bench other(faster, tuning());
  CHECK(other.way(ConvolutionPass::forward) == "plain");
  TuningOptions repeated = tuning(folder.path());
  repeated.known_choices = other.tuner->choices();
  CHECK(Bench(faster, repeated).way(ConvolutionPass::forward) == "plain");
  repeated = {.enabled = false, .identity = "this GPU, library 1", .known_choices = kept};
  CHECK(Bench(faster, repeated).way(ConvolutionPass::forward) == "fast");
}

TEST_CASE("tuner: a cache that is damaged or of another library is replaced, with a warning") {
  const TempDir folder;
  Bench(kSeveral, tuning(folder.path())).way(ConvolutionPass::forward);
  const std::string file = cache_file(folder.path());
  const std::string good = text_of(file);
  const std::string foreign = R"({"identity": "this GPU, library 2", "choices": {}})";
  for (const std::string& text :
       {std::string(), std::string("{"), good.substr(0, good.size() / 2), std::string("[1, 2]"),
        std::string(R"({"identity": "this GPU, library 1", "choices": {"forward": {"name": 3}}})"),
        foreign}) {
    CAPTURE(text);
    std::ofstream(file, std::ios::binary) << text;
    Bench bench(kSeveral, tuning(folder.path()));
    CHECK(bench.warnings.size() == 1);
    CHECK(bench.warned_of("is not used and will be replaced: it is "));
    CHECK(bench.warned_of(text == foreign ? "of 'this GPU, library 2', not of" : "damaged"));
    CHECK(bench.way(ConvolutionPass::forward) == "fast");
    CHECK(text_of(file) == good);
  }
  // The run's copy likewise.
  TuningOptions repeated = tuning();
  repeated.known_choices = foreign;
  Bench bench(kSeveral, repeated);
  CHECK(bench.warned_of("the run's tuning is not used: it is of 'this GPU, library 2'"));
  CHECK(bench.way(ConvolutionPass::forward) == "fast");
}

TEST_CASE("tuner: a kept way that is not offered any more is looked for again") {
  const TempDir folder;
  Bench(kSeveral, tuning(folder.path())).way(ConvolutionPass::forward);
  const std::vector<LoopOffer> others = {{.name = "plain", .milliseconds = 5},
                                         {.name = "new", .milliseconds = 3}};
  Bench bench(others, tuning(folder.path()));
  CHECK(bench.way(ConvolutionPass::forward) == "new");
  CHECK(bench.warned_of("'fast' is not there any more"));
  CHECK(Bench(others, tuning(folder.path())).way(ConvolutionPass::forward) == "new");
}

TEST_CASE("tuner: a cache that cannot be written is said once and changes nothing") {
  const TempDir folder;
  std::ofstream(folder.path() + "/file") << "in the way";
  Bench bench(kSeveral, tuning(folder.path() + "/file"));
  CHECK(bench.way(ConvolutionPass::forward) == "fast");
  CHECK(bench.way(ConvolutionPass::data_gradient) == "fast");
  CHECK(std::count_if(bench.warnings.begin(), bench.warnings.end(), [](const std::string& warning) {
          return warning.find("the tuning is not kept") != std::string::npos;
        }) == 1);
}

TEST_CASE("tuner: the host is the measure, whatever the majority computes") {
  const std::vector<LoopOffer> ways = {{.name = "wrong 1", .milliseconds = 1, .behaviour = Behaviour::wrong},
                                       {.name = "wrong 2", .milliseconds = 2, .behaviour = Behaviour::wrong},
                                       {.name = "plain", .milliseconds = 5}};
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    ConvolutionShape shape = kShape;
    shape.type = type;
    CAPTURE(dpll::name_of(type));
    for (const ConvolutionPass pass : kAllPasses) {
      CAPTURE(name_of(pass));
      Bench bench(ways, tuning());
      CHECK(bench.tuner->way(shape, pass)->name() == "plain");
      CHECK(bench.warned_of("'wrong 1' is left out: "));
      CHECK(bench.warned_of(" as the host computes it"));
      // None is right: an error for what cannot be done without, and no fused pass.
      Bench hopeless({ways[0], ways[1]}, tuning());
      if (is_plain(pass)) {
        const Error error = error_of([&] { hopeless.tuner->way(shape, pass); });
        CHECK(error.code() == ExitCode::device);
        CHECK(std::string(error.what()).find("none of 2 ways to compute ") != std::string::npos);
      } else {
        CHECK(hopeless.tuner->way(shape, pass) == nullptr);
      }
    }
  }
}

TEST_CASE("tuner: products have a contest too") {
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    for (const bool transposed : {false, true}) {
      const ProductShape shape = {.m = 5,
                                  .n = 7,
                                  .k = 30,
                                  .transposed_a = transposed,
                                  .transposed_b = !transposed,
                                  .type = type,
                                  .out = type};
      Bench bench(kSeveral, tuning());
      bench.tuner->product(shape);
      const TuningChoices choices = parse_choices(bench.tuner->choices(), "this GPU, library 1");
      REQUIRE(choices.size() == 1);
      CHECK(choices.begin()->first.find("product of 5 x 30 by 30 x 7") != std::string::npos);
      CHECK(choices.begin()->second.name == "fast");
      CHECK(choices.begin()->second.operations == 2.0 * 5 * 30 * 7);
      CHECK(bench.warned_of("'wrong' is left out: the product[34] is "));
      CHECK(bench.warned_of("'stops' is left out: this algorithm does not run"));
    }
  }
  Bench none({}, tuning());
  CHECK(error_of([&] { none.tuner->product({.m = 2, .n = 3, .k = 4}); }).code() == ExitCode::device);
}

TEST_CASE("tuner: what is not timed is run and measured once, where asked to") {
  const std::vector<LoopOffer> ways = {{.name = "wrong", .behaviour = Behaviour::wrong},
                                       {.name = "stops", .behaviour = Behaviour::throws},
                                       {.name = "plain"}};
  TuningOptions options = {.prove = true, .identity = "this GPU, library 1"};
  Bench untuned(ways, options);
  CHECK(untuned.way(ConvolutionPass::forward) == "plain");
  CHECK(untuned.warned_of("'wrong' is left out: "));
  CHECK(untuned.warned_of("'stops' is left out: "));
  CHECK(untuned.tuner->proven() == 1);

  // A choice that was right once, with other engines behind its name.
  Bench before({{.name = "wrong", .milliseconds = 1}, {.name = "plain", .milliseconds = 2}}, tuning());
  CHECK(before.way(ConvolutionPass::forward) == "wrong");
  options.known_choices = before.tuner->choices();
  Bench later(ways, options);
  CHECK(later.way(ConvolutionPass::forward) == "plain");
  CHECK(parse_choices(later.tuner->choices(), "this GPU, library 1").empty());

  options.known_choices = "";
  Bench hopeless({ways[0], ways[1]}, options);
  const Error error = error_of([&] { hopeless.way(ConvolutionPass::forward); });
  CHECK(std::string(error.what()).find("none of 2 ways to compute forward of f32 2x5x4x3") !=
        std::string::npos);
}

TEST_CASE("tuner: after its time little is tried any more") {
  TuningOptions options = tuning();
  options.seconds = 20;  // two for the first contest, and one at least for all others
  options.now = [] { return emulated_milliseconds() / 100; };
  std::vector<std::string> said;
  options.progress = [&](const std::string& text) { said.push_back(text); };
  std::vector<LoopOffer> ways;
  for (int i = 0; i < 10; ++i) ways.push_back({.name = "way " + std::to_string(i), .milliseconds = 10.0 - i});
  Bench bench(ways, options);
  bench.way(ConvolutionPass::forward);
  const TuningChoices choices = parse_choices(bench.tuner->choices(), "this GPU, library 1");
  const std::size_t tried = choices.begin()->second.others.size() + 1;
  CHECK(tried == 1);  // the first takes two runs, eleven in a graph, and those for its time
  REQUIRE(!said.empty());
  CHECK(said.front().starts_with("tuning forward of f32 2x5x4x3 to 4 channels"));
  CHECK(said.front().ends_with(": 1 of 10"));
}

TEST_CASE("tuner: jobs that share a folder add to what the others found") {
  const TempDir folder;
  Bench first(kSeveral, tuning(folder.path())), second(kSeveral, tuning(folder.path()));
  first.way(ConvolutionPass::forward);
  second.way(ConvolutionPass::data_gradient);
  first.way(ConvolutionPass::weight_gradient);
  CHECK(parse_choices(text_of(cache_file(folder.path())), "this GPU, library 1").size() == 3);
}

namespace {

std::vector<std::string> notes_in(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

// Runs `body` in a process of its own; how that ended.
int status_of(const std::function<void()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGTERM, SIG_DFL);  // which the test program handles
    body();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("tuner: a way during whose trial two processes died is not tried again") {
  const TempDir folder;
  const std::vector<LoopOffer> ways = {{.name = "plain", .milliseconds = 5},
                                       {.name = "deadly", .milliseconds = 1, .behaviour = Behaviour::kills}};
  for (int death = 1; death <= 2; ++death) {
    const int status = status_of([&] { Bench(ways, tuning(folder.path())).way(ConvolutionPass::forward); });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);
    CHECK(notes_in(folder.path(), "trying-").size() == 1);
    CHECK(notes_in(folder.path(), "died-").size() == static_cast<std::size_t>(death - 1));
  }
  Bench bench(ways, tuning(folder.path()));
  CHECK(bench.way(ConvolutionPass::forward) == "plain");
  CHECK(bench.warned_of("'deadly' is left out: 2 processes ended while they tried it (files died-* in '"));
  CHECK(notes_in(folder.path(), "trying-").empty());
  CHECK(notes_in(folder.path(), "died-").size() == 2);
  // Of another pass nothing is known.
  CHECK(WIFSIGNALED(
      status_of([&] { Bench(ways, tuning(folder.path())).way(ConvolutionPass::data_gradient); })));
}

TEST_CASE("tuner: whoever is asked to stop takes his note along, and lost contexts leave one") {
  const TempDir folder;
  const std::vector<LoopOffer> stopped = {{.name = "stopped", .behaviour = Behaviour::asks_to_stop}};
  for (int i = 0; i < 3; ++i) {
    const int status =
        status_of([&] { Bench(stopped, tuning(folder.path())).way(ConvolutionPass::forward); });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGTERM);
  }
  CHECK(notes_in(folder.path(), "trying-").empty());
  CHECK(notes_in(folder.path(), "died-").empty());

  const std::vector<LoopOffer> lost = {{.name = "plain", .milliseconds = 5},
                                       {.name = "faults", .behaviour = Behaviour::ends_context}};
  for (int i = 0; i < 2; ++i) {
    const int status = status_of([&] {
      Bench bench(lost, tuning(folder.path()));
      error_of([&] { bench.way(ConvolutionPass::forward); });
    });
    CHECK(status == 0);
  }
  Bench bench(lost, tuning(folder.path()));
  CHECK(bench.way(ConvolutionPass::forward) == "plain");
  CHECK(bench.warned_of("'faults' is left out: 2 processes ended"));
}
