// Scaling curves of training steps, each with its limit drawn in: a PNG and a CSV for every curve.
//   scaling_curves --out FOLDER [--model wrn-16-2] [--only batch views ...] [--quick] [--device cpu|cuda]
//   batch, views          images/s against samples a step and strong views K
//   depth, width          images/s against the network's (WideResNets only)
//   threads               images/s against threads (CPU only)
//   memory-batch, memory-views   what a step plans to keep in memory
//   epoch                 seconds of an epoch, by the trainer itself, against the size of the data set
// The limit of images/s is the speed of a large matrix product in the same run, divided by the operations
// that an image costs (three times its forward pass) where convolutions are summed up plainly: one by
// Winograd's filtering may pass it. All data are random: no step's cost depends on them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "bench/ceilings.h"
#include "bench/profile.h"
#include "bench/program.h"
#include "bench/scaling.h"
#include "bench/step_bench.h"
#include "dpll/build_info.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "selftest/temp_folder.h"
#include "train/devices.h"
#include "train/trainer.h"

namespace {

using namespace dpll;
using namespace dpll::bench;

const std::vector<std::string> kCurves = {"batch",   "views",        "depth",        "width",
                                          "threads", "memory-batch", "memory-views", "epoch"};

struct Job {
  std::string out, model = "wrn-16-2", device = "cpu";
  std::vector<std::string> only;
  int batch = 64, threads = 0, rounds = 3;
  double seconds = 1, ceiling_seconds = 1;
  bool quick = false;
};

// Where the curves are measured.
struct Places {
  std::vector<int> batch, views, depth, width, threads, memory_batch, memory_views, samples;
};

Places places_for(const Job& job, int threads) {
  const bool gpu = job.device == "cuda";
  Places places;
  if (job.quick) {
    places = {{8, 16}, {0, 1}, {10, 16}, {1, 2}, {}, {8, 64}, {0, 2}, {64, 128}};
  } else if (gpu) {
    places = {
        {16, 32, 64, 128, 256, 512}, {0, 1, 2, 4, 8},     {10, 16, 22, 28, 34, 40},   {1, 2, 4, 6, 8, 10}, {},
        {16, 64, 256, 1024, 4096},   {0, 1, 2, 4, 8, 16}, {5000, 10000, 20000, 50000}};
  } else {
    places = {{8, 16, 32, 64, 128, 256}, {0, 1, 2, 4, 6},     {10, 16, 22, 28},       {1, 2, 4}, {},
              {16, 64, 256, 1024},       {0, 1, 2, 4, 8, 16}, {500, 1000, 2000, 4000}};
  }
  for (int n = 1; n < threads; n *= 2) places.threads.push_back(n);
  places.threads.push_back(threads);
  return places;
}

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

struct Speed {
  double images_per_second = 0, least = 0, most = 0;  // of all steps, of the slowest and the fastest round
  double spread = 0;
  double limit = 0;
};

class Curves {
 public:
  explicit Curves(const Job& job) : job_(job), base_(config_of_model(job.model)) {
    base_.run.device = job.device == "cuda" ? DeviceChoice::cuda : DeviceChoice::cpu;
    base_.run.threads = job.threads;
    base_.optimiser.batch = job.batch;
    resolve_devices(base_.run);
    places_ = places_for(job, base_.run.threads);
    const std::unique_ptr<Backend> backend = make_backend(base_.run);
    description_ = backend->description();
    available_ = backend->available_bytes();
    ceilings_ = measure_ceilings(*backend, job.ceiling_seconds);
    say(fmt::format("{}, commit {}", description_, DPLL_COMMIT));
    say(fmt::format("a {n} x {n} product reaches {:.1f} GFLOP/s{}",
                    ceilings_.product_operations_per_second * 1e-9,
                    ceilings_.product_spread > kBusySpread ? "  machine busy" : "",
                    fmt::arg("n", ceilings_.product_size)));
  }

  // Why there is no such curve here, or nothing.
  std::string reason_against(const std::string& name) const {
    const bool wide_resnet = base_.model.architecture == Architecture::wide_resnet;
    if ((name == "depth" || name == "width") && !wide_resnet) return job_.model + " has no " + name;
    if (name == "threads" && base_.run.device != DeviceChoice::cpu) return "threads are the CPU's";
    return "";
  }

