#include "selftest/qualify.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "backend/gpu_port.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "selftest/golden_checks.h"
#include "selftest/network_checks.h"
#include "train/devices.h"
#include "train/program_specs.h"
#include "train/qualification.h"

namespace dpll::selftest {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

void answer(const json& object) {
  const std::string line = object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t count = write(kReportDescriptor, line.data() + at, line.size() - at);
    if (count <= 0) _exit(static_cast<int>(ExitCode::run));  // nobody listens any more
    at += static_cast<std::size_t>(count);
  }
}

void say_progress(const std::string& text) {
  answer({{"progress", text}});
}

void say_warning(const std::string& text) {
  answer({{"warning", text}});
}

std::string standard_input() {
  std::string text;
  char bytes[65536];
  for (std::size_t count = 0; (count = std::fread(bytes, 1, sizeof bytes, stdin)) > 0;)
    text.append(bytes, count);
  return text;
}

// The GPU that the run names, or the one with the most free memory; makes contexts where there are several.
// Nothing, with `why`, where there is none that can be used.
std::optional<GpuFacts> choose_gpu(GpuPort& port, int index, std::string& why) {
  std::vector<GpuFacts> gpus = port.list();
  const auto unsuitable = [](const GpuFacts& gpu) {
    return fmt::format("{} is sm_{}, sm_80 is the oldest that is supported", gpu.name, gpu.architecture);
  };
  if (index >= 0) {
    const auto named =
        std::find_if(gpus.begin(), gpus.end(), [&](const GpuFacts& gpu) { return gpu.index == index; });
    if (named == gpus.end()) {
      why = fmt::format("there is no GPU {}; they are counted from 0, and {} visible", index,
                        gpus.size() == 1 ? "one is" : fmt::format("{} are", gpus.size()));
      return std::nullopt;
    }
    why = named->supported ? "" : unsuitable(*named);
    return named->supported ? std::optional(*named) : std::nullopt;
  }
  for (const GpuFacts& gpu : gpus) why = gpu.supported ? why : unsuitable(gpu);
  std::erase_if(gpus, [](const GpuFacts& gpu) { return !gpu.supported; });
  if (gpus.size() <= 1) return gpus.empty() ? std::nullopt : std::optional(gpus.front());
  std::optional<GpuFacts> best;
  std::size_t most = 0;
  for (const GpuFacts& gpu : gpus) {
    try {
      const std::size_t free = port.free_bytes(gpu.index);
      if (best && free <= most) continue;
      best = gpu;
      most = free;
    } catch (const Error& error) {
      why = error.what();  // in use by somebody alone, perhaps: another one may do
    }
  }
  return best;
}

GpuOptions options_of(const RunConfig::Run& run, const GpuFacts& gpu) {
  return {.index = gpu.index,
          .compute = compute_type(run.precision),
          .tf32 = run.precision == Precision::tf32,
          .deterministic = run.deterministic,
          .warn = say_warning,
          .progress = say_progress};
}

// Goldens of every operation and trajectories, in the run's precision; how many of them.
int check_all_operations(GpuPort& port, const GpuOptions& options) {
  const std::unique_ptr<Backend> backend = port.make(options);
  int passed = 0;
  check_operations(*backend, [&](const CheckResult& result) {
    say_progress(result.text);
    if (result.verdict == Verdict::failed) throw WrongNumbers{"golden values", result.text};
    passed += result.verdict == Verdict::passed ? 1 : 0;
  });
  return passed;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::localtime(&now));
  return text;
}

// On what the verdict depends. A rebuilt program is another one.
std::string key_of(const RunConfig& config, const GpuFacts& gpu, const std::string& libraries,
                   const DataSet& data) {
  const std::vector<std::uint8_t> program = read_file("/proc/self/exe");
  std::string specs;
  for (const ProgramSpec& spec : program_specs(config, data)) {
    specs +=
        fmt::format(" {} {}x{}", spec.mode == Mode::train ? "train" : "evaluate", spec.views, spec.batch);
  }
  const RunConfig::Model& m = config.model;
  return fmt::format("{} {}; {}; program {}; {}{}; {} {} {}x{} {}{}{}{}; images {}x{}x{}, {} classes;{}",
                     gpu.name, gpu.uuid, libraries, sha256_hex(program.data(), program.size()).substr(0, 32),
                     to_string(config.run.precision), config.run.deterministic ? ", deterministic" : "",
                     to_string(m.architecture), depth_of(m), m.width, m.dropout, m.hidden.size(),
                     m.channels > 0 ? fmt::format(", {} channels", m.channels) : "",
                     m.shortcut == ShortcutKind::identity ? ", identity shortcuts"
                     : m.batch_norm                       ? ""
                                                          : ", no batch norm",
                     config.run.tuning ? ", tuned" : "", data.train.height, data.train.width,
                     data.train.channels, data.classes, specs);
}

