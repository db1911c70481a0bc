// Times every operation of a backend on the layers of the networks, and measures the limits of the machine.
//   bench_ops [NAME ...] [--device cpu|cuda] [--precision f32|f16|bf16] [--list] [--json FILE] [--csv FILE]
//             [--compare OLD.json]
// NAME: part of a benchmark's name, such as preact_conv, "WRN-28-2" or "LeNet conv2/backward"; without a name
// all benchmarks run.
//
// Each result is compared with the float64 reference before it is timed (bench/op_benchmarks.h explains this
// for large operations). The calls rotate through copies of their inputs and outputs that together exceed any
// cache. Google Benchmark chooses the number of calls. A time is that of a batch of calls, measured with the
// clock of the device (CUDA events on a GPU), divided by their number.
#include <benchmark/benchmark.h>

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/observed_call.h"
#include "bench/op_benchmarks.h"
#include "bench/op_report.h"
#include "bench/program.h"
#include "dpll/build_info.h"
#include "dpll/files.h"
#include "train/devices.h"

namespace {

using namespace dpll;
using namespace dpll::bench;

struct Job {
  std::vector<std::string> names;
  std::string device = "cpu", precision = "auto", json, csv, compare;
  int threads = 0, repetitions = 5, rotate_mib = 0;
  double seconds = 0.1;
  bool list = false;
};

// The minimum time of a batch of calls, so that the clock and the start of a device's work do not matter.
constexpr double kShortestBatch = 50e-6;
// Larger than the last-level cache of any present GPU.
constexpr std::size_t kGpuRotation = std::size_t{256} << 20;

std::size_t rotation_bytes(const Job& job, const Backend& backend) {
  if (job.rotate_mib > 0) return static_cast<std::size_t>(job.rotate_mib) << 20;
  if (backend.is_gpu()) return kGpuRotation;
  const long last_level = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return std::max(2 * static_cast<std::size_t>(std::max(last_level, 0L)), std::size_t{64} << 20);
}

// Google Benchmark calls its functions several times to find the number of iterations. Only the last runs
// count, one per repetition.
class Quiet final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& /*context*/) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Iteration) ++repetitions_;
    }
  }
  std::size_t repetitions() const { return repetitions_; }

 private:
  std::size_t repetitions_ = 0;
};

OpFigures time_call(Backend& backend, const std::string& name, const ObservedCall& call, const Job& job) {
  OpFigures figures{.name = name, .measured = {}, .work = call.work};
  const std::size_t rotation = rotation_bytes(job, backend);
  const std::size_t copies = rotation / std::max<std::size_t>(call.bytes, 1) + 2;
  std::vector<std::unique_ptr<CallMemory>> memory;
  std::vector<std::function<void()>> calls;
  for (std::size_t i = 0; i < copies; ++i) {
    memory.push_back(std::make_unique<CallMemory>(backend));
    calls.push_back(call.copy(*memory.back()));
  }
  figures.rotated_bytes = copies * call.bytes;
  // The first round warms up.
  const double all = backend.seconds_of([&] {
    for (const auto& one : calls) one();
  });
  const double once = all / static_cast<double>(copies);
  const int batch = std::max(1, static_cast<int>(kShortestBatch / std::max(once, 1e-9)));
  std::size_t next = 0;
  std::vector<std::vector<double>> runs;
  const auto body = [&](benchmark::State& state) {
    runs.emplace_back();
    for ([[maybe_unused]] auto _ : state) {
      const double seconds = backend.seconds_of([&] {
        for (int i = 0; i < batch; ++i) {
          calls[next]();
          next = (next + 1) % calls.size();
        }
      });
      state.SetIterationTime(seconds);
      runs.back().push_back(seconds / batch);
    }
  };
  // The registry owns what is made here. NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->UseManualTime()
      ->MinTime(job.seconds)
      ->Repetitions(job.repetitions);
  Quiet reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter, nullptr, ".");
  benchmark::ClearRegisteredBenchmarks();
  DPLL_CHECK(reporter.repetitions() > 0 && reporter.repetitions() <= runs.size(), "{} repetitions of {} runs",
             reporter.repetitions(), runs.size());
  runs.erase(runs.begin(), runs.end() - static_cast<std::ptrdiff_t>(reporter.repetitions()));
  figures.measured = measurement_of(runs);
  return figures;
}

// One benchmark with its full name, and whether it was requested.
bool chosen(const Job& job, const std::string& name) {
  return job.names.empty() || std::any_of(job.names.begin(), job.names.end(), [&](const std::string& part) {
           return name.find(part) != std::string::npos;
         });
}