  ScalingCurve curve(const std::string& name) {
    if (name == "batch") {
      return speeds(name, "samples a step", true, places_.batch,
                    [](RunConfig& c, int n) { c.optimiser.batch = n; });
    }
    if (name == "views") {
      return speeds(name, "strong views K", false, places_.views,
                    [](RunConfig& c, int n) { c.views.strong = n; });
    }
    if (name == "depth") {
      return speeds(name, "depth", false, places_.depth, [](RunConfig& c, int n) { c.model.depth = n; });
    }
    if (name == "width") {
      return speeds(name, "width", false, places_.width, [](RunConfig& c, int n) { c.model.width = n; });
    }
    if (name == "threads") return threads();
    if (name == "memory-batch") {
      return memory(name, "samples a step", true, places_.memory_batch,
                    [](RunConfig& c, int n) { c.optimiser.batch = n; });
    }
    if (name == "memory-views") {
      return memory(name, "strong views K", false, places_.memory_views,
                    [](RunConfig& c, int n) { c.views.strong = n; });
    }
    return epochs(name);
  }

 private:
  using Change = std::function<void(RunConfig&, int)>;

  ScalingCurve begin(const std::string& name, const std::string& what, const std::string& x_label,
                     bool logarithmic, const std::vector<int>& places) const {
    ScalingCurve curve;
    curve.name = name;
    std::string model = job_.model, fixed;
    if (name == "depth") model = fmt::format("wrn-DEPTH-{}", base_.model.width);
    if (name == "width") model = fmt::format("wrn-{}-WIDTH", depth_of(base_.model));
    if (!name.ends_with("batch")) fixed += fmt::format("{} samples a step, ", base_.optimiser.batch);
    if (!name.ends_with("views")) fixed += fmt::format("K = {}, ", views_of(base_) - 1);
    curve.title = fmt::format("{}: {} against {}", model, what, x_label);
    curve.subtitle = fmt::format("{}{}, commit {}", fixed, description_, DPLL_COMMIT);
    curve.x_label = x_label;
    curve.x_key = name.starts_with("memory-") ? name.substr(7) : name;
    curve.logarithmic_x = logarithmic;
    for (const int n : places) curve.x.push_back(n);
    return curve;
  }

  Speed speed_of(const RunConfig& config, const Ceilings& ceilings) const {
    const DataSet data = noise_data(config, std::int64_t{4} * config.optimiser.batch, 10, 0);
    const CandidateSets candidates = uniform_candidates(data.train.labels, data.classes, 0.3, 1, 2);
    StepBench bench(config, data, candidates);
    const double once = summary_of(bench.time_steps(2)).least;
    const int steps = std::max(2, static_cast<int>(job_.seconds / once));
    std::vector<std::vector<double>> rounds(static_cast<std::size_t>(job_.rounds));
    double fastest = INFINITY, slowest = 0;  // medians of the rounds
    for (std::vector<double>& round : rounds) {
      round = bench.time_steps(steps);
      const double median = summary_of(round).median;
      fastest = std::min(fastest, median);
      slowest = std::max(slowest, median);
    }
    const Measurement measured = measurement_of(rounds);
    const double images = double(config.optimiser.batch) * views_of(config);
    return {.images_per_second = images / measured.seconds.median,
            .least = images / slowest,
            .most = images / fastest,
            .spread = measured.spread,
            .limit = ceilings.product_operations_per_second / (6 * bench.network().forward_macs())};
  }

  static void append(ScalingCurve& curve, const Speed& speed) {
    if (curve.measured.empty()) {
      curve.measured = {{"images_per_s", "measured", {}}};
      curve.not_drawn = {{"slowest_round", "", {}}, {"fastest_round", "", {}}};
    }
    curve.measured[0].y.push_back(speed.images_per_second);
    curve.not_drawn[0].y.push_back(speed.least);
    curve.not_drawn[1].y.push_back(speed.most);
    curve.spread.push_back(speed.spread);
    say(fmt::format("  {} = {:g}: {:.1f} images/s ({:.1f} to {:.1f}), {:.1f}% of the limit{}", curve.x_key,
                    curve.x[curve.spread.size() - 1], speed.images_per_second, speed.least, speed.most,
                    100 * speed.images_per_second / speed.limit,
                    speed.spread > kBusySpread ? "  machine busy" : ""));
  }

