// What the benchmarks say of operations: that wrong results are noticed, that work is counted as by hand,
// what is noise, and what a profile makes of ranges.
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bench/observed_call.h"
#include "bench/op_benchmarks.h"
#include "bench/op_report.h"
#include "bench/profile.h"
#include "dpll/files.h"
#include "emulation/emulated_backend.h"
#include "emulation/faults.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::bench;
using dpll::test::TempDir;

namespace {

const OpBenchmark& benchmark_of(const std::vector<OpBenchmark>& all, std::string_view op,
                                std::string_view name) {
  for (const OpBenchmark& b : all) {
    if (b.op == op && b.name == name) return b;
  }
  FAIL("no benchmark ", std::string(op), " ", std::string(name));
  return all.front();
}

OpReport report_of(double median, double spread) {
  OpReport report{.backend = "cpu, a test", .commit = "c", .ceilings = {}, .figures = {}};
  report.ceilings.copy_bytes_per_second = 20e9;
  report.ceilings.product_operations_per_second = 300e9;
  OpFigures f{.name = "op/case/run", .measured = {}, .work = {.bytes = 4e6, .operations = 6e8}};
  f.measured = {.seconds = {median, median, median}, .spread = spread, .repetitions = 5, .samples = 50};
  report.figures.push_back(f);
  return report;
}

}  // namespace

TEST_CASE("benchmarks: cases made of repeated samples are right at their full size") {
  const auto backend = make_cpu_backend({.threads = 2});
  // The reference computes one sample a view and 16 parameters.
  const std::vector<OpBenchmark> all = small_op_benchmarks({.macs = 0, .parameters = 16});
  CHECK(all.size() > 80);
  for (const OpBenchmark& b : all) {
    const std::string complaint = complaint_about(b, b.prepare(DType::f32), *backend);
    CHECK_MESSAGE(complaint.empty(), complaint);
  }
}

TEST_CASE("benchmarks: the same in 16 bits") {
  for (const DType type : {DType::f16, DType::bf16}) {
    const auto backend = test::make_emulated_cuda_backend(type);
    for (const OpBenchmark& b : small_op_benchmarks({.macs = 0, .parameters = 16})) {
      const std::string complaint = complaint_about(b, b.prepare(type), *backend);
      CHECK_MESSAGE(complaint.empty(), fmt::format("{}: {}", name_of(type), complaint));
    }
  }
}

TEST_CASE("benchmarks: a wrong kernel is not timed") {
  const std::vector<OpBenchmark> all = small_op_benchmarks({.macs = 0, .parameters = 16});
  const OpBenchmark& objective = benchmark_of(all, "pll_objective", "c64");
  const OpBenchmark& update = benchmark_of(all, "sgd", "paper");
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    CAPTURE(name_of(type));
    const auto mutant = test::make_mutant_cuda_backend(type);
    CHECK(complaint_about(objective, objective.prepare(type), *mutant).empty());
    {
      const emulation::ActiveFault fault(emulation::Fault::reduce_half_a_warp);
      CHECK_FALSE(complaint_about(objective, objective.prepare(type), *mutant).empty());
    }
    CHECK(complaint_about(update, update.prepare(type), *mutant).empty());
    const emulation::ActiveFault fault(emulation::Fault::sgd_one_too_far);
    CHECK_FALSE(complaint_about(update, update.prepare(type), *mutant).empty());
  }
  // Weights that are not the new values, rounded.
  const OpBenchmark& weights = benchmark_of(all, "sgd", "weights");
  OpBenchmark::Prepared of_weights = weights.prepare(DType::f16);
  of_weights.run = [run = of_weights.run](Backend& backend) {
    test::OpResult result = run(backend);
    result.outputs.at("weight, own").values.back() += 0x1p-11;
    return result;
  };
  CHECK_FALSE(complaint_about(weights, of_weights, *test::make_emulated_cuda_backend(DType::f16)).empty());
  // The last element of a result that was made from repeated samples counts as well.
  const auto cpu = make_cpu_backend({.threads = 1});
  const OpBenchmark& conv = benchmark_of(all, "preact_conv", "preact_v3");
  for (const char* output : {"y", "d_x", "d_weight", "bn.running_var"}) {
    OpBenchmark::Prepared prepared = conv.prepare(DType::f32);
    prepared.want.outputs.at(output).values.back() += 0.01;
    CHECK_FALSE(complaint_about(conv, prepared, *cpu).empty());
  }
}

TEST_CASE("benchmarks: every operation has some, and each pass is shown with its work and runs on copies") {
  std::map<std::string, int> ops;
  for (const OpBenchmark& b : op_benchmarks()) ops[b.op] += static_cast<int>(b.passes.size());
  CHECK(ops.size() == 8);
  const auto backend = make_cpu_backend({.threads = 1});
  ObservedBackend observed(*backend);
  for (const OpBenchmark& b : small_op_benchmarks({})) {
    std::vector<std::string> seen;
    observed.observe(shown_to([&](const ObservedCall& call) {
      CHECK(call.op == b.op);
      seen.emplace_back(call.pass);
      CHECK(call.work.bytes > 0);
      CHECK((call.work.operations > 0) == (b.op == "preact_conv" || b.op == "linear"));
      CallMemory memory(*backend);
      const std::function<void()> again = call.copy(memory);
      again();
      again();
    }));
    const OpBenchmark::Prepared prepared = b.prepare(DType::f32);
    const test::OpResult got = prepared.run(observed);
    CHECK(seen == b.passes);
    // The copies are apart from the originals.
    CHECK(test::complaint_about(b.name, 1, got, prepared.want, prepared.tolerances) == "");
  }
  CHECK(observed.memory_use().empty());
}

