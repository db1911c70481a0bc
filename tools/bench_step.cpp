// Times a whole training step (augment, forward, objective, backward, update) on random images, and its
// phases.
//   bench_step [--model lenet|wrn-D-K] [--batch 64] [--strong 2] [--classes 10] [--threads 0] [--steps 20]
//   [--device cpu]
//   [--json FILE]
// The figure to compare with tools/peers/torch_plcr.py bench, which times the same job in PyTorch.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "backend/cpu/wait_policy.h"
#include "dpll/build_info.h"
#include "dpll/core/philox.h"
#include "train/devices.h"
#include "train/training_step.h"

namespace {

using namespace dpll;

struct Job {
  std::string model = "wrn-28-2", device = "cpu";
  int batch = 64, strong = 2, classes = 10, threads = 0, steps = 20, warmup = 3;
  std::string json;
};

RunConfig make_config(const Job& job) {
  RunConfig config;
  config.optimiser.batch = job.batch;
  config.views.strong = job.strong;
  config.run.threads = job.threads;
  config.run.device = job.device == "cuda" ? DeviceChoice::cuda : DeviceChoice::cpu;
  std::smatch match;
  if (job.model == "lenet") {
    config.model.architecture = Architecture::lenet;
    config.data.dataset = DatasetKind::fashion_mnist;
  } else if (std::regex_match(job.model, match, std::regex("wrn-(\\d+)-(\\d+)"))) {
    config.model.depth = std::stoi(match[1]);
    config.model.width = std::stoi(match[2]);
    if (config.model.depth < 10 || (config.model.depth - 4) % 6 != 0) {
      fail(ExitCode::usage, "--model {}: depth is not 6n + 4", job.model);
    }
  } else {
    fail(ExitCode::usage, "--model {}: expected lenet or wrn-DEPTH-WIDTH", job.model);
  }
  return config;
}

DataSet random_data(const RunConfig& config, const Job& job) {
  const bool grey = config.model.architecture == Architecture::lenet;
  DataSet data;
  data.kind = config.data.dataset;
  data.classes = job.classes;
  ImageSet& train = data.train;
  train.count = std::int64_t{4} * job.batch;
  train.height = train.width = grey ? 28 : 32;
  train.channels = grey ? 1 : 3;
  PhiloxStream draw(1, Purpose::split, 0, 0, 0);
  train.pixels.resize(static_cast<std::size_t>(train.count * train.image_bytes()));
  for (std::uint8_t& pixel : train.pixels) pixel = static_cast<std::uint8_t>(draw.next() >> 24);
  for (std::int64_t i = 0; i < train.count; ++i) {
    train.labels.push_back(static_cast<std::int32_t>(i % job.classes));
    data.train_origin.push_back(i);
  }
  return data;
}

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

struct Spread {
  double min = 0, median = 0, p90 = 0;
};

Spread spread_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2], times[times.size() * 9 / 10]};
}

int run(const Job& job) {
  const RunConfig config = make_config(job);
  const DataSet data = random_data(config, job);
  const auto backend = make_backend(config.run);
  const ImageSet& train = data.train;
  const int height = static_cast<int>(train.height), channels = static_cast<int>(train.channels);
  const ViewSetup views = resolve_views(config, height, height, channels);
  const auto network = make_network(*backend, config.model, {height, height, channels, job.classes}, false);
  network->state().initialise(1);
  const CandidateSets candidates = uniform_candidates(train.labels, job.classes, 0.3, 1, 2);
  TrainingStep step(*backend, *network, config, views, data, candidates);
  const Buffer arena = backend->allocate(step.arena_bytes(), "the activations");
  step.attach(arena.data());

  std::vector<double> times;
  std::int64_t next = 0;
  const auto one_step = [&] {
    step.run(0, next++ % step.steps_per_epoch(), 0.01, 1);
    backend->synchronize();
  };
  for (int i = 0; i < job.warmup; ++i) one_step();
  for (int i = 0; i < job.steps; ++i) times.push_back(milliseconds(one_step));
  const Spread total = spread_of(times);

  std::printf("%s", fmt::format("{}, batch {} x {} views, {}\n", network->name(), job.batch, job.strong + 1,
                                backend->description())
                        .c_str());
  const double images = job.batch * (job.strong + 1);
  const double gflop = 6 * network->forward_macs() * images * 1e-9;
  std::printf("%s",
              fmt::format("{:<10} {:>10} {:>10} {:>10}\n", "phase", "min ms", "median ms", "p90 ms").c_str());
  const auto row = [](const char* name, const Spread& s) {
    std::printf("%s",
                fmt::format("{:<10} {:>10.3f} {:>10.3f} {:>10.3f}\n", name, s.min, s.median, s.p90).c_str());
  };
  nlohmann::ordered_json json = {{"model", network->name()},
                                 {"batch", job.batch},
                                 {"views", job.strong + 1},
                                 {"backend", backend->description()},
                                 {"commit", DPLL_COMMIT},
                                 {"steps", job.steps},
                                 {"step_ms_min", total.min},
                                 {"step_ms_median", total.median},
                                 {"step_ms_p90", total.p90},
                                 {"images_per_second", images / total.median * 1e3},
                                 {"gflops", gflop / total.median * 1e3}};
  for (const auto& [name, phase] : step.phases()) {
    std::vector<double> phase_times;
    for (int i = 0; i < std::max(3, job.steps / 2); ++i) {
      // Every phase finds what the one before it left: run the whole chain, time this link.
      for (const auto& [other, work] : step.phases()) {
        if (other == name) {
          backend->synchronize();
          phase_times.push_back(milliseconds([&] {
            work();
            backend->synchronize();
          }));
        } else {
          work();
        }
      }
    }
    const Spread s = spread_of(phase_times);
    row(name.c_str(), s);
    json["phases_ms_median"][name] = s.median;
  }
  row("step", total);
  std::printf(
      "%s",
      fmt::format("{:.0f} images/s, {:.1f} GFLOP a step (multiply and add counted, forward + 2 x backward): "
                  "{:.1f} GFLOP/s\n",
                  images / total.median * 1e3, gflop, gflop / total.median * 1e3)
          .c_str());
  if (!job.json.empty()) std::ofstream(job.json) << json.dump(2) << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  cpu::limit_spinning(argv);
  Job job;
  CLI::App app{"Times a training step on random images"};
  app.add_option("--model", job.model, "lenet or wrn-DEPTH-WIDTH")->capture_default_str();
  app.add_option("--batch", job.batch, "Samples a step")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--strong", job.strong, "Strong views beside the weak one")->capture_default_str();
  app.add_option("--classes", job.classes, "Classes")->check(CLI::Range(2, 4096))->capture_default_str();
  app.add_option("--threads", job.threads, "0: all cores")->capture_default_str();
  app.add_option("--device", job.device, "Backend")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--steps", job.steps, "Timed steps")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--json", job.json, "Also write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(job);
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_step: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