  ScalingCurve speeds(const std::string& name, const std::string& x_label, bool logarithmic,
                      const std::vector<int>& places, const Change& change) {
    ScalingCurve curve = begin(name, "images/s", x_label, logarithmic, places);
    curve.y_label = "images/s";
    CurveLine limit{"limit", "", {}};
    for (const int n : places) {
      RunConfig config = base_;
      change(config, n);
      const Speed speed = speed_of(config, ceilings_);
      append(curve, speed);
      limit.y.push_back(speed.limit);
    }
    limit.label = fmt::format("limit of plain sums: a product's {:.0f} GFLOP/s",
                              ceilings_.product_operations_per_second * 1e-9);
    curve.limits.push_back(limit);
    return curve;
  }

  ScalingCurve threads() {
    ScalingCurve curve = begin("threads", "images/s", "threads", false, places_.threads);
    curve.y_label = "images/s";
    CurveLine ideal{"ideal", "ideal: in proportion to one thread", {}};
    CurveLine limit{"limit", "limit of plain sums: a product with as many threads", {}};
    for (const int n : places_.threads) {
      RunConfig config = base_;
      config.run.threads = n;
      const Ceilings ceilings = measure_ceilings(*make_backend(config.run), job_.ceiling_seconds);
      const Speed speed = speed_of(config, ceilings);
      append(curve, speed);
      ideal.y.push_back(curve.measured.front().y.front() * n / places_.threads.front());
      limit.y.push_back(speed.limit);
    }
    curve.limits = {ideal, limit};
    return curve;
  }

  ScalingCurve memory(const std::string& name, const std::string& x_label, bool logarithmic,
                      const std::vector<int>& places, const Change& change) {
    ScalingCurve curve = begin(name, "planned memory", x_label, logarithmic, places);
    curve.y_label = "planned memory (MiB)";
    CurveLine all{"planned_mib", "all that a step keeps", {}},
        activations{"activations_mib", "activations, gradients and workspace", {}},
        limit{"limit_mib",
              fmt::format("memory of this {}: {:.0f} MiB",
                          base_.run.device == DeviceChoice::cpu ? "machine" : "GPU, free",
                          double(available_) / 0x1p20),
              {}};
    // The same data set everywhere, so that only the step differs.
    const std::int64_t samples =
        std::max(base_.optimiser.batch, *std::max_element(places.begin(), places.end()));
    const DataSet data = noise_data(base_, samples, 10, 0);
    const CandidateSets candidates = uniform_candidates(data.train.labels, data.classes, 0.3, 1, 2);
    for (const int n : places) {
      RunConfig config = base_;
      change(config, n);
      const StepBench plan(config, data, candidates, false);
      all.y.push_back(double(plan.planned_bytes()) / 0x1p20);
      activations.y.push_back(double(plan.arena_bytes()) / 0x1p20);
      limit.y.push_back(double(available_) / 0x1p20);
      say(fmt::format("  {} = {}: {:.1f} MiB, {:.1f} of them activations, gradients and workspace",
                      curve.x_key, n, all.y.back(), activations.y.back()));
    }
    curve.measured = {all, activations};
    curve.limits = {limit};
    return curve;
  }

  // Seconds of one epoch of the trainer's over random images, evaluation of a fifth as many included.
  double epoch_seconds(int samples) const {
    const selftest::TempFolder folder;
    RunConfig config = base_;
    const DataSet data = noise_data(config, samples, 10, std::max(1, samples / 5));
    SafetensorsWriter file;
    for (const auto& [prefix, set] :
         {std::pair<std::string, const ImageSet*>{"", &data.train}, {"test_", &data.test}}) {
      file.add(prefix + "images", DType::u8, {set->count, set->height, set->width, set->channels},
               set->pixels.data());
      file.add(prefix + "labels", DType::i32, {set->count}, set->labels.data());
    }
    config.data.path = folder.file("images.safetensors");
    file.write(config.data.path);
    const DatasetKind kind = config.data.dataset;
    config.data.dataset = DatasetKind::safetensors;
    // The views of the published set, in whose stead these images are.
    if (kind == DatasetKind::cifar10) config.views.policy = AugmentPolicy::plcr_cifar;
    config.run.out_dir = folder.path();
    config.run.name = "epoch";
    config.run.epochs = 1;
    config.run.resume = ResumeMode::never;
    config.log.progress = false;
    const Profile profile(nullptr);
    const int code = train(config);
    DPLL_CHECK(code == 0, "exit code {} of an epoch", code);
    return profile.total("epoch", {});
  }

