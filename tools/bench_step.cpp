// Times whole training steps and where their time goes, of a configuration file or of a network on random
// images, beside the limits of the machine.
//   bench_step config.ini [--set section.key=value ...] [--epoch]
//   bench_step --model lenet|wrn-D-K [--batch 64] [--strong 2] [--classes 10]
//   both: [--threads 0] [--device cpu|cuda] [--precision f32] [--steps 20] [--json FILE]
//         [--profile TRACE.json] [--tuning-seconds 120]
// The step's time is the figure to compare with tools/peers/torch_plcr.py bench, which times the same job in
// PyTorch. --epoch trains one epoch as dpll_engine does, with everything that belongs to it. --profile writes
// phases and layers as nested slices for ui.perfetto.dev.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/ceilings.h"
#include "bench/profile.h"
#include "bench/program.h"
#include "bench/step_bench.h"
#include "dpll/build_info.h"
#include "dpll/files.h"
#include "selftest/temp_folder.h"
#include "train/make_candidates.h"
#include "train/trainer.h"

namespace {

using namespace dpll;
using namespace dpll::bench;

struct Job {
  std::string config, model = "wrn-28-2", device, precision;
  std::vector<std::string> overrides;
  int batch = 64, strong = 2, classes = 10, threads = -1, steps = 20, warmup = 3;
  double ceiling_seconds = 0.5, tuning_seconds = -1;
  bool epoch = false;
  std::string json, profile;
};

const std::vector<std::string> kStepPhases = {"augment", "forward", "objective", "backward", "update"};
const std::vector<std::string> kPhases = {"augment",  "forward", "objective",
                                          "backward", "update",  "evaluation"};

RunConfig make_config(const Job& job) {
  RunConfig config;
  if (!job.config.empty()) {
    std::vector<Override> overrides;
    for (const std::string& argument : job.overrides) overrides.push_back(parse_override(argument));
    config = load_config(job.config, overrides);
  } else {
    config = config_of_model(job.model);
    config.optimiser.batch = job.batch;
    config.views.strong = job.strong;
  }
  if (!job.device.empty()) config.run.device = job.device == "cuda" ? DeviceChoice::cuda : DeviceChoice::cpu;
  if (!job.precision.empty()) {
    config.run.precision = job.precision == "bf16"   ? Precision::bf16
                           : job.precision == "f16"  ? Precision::f16
                           : job.precision == "tf32" ? Precision::tf32
                                                     : Precision::f32;
  }
  if (job.threads >= 0) config.run.threads = job.threads;
  if (job.tuning_seconds >= 0) config.run.tuning_seconds = job.tuning_seconds;
  resolve_devices(config.run);
  return config;
}

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Milliseconds of each phase, and of the host: what is left of `total` seconds.
nlohmann::ordered_json split_by_phase(const Profile& profile, const std::vector<std::string>& phases,
                                      double total, double times) {
  nlohmann::ordered_json split;
  double inside = 0;
  for (const std::string& phase : phases) {
    const double seconds = profile.total(phase, phases);
    inside += seconds;
    split[phase] = seconds / times * 1e3;
  }
  split["host"] = (total - inside) / times * 1e3;
  return split;
}

// One epoch by the trainer itself, in a folder that is removed.
nlohmann::ordered_json train_an_epoch(RunConfig config) {
  const selftest::TempFolder folder;
  config.run.out_dir = folder.path();
  config.run.name = "epoch";
  config.run.epochs = 1;
  config.run.resume = ResumeMode::never;
  config.log.progress = false;
  const Profile profile(nullptr);
  const int code = train(config);
  DPLL_CHECK(code == 0, "exit code {} of an epoch", code);
  const double seconds = profile.total("epoch", {});
  nlohmann::ordered_json epoch = {{"seconds", seconds}};
  epoch["phases_ms"] = split_by_phase(profile, kPhases, seconds, 1);
  return epoch;
}

std::int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

void print_phases(const nlohmann::ordered_json& split, double total_ms,
                  const std::map<std::string, Work>& work) {
  std::string header = fmt::format("{:<11} {:>10} {:>7}", "phase", "mean ms", "share");
  if (!work.empty()) header += fmt::format(" {:>10} {:>10} {:>8} {:>9}", "bytes", "op", "GB/s", "GFLOP/s");
  say(header);
  for (const auto& [name, ms] : split.items()) {
    const double milliseconds = ms.get<double>();
    std::string row =
        fmt::format("{:<11} {:>10.3f} {:>6.1f}%", name, milliseconds, 100 * milliseconds / total_ms);
    const auto counted = work.find(name);
    if (counted != work.end() && milliseconds > 0) {
      const Work& w = counted->second;
      row += fmt::format(" {:>8.2f}MB {:>9.3f}G {:>8.2f} {:>9.1f}", w.bytes * 1e-6, w.operations * 1e-9,
                         w.bytes / milliseconds * 1e-6, w.operations / milliseconds * 1e-6);
    }
    say(row);
  }
}

int run(const Job& job) {
  const RunConfig config = make_config(job);
  if (job.epoch && job.config.empty()) fail(ExitCode::usage, "--epoch needs a configuration file");
  const DataSet data = job.config.empty() ? noise_data(config, std::int64_t{4} * job.batch, job.classes,
                                                       std::int64_t{4} * job.batch)
                                          : load_data(config);
  const CandidateSets candidates = job.config.empty()
                                       ? uniform_candidates(data.train.labels, data.classes, 0.3, 1, 2)
                                       : make_candidates(config, data, say);
  StepBench bench(config, data, candidates);
  ObservedBackend& backend = bench.backend();
  bench.time_steps(job.warmup);
  const Times step = summary_of(bench.time_steps(job.steps));
  const std::map<std::string, Work> work = bench.count_work();
  Work all_work;
  for (const auto& [name, w] : work) all_work += w;

  const int views = views_of(config);
  const double images = double(config.optimiser.batch) * views;
  const double operations = 6 * bench.network().forward_macs() * images;
  const int profiled = std::max(3, job.steps / 2);
  Profile profile(backend.is_gpu() ? &backend : nullptr);
  const double profiled_seconds = bench.profile_steps(profiled);
  const double profiled_ms = profiled_seconds / profiled * 1e3;
  const nlohmann::ordered_json split = split_by_phase(profile, kStepPhases, profiled_seconds, profiled);
  double evaluation_seconds = 0;
  if (bench.test()) {
    evaluation_seconds = wall_seconds_of(backend, [&] { bench.test()->run(); });
  }
  const double epoch_estimate = double(bench.step().steps_per_epoch()) * step.median + evaluation_seconds;

  const std::int64_t peak_rss = peak_rss_bytes();  // before the large buffers of the ceilings
  const Ceilings ceilings = measure_ceilings(backend.inner(), job.ceiling_seconds);
  const double gap = kernel_gap_seconds(backend.inner());
  const double per_second = operations / step.median;

  nlohmann::ordered_json json = {{"tool", "bench_step"},
                                 {"model", bench.network().name()},
                                 {"batch", config.optimiser.batch},
                                 {"views", views},
                                 {"backend", backend.description()},
                                 {"commit", DPLL_COMMIT},
                                 {"steps", job.steps},
                                 {"step_ms_min", step.least * 1e3},
                                 {"step_ms_median", step.median * 1e3},
                                 {"step_ms_p90", step.p90 * 1e3},
                                 {"images_per_second", images / step.median},
                                 {"gflops", per_second * 1e-9},
                                 {"model_operations", operations},
                                 {"product_ceiling_gflops", ceilings.product_operations_per_second * 1e-9},
                                 {"copy_ceiling_gb_per_s", ceilings.copy_bytes_per_second * 1e-9},
                                 {"kernel_gap_us", gap * 1e6},
                                 {"mfu_percent", 100 * per_second / ceilings.product_operations_per_second},
                                 {"bytes", all_work.bytes},
                                 {"operations", all_work.operations},
                                 {"profiled_step_ms", profiled_ms},
                                 {"phases_ms", split}};
  for (const auto& [name, w] : work) {
    json["phases_bytes"][name] = w.bytes;
    json["phases_operations"][name] = w.operations;
  }
  json["evaluation"] = {{"images", bench.test() ? data.test.count : 0}, {"seconds", evaluation_seconds}};
  json["epoch_estimate"] = {{"steps", bench.step().steps_per_epoch()}, {"seconds", epoch_estimate}};
  json["memory"] = {{"activations_bytes", bench.arena_bytes()},
                    {"backend_peak_bytes", backend.peak_bytes()},
                    {"host_peak_rss_bytes", peak_rss}};

  say(fmt::format("{}, batch {} x {} views, {}", bench.network().name(), config.optimiser.batch, views,
                  backend.description()));
  say(fmt::format("step: median {:.3f} ms, p90 {:.3f}, least {:.3f}; {:.0f} images/s{}", step.median * 1e3,
                  step.p90 * 1e3, step.least * 1e3, images / step.median,
                  step.p90 > (1 + kBusySpread) * step.least ? "  machine busy" : ""));
  say(fmt::format(
      "model: {:.1f} GFLOP a step (multiply and add counted, forward + 2 x backward): {:.1f} GFLOP/s, "
      "{:.1f}% of the {:.1f} GFLOP/s that a {n} x {n} product reaches in this run",
      operations * 1e-9, per_second * 1e-9, 100 * per_second / ceilings.product_operations_per_second,
      ceilings.product_operations_per_second * 1e-9, fmt::arg("n", ceilings.product_size)));
  say(fmt::format("bytes: {:.1f} MB a step at least, {:.2f} GB/s; a copy reaches {:.2f} GB/s",
                  all_work.bytes * 1e-6, all_work.bytes / step.median * 1e-9,
                  ceilings.copy_bytes_per_second * 1e-9));
  if (backend.is_gpu()) {
    say(fmt::format("an empty kernel takes {:.2f} us in a recorded sequence", gap * 1e6));
  }
  print_phases(split, profiled_ms, work);
  if (bench.test()) {
    say(fmt::format("evaluation: {} samples in {:.3f} s, {:.0f} images/s", data.test.count,
                    evaluation_seconds, double(data.test.count) / evaluation_seconds));
  }
  say(fmt::format("epoch, from these figures: {} steps and an evaluation, {:.2f} s",
                  bench.step().steps_per_epoch(), epoch_estimate));
  say(fmt::format(
      "memory: {:.1f} MiB of the backend's ({:.1f} MiB activations), {:.1f} MiB of the host's (peak)",
      double(backend.peak_bytes()) / 0x1p20, double(bench.arena_bytes()) / 0x1p20,
      double(peak_rss) / 0x1p20));
  if (!job.profile.empty()) write_file_atomically(job.profile, profile.chrome_trace(bench.network().name()));
  if (job.epoch) {
    json["epoch"] = train_an_epoch(config);
    const double seconds = json["epoch"]["seconds"];
    say(fmt::format("epoch, as trained: {:.2f} s", seconds));
    print_phases(json["epoch"]["phases_ms"], seconds * 1e3, {});
  }
  if (!job.json.empty()) write_file_atomically(job.json, json.dump(2) + "\n");
  return 0;
}

int parse_and_run(int argc, char** argv) {
  Job job;
  CLI::App app{"Times training steps, of a configuration or on random images"};
  CLI::Option* file = app.add_option("config", job.config, "Configuration file (INI)")->type_name("FILE");
  app.add_option("--set", job.overrides, "Override a key of it: --set section.key=value (may be repeated)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->needs(file);
  app.add_option("--model", job.model, "lenet, resnet18, preact_resnet18, resnet-DEPTH or wrn-DEPTH-WIDTH")
      ->capture_default_str()
      ->excludes(file);
  app.add_option("--batch", job.batch, "Samples a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->excludes(file);
  app.add_option("--strong", job.strong, "Strong views beside the weak one")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->excludes(file);
  app.add_option("--classes", job.classes, "Classes")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str()
      ->excludes(file);
  app.add_option("--threads", job.threads, "0: all cores; instead of run.threads")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--device", job.device, "Backend, instead of run.device")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--precision", job.precision, "Instead of run.precision")
      ->check(CLI::IsMember({"f32", "tf32", "f16", "bf16"}));
  app.add_option("--steps", job.steps, "Timed steps")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--ceiling-seconds", job.ceiling_seconds, "Time for each of the machine's limits")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--tuning-seconds", job.tuning_seconds,
                 "On a GPU: time to choose its engines, 0: no limit; instead of run.tuning_seconds")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--epoch", job.epoch, "Also train one epoch, with everything that belongs to it");
  app.add_option("--json", job.json, "Also write the figures to this file");
  app.add_option("--profile", job.profile, "Write a trace of the phases and layers to this file");
  int exit_code = 0;
  return bench::parsed(app, argc, argv, exit_code) ? run(job) : exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  return dpll::bench::program("bench_step", argc, argv, parse_and_run);
}