json verdict_of(const RunConfig& asked, const std::string& choices) {
  GpuPort* const port = gpu_port();
  if (port == nullptr) return {{"outcome", "absent"}, {"why", "this program was built without CUDA"}};
  std::string why;
  std::optional<GpuFacts> gpu;
  std::string libraries;
  try {
    say_progress("looking for a GPU");
    gpu = choose_gpu(*port, asked.run.gpu, why);
    if (!gpu) return {{"outcome", "absent"}, {"why", why}};
    libraries = port->libraries();
  } catch (const Error& error) {
    return {{"outcome", "absent"}, {"why", error.what()}};
  }
  answer({{"gpu",
           {{"index", gpu->index},
            {"name", gpu->name},
            {"uuid", gpu->uuid},
            {"architecture", gpu->architecture}}}});
  RunConfig config = asked;
  config.data.verify = false;  // the run itself does
  if (config.run.precision == Precision::automatic)
    config.run.precision = automatic_precision(gpu->architecture);
  const DataSet data = load_data(config);
  const QualificationMemory memory(key_of(config, *gpu, libraries, data));
  json verdict = json::parse(memory.recall(), nullptr, false);
  if (verdict.is_object()) {
    // The run's own choices come before those of the day on which it was remembered.
    if (!choices.empty()) verdict["choices"] = choices;
    return verdict;
  }

  const Clock::time_point begin = Clock::now();
  verdict = {{"precision", to_string(config.run.precision)}};
  try {
    GpuOptions options = options_of(config.run, *gpu);
    say_progress("golden values");
    const int operations = check_all_operations(*port, options);
    options.tuning = config.run.tuning;
    options.tuning_seconds = config.run.tuning_seconds;
    options.tuning_cache = config.run.tuning_cache;
    options.choices = choices;
    const std::unique_ptr<Backend> backend = port->make(options);
    prove_network(*backend, config, data);
    if (config.run.deterministic) {
      say_progress("two training steps, twice");
      check_equal_bits(*backend, config, data);
    }
    verdict["outcome"] = "passed";
    verdict["choices"] = backend->tuning_choices();
    verdict["how"] = fmt::format("{} golden checks, {} convolutions and products{} in {:.0f} s", operations,
                                 backend->proven_ways(), config.run.deterministic ? ", equal bits" : "",
                                 std::chrono::duration<double>(Clock::now() - begin).count());
    json kept = verdict;
    kept["how"] = "remembered from " + today();
    memory.remember(kept.dump(), say_warning);
  } catch (const WrongNumbers& wrong) {
    verdict.update({{"outcome", "failed"}, {"check", wrong.check}, {"why", wrong.why}});
    memory.remember(verdict.dump(), say_warning);
  } catch (const WrongResult& wrong) {
    verdict.update({{"outcome", "failed"}, {"check", kNetworkCheck}, {"why", wrong.what()}});
    memory.remember(verdict.dump(), say_warning);
  } catch (const Error& error) {
    const bool device = error.code() == ExitCode::device;
    verdict.update(
        {{"outcome", device ? "refused" : "failed"}, {"check", "using it"}, {"why", error.what()}});
  }
  return verdict;
}

}  // namespace

int answer_qualification() {
  // Asked to stop when the run does, however that ends: notes of what is being tried are taken back.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  try {
    const json request = json::parse(standard_input());
    answer(verdict_of(parse_config(request.at("config").get<std::string>(), "the request", {}),
                      request.at("choices").get<std::string>()));
    return 0;
  } catch (const std::exception& error) {
    answer({{"outcome", "failed"}, {"check", "the request"}, {"why", error.what()}});
    return static_cast<int>(ExitCode::internal);
  }
}

}  // namespace dpll::selftest