  ScalingCurve epochs(const std::string& name) {
    ScalingCurve curve = begin(name, "seconds of an epoch", "training images", false, places_.samples);
    curve.x_key = "samples";
    curve.y_label = "seconds";
    curve.less_is_better = true;
    CurveLine seconds{"seconds", "measured", {}};
    CurveLine limit{"limit", "limit of plain sums: at the speed of a product", {}};
    const std::unique_ptr<Backend> backend = make_backend(base_.run);
    const bool grey = base_.model.architecture == Architecture::lenet;
    const double macs =
        make_network(*backend, base_.model, {grey ? 28 : 32, grey ? 28 : 32, grey ? 1 : 3, 10}, false)
            ->forward_macs();
    for (const int samples : places_.samples) {
      seconds.y.push_back(epoch_seconds(samples));
      const double images = double(samples) * views_of(base_);
      const double operations = macs * (6 * images + 2 * std::max(1, samples / 5));
      limit.y.push_back(operations / ceilings_.product_operations_per_second);
      say(fmt::format("  {} samples: {:.2f} s, the limit is {:.2f} s", samples, seconds.y.back(),
                      limit.y.back()));
    }
    curve.measured = {seconds};
    curve.limits = {limit};
    return curve;
  }

  Job job_;
  RunConfig base_;
  Places places_;
  std::string description_;
  std::size_t available_ = 0;
  Ceilings ceilings_;
};

int run(const Job& job) {
  for (const std::string& name : job.only) {
    if (std::find(kCurves.begin(), kCurves.end(), name) == kCurves.end())
      fail(ExitCode::usage, "no curve '{}'; there are {}", name, fmt::join(kCurves, ", "));
  }
  Curves curves(job);
  for (const std::string& name : job.only) {
    if (const std::string reason = curves.reason_against(name); !reason.empty())
      fail(ExitCode::usage, "no curve '{}' here: {}", name, reason);
  }
  std::error_code error;
  std::filesystem::create_directories(job.out, error);
  if (error) fail(ExitCode::run, "cannot make the folder '{}': {}", job.out, error.message());
  std::vector<ScalingCurve> all;
  for (const std::string& name : job.only.empty() ? kCurves : job.only) {
    if (const std::string reason = curves.reason_against(name); !reason.empty()) {
      say(fmt::format("{}: skipped, {}", name, reason));
      continue;
    }
    say(name + ":");
    all.push_back(curves.curve(name));
    const std::string file = fmt::format("{}/{}", job.out, name);
    write_file_atomically(file + ".csv", csv_of(all.back()));
    write_png(chart_of(all.back()), file + ".png");
    write_file_atomically(job.out + "/curves.json", json_of(all));
  }
  say(fmt::format("{} curves in {}", all.size(), job.out));
  return 0;
}

int parse_and_run(int argc, char** argv) {
  Job job;
  CLI::App app{"Scaling curves of training steps as PNG and CSV"};
  app.add_option("--out", job.out, "Folder for the files")->required();
  app.add_option("--model", job.model,
                 "lenet or wrn-DEPTH-WIDTH; depth and width change it in one of the two")
      ->capture_default_str();
  app.add_option("--only", job.only, fmt::format("Of {}", fmt::join(kCurves, ", ")));
  app.add_option("--device", job.device, "Backend")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--batch", job.batch, "Samples a step, where that is not what changes")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--threads", job.threads, "0: all cores")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--rounds", job.rounds, "Of each place; their spread is the noise")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  app.add_option("--seconds", job.seconds, "Of each round, at least two steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--ceiling-seconds", job.ceiling_seconds, "Time for each of the machine's limits")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--quick", job.quick, "Few and small places: to see that everything runs");
  int exit_code = 0;
  return bench::parsed(app, argc, argv, exit_code) ? run(job) : exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  return dpll::bench::program("scaling_curves", argc, argv, parse_and_run);
}