// Error(usage) if a name does not occur in the name of any benchmark.
std::vector<OpBenchmark> choose(const Job& job) {
  std::vector<OpBenchmark> chosen_ones;
  std::vector<std::string> all_names;
  for (OpBenchmark& b : op_benchmarks()) {
    std::vector<std::string> passes;
    for (const std::string& pass : b.passes) {
      all_names.push_back(b.pass_name(pass));
      if (chosen(job, all_names.back())) passes.push_back(pass);
    }
    if (passes.empty()) continue;
    b.passes = passes;
    chosen_ones.push_back(std::move(b));
  }
  for (const std::string& part : job.names) {
    if (std::none_of(all_names.begin(), all_names.end(),
                     [&](const std::string& name) { return name.find(part) != std::string::npos; })) {
      fail(ExitCode::usage, "no benchmark has '{}' in its name; --list shows all {}", part, all_names.size());
    }
  }
  return chosen_ones;
}

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Error(usage) if no backend of the device computes in this type.
Precision precision_of(const Job& job) {
  if (job.precision == "f16" && job.device == "cpu") {
    fail(ExitCode::usage, "--precision f16 needs --device cuda; the CPU computes in f32 or bf16");
  }
  return job.precision == "f32"    ? Precision::f32
         : job.precision == "f16"  ? Precision::f16
         : job.precision == "bf16" ? Precision::bf16
         : job.device == "cpu"     ? Precision::f32
                                   : Precision::automatic;
}

int run(const Job& job) {
  const std::vector<OpBenchmark> benchmarks = choose(job);
  if (job.list) {
    for (const OpBenchmark& b : benchmarks) {
      for (const std::string& pass : b.passes) say(b.pass_name(pass));
    }
    return 0;
  }
  RunConfig::Run choice;
  choice.device = job.device == "cuda" ? DeviceChoice::cuda : DeviceChoice::cpu;
  choice.precision = precision_of(job);
  choice.threads = job.threads;
  const std::unique_ptr<Backend> backend = make_backend(choice);
  OpReport report{.backend = backend->description(), .commit = DPLL_COMMIT, .ceilings = {}, .figures = {}};
  report.ceilings = measure_ceilings(*backend, 5 * job.seconds);
  say(report.backend);
  say(ceilings_line(report.ceilings));
  say(table_header());

  ObservedBackend observed(*backend);
  int wrong = 0;
  for (const OpBenchmark& b : benchmarks) {
    const OpBenchmark::Prepared prepared = b.prepare(backend->product_dtype());
    const std::string complaint = complaint_about(b, prepared, *backend);
    if (!complaint.empty()) {
      ++wrong;
      say("WRONG, not timed: " + complaint);
      continue;
    }
    observed.observe(shown_to([&](const ObservedCall& call) {
      if (std::find(b.passes.begin(), b.passes.end(), call.pass) == b.passes.end()) return;
      report.figures.push_back(time_call(*backend, b.pass_name(call.pass), call, job));
      say(table_row(report.figures.back(), report.ceilings));
    }));
    prepared.run(observed);
    observed.observe({});
  }
  const auto busy = std::count_if(report.figures.begin(), report.figures.end(),
                                  [](const OpFigures& f) { return f.measured.spread > kBusySpread; });
  if (busy > 0) {
    say(fmt::format(
        "{} of {} benchmarks spread by more than {:.0f}%: this machine is too busy to measure them", busy,
        report.figures.size(), 100 * kBusySpread));
  }
  if (!job.compare.empty()) {
    for (const std::string& line : changes_since(job.compare, report)) say(line);
  }
  if (!job.json.empty()) write_file_atomically(job.json, to_json(report));
  if (!job.csv.empty()) write_file_atomically(job.csv, to_csv(report));
  if (wrong > 0) {
    fail(ExitCode::internal, "{} of {} operations differ from the reference", wrong, benchmarks.size());
  }
  return 0;
}

int parse_and_run(int argc, char** argv) {
  Job job;
  CLI::App app{"Times every operation of a backend on the layers of the networks"};
  app.add_option("names", job.names, "Parts of benchmarks' names; all without one");
  app.add_option("--device", job.device, "Backend")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--precision", job.precision, "Of the backend; auto: f32 on the CPU, 16 bits on a GPU")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16"}))
      ->capture_default_str();
  app.add_option("--threads", job.threads, "0: all cores")->capture_default_str();
  app.add_option("--repetitions", job.repetitions, "Of each benchmark; their spread is the noise")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", job.seconds, "Of each repetition, at least")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rotate", job.rotate_mib,
                 "MiB of copies that calls take turns with; 0: twice the last-level cache")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_flag("--list", job.list, "Print the names and stop");
  app.add_option("--json", job.json, "Also write the figures to this file");
  app.add_option("--csv", job.csv, "Also write the table to this file");
  app.add_option("--compare", job.compare, "An older --json file: say what changed beyond noise");
  int exit_code = 0;
  return bench::parsed(app, argc, argv, exit_code) ? run(job) : exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  return dpll::bench::program("bench_ops", argc, argv, parse_and_run);
}