TEST_CASE("benchmarks: bytes and operations are those counted by hand") {
  const auto backend = make_cpu_backend({.threads = 1});
  ObservedBackend observed(*backend);
  std::map<std::string, Work> work;
  observed.observe(shown_to([&](const ObservedCall& call) { work[call.pass] = call.work; }));
  const std::vector<OpBenchmark> all = small_op_benchmarks({});
  // 3 views of 5 samples, 7 to 13 features, with statistics.
  benchmark_of(all, "linear", "odd_7_to_13").prepare(DType::f32).run(observed);
  CHECK(work.at("forward").operations == 2 * 15 * 7 * 13);
  CHECK(work.at("backward").operations == 2 * 2 * 15 * 7 * 13);
  CHECK(work.at("forward").bytes == 4 * (15 * 7 + 7 * 13 + 13 + 15 * 13 + 3 * 2 * 13));
  CHECK(work.at("backward").bytes == 4 * (15 * 13 + 15 * 7 + 7 * 13 + 15 * 7 + 7 * 13 + 13));
  // 1001 values and velocities read and written, gradients read; the step and the health are a few words.
  benchmark_of(all, "sgd", "paper").prepare(DType::f32).run(observed);
  CHECK(work.at("run").bytes == 4 * 5 * 1001 + 2 * (sizeof(UpdateHealth) + sizeof(StepState)));
}

TEST_CASE("benchmarks: noise is how far repetitions lie apart") {
  const Measurement m = measurement_of({{1, 2, 3}, {2, 2.5, 9}, {2, 2.2, 2.4}});
  CHECK(m.samples == 9);
  CHECK(m.repetitions == 3);
  CHECK(m.seconds.least == 1);
  CHECK(m.seconds.median == 2.2);
  CHECK(m.seconds.p90 == 9);
  CHECK(m.spread == doctest::Approx(0.5 / 2.2));
  CHECK(std::isnan(measurement_of({{1, 2}}).spread));
}

TEST_CASE("benchmarks: a comparison reports what changed beyond noise, and only that") {
  const TempDir dir;
  const std::string old = dir.file("old.json");
  write_file_atomically(old, to_json(report_of(1e-3, 0.02)));
  const auto lines = [&](double median, double spread) {
    return changes_since(old, report_of(median, spread));
  };
  CHECK(lines(1.05e-3, 0.01).size() == 1);  // noise is 3 x 2 %
  CHECK(lines(1.05e-3, 0.01).back() == "0 of 1 benchmarks changed beyond noise since '" + old + "'");
  CHECK(lines(1.2e-3, 0.1).size() == 1);
  REQUIRE(lines(1.2e-3, 0.01).size() == 2);
  CHECK(lines(1.2e-3, 0.01)[0].starts_with("slower  op/case/run: 1.20 times the time"));
  CHECK(lines(0.8e-3, 0.01)[0].starts_with("faster  op/case/run: 0.80 times the time"));
  write_file_atomically(old, std::string("{\"benchmarks\": 3}"));
  CHECK(test::contains(test::error_of([&] { changes_since(old, report_of(1, 0)); }),
                       "is not a JSON file of bench_ops"));
}

TEST_CASE("benchmarks: rates and shares of the ceilings follow from median, bytes and operations") {
  const nlohmann::json json = nlohmann::json::parse(to_json(report_of(1e-3, 0.2)));
  const nlohmann::json& row = json.at("benchmarks").at(0);
  CHECK(row.at("median_us").get<double>() == doctest::Approx(1000));
  CHECK(row.at("gb_per_s").get<double>() == doctest::Approx(4));
  CHECK(row.at("copy_percent").get<double>() == doctest::Approx(20));
  CHECK(row.at("gflop_per_s").get<double>() == doctest::Approx(600));
  CHECK(row.at("product_percent").get<double>() == doctest::Approx(200));
  CHECK(row.at("busy").get<bool>());
  CHECK(
      table_row(report_of(1e-3, 0.2).figures[0], report_of(1e-3, 0.2).ceilings).ends_with("  machine busy"));
}

TEST_CASE("profile: ranges nest, phases within phases count once, and the listener before comes back") {
  REQUIRE(trace::sink == nullptr);
  {
    Profile profile(nullptr);
    {
      const trace::Range evaluation("evaluation");
      const trace::Range forward("forward");
      trace::Sequence layers;
      layers.next("conv1");
      layers.next("fc");
    }
    { const trace::Range forward("forward"); }
    const auto& s = profile.slices();
    REQUIRE(s.size() == 5);
    CHECK(s[1].parent == 0);
    CHECK(s[2].parent == 1);
    CHECK(s[3].name == "fc");
    CHECK(s[3].parent == 1);
    CHECK(s[3].start >= s[2].start + s[2].seconds);
    CHECK(s[4].parent == -1);
    CHECK(profile.total("forward", {"evaluation", "forward"}) == s[4].seconds);
    CHECK(profile.total("forward", {}) == s[1].seconds + s[4].seconds);
    const nlohmann::json trace = nlohmann::json::parse(profile.chrome_trace("a test"));
    CHECK(trace.at("traceEvents").size() == 6);
    CHECK(trace.at("traceEvents").at(4).at("ph") == "X");
  }
  CHECK(trace::sink == nullptr);
}
