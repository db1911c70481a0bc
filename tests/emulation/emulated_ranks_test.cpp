// Several emulated GPUs, each a thread with a rank of its own, train what one does, by way of a made-up NCCL.
#include <fmt/format.h>

#include "emulation/emulated_backend.h"
#include "emulation/emulator.h"
#include "emulation/faults.h"
#include "emulation/stream.h"
#include "support/depth.h"
#include "support/shared_training.h"

using namespace dpll;
using namespace dpll::test;
using namespace dpll::test::shared_training;
using emulation::ActiveFault;
using emulation::Fault;

namespace {

constexpr int kSteps = 4;  // an epoch of three, and one of the next

const Setting& setting_of(const std::string& name) {
  for (const Setting& setting : kSettings) {
    if (setting.name == name) return setting;
  }
  FAIL("no setting ", name);
  return kSettings[0];
}

// What the mutants' one method can train, with dropout.
const Setting kDropout = {"wrn-10-1, dropout", kWide + "dropout = 0.3\n"};

// How far the losses are apart: in the first step, and in all.
struct Apart {
  double first = 0, all = 0;
};
Apart apart(const std::vector<double>& a, const std::vector<double>& b) {
  return {std::abs(a.at(0) - b.at(0)), largest_difference(a, b)};
}

}  // namespace

TEST_CASE("emulated ranks: two and three GPUs train what one does") {
  for (std::size_t number = 0; number < kSettings.size(); number += test_depth(1, 3)) {
    const Setting& setting = kSettings[number];
    const RunConfig config = config_of(setting, BatchNormScope::global);
    const auto make = [] { return make_emulated_cuda_backend(DType::f32); };
    const Trained alone = train(*make(), config, nullptr, kSteps);
    for (const int count : {2, 3}) {
      if (count == 3 && setting.name.starts_with("mlp")) continue;
      CAPTURE(setting.name);
      CAPTURE(count);
      const std::vector<Trained> shared = train_shared(make, config, count, kSteps);
      for (const Trained& rank : shared) {
        CHECK(rank.parameters == shared[0].parameters);
        CHECK(rank.buffers == shared[0].buffers);
        CHECK(rank.targets == shared[0].targets);
        CHECK(rank.losses == shared[0].losses);
        CHECK(rank.samples == alone.samples);
      }
      const Apart found = apart(shared[0].losses, alone.losses);
      // The first loss comes before any update: sums in another order. Later ones through updates that
      // rounding has moved, in a network whose batch norm sees few values.
      CHECK(found.first < 1e-6);
      CHECK(found.all < 1e-3);
    }
  }
}

TEST_CASE("emulated ranks: in 16 bits, where gradients are summed as they are stored") {
  for (const DType type : {DType::f16, DType::bf16}) {
    const RunConfig config = config_of(setting_of("wrn-10-1"), BatchNormScope::global);
    const auto make = [type] { return make_emulated_cuda_backend(type); };
    const Trained alone = train(*make(), config, nullptr, kSteps);
    const std::vector<Trained> shared = train_shared(make, config, 2, kSteps);
    CAPTURE(name_of(type));
    CHECK(shared[0].parameters == shared[1].parameters);
    const Apart found = apart(shared[0].losses, alone.losses);
    const double roundoff = type == DType::f16 ? 0x1p-11 : 0x1p-8;
    CHECK(found.first < 16 * roundoff);
    CHECK(found.all < 256 * roundoff);
  }
}

TEST_CASE("emulated ranks: local batch norm trains something else, and ends with rank 0's statistics") {
  const RunConfig local = config_of(kSettings[0], BatchNormScope::local);
  const auto make = [] { return make_emulated_cuda_backend(DType::f32); };
  const Trained alone = train(*make(), local, nullptr, kSteps);
  const std::vector<Trained> shared = train_shared(make, local, 2, kSteps);
  CHECK(shared[0].parameters == shared[1].parameters);
  CHECK(shared[0].buffers == shared[1].buffers);
  CHECK(apart(shared[0].losses, alone.losses).first > 1e-4);
}

TEST_CASE("emulated ranks: in whatever order the streams run, and a missing event is found") {
  const RunConfig config = config_of(kSettings[0], BatchNormScope::global);
  const auto train_ordered = [&](std::uint64_t seed, int left_out) {
    int waits = 0;
    run_ranks(2, [&](Ranks& ranks) {
      // The same order on both: on real GPUs the streams of a rank go on beside each other, here one after
      // the other, and would wait for each other for ever.
      emulation::set_stream_schedule({.seed = seed, .compare = true});
      emulation::leave_out_wait(left_out);
      train(*make_emulated_cuda_backend(DType::f32), config, &ranks, 1);
      if (ranks.rank() == 0) waits = emulation::waits_captured();
    });
    return waits;
  };
  for (int seed = 1; seed <= test_depth(2, 1); ++seed) {
    CHECK_NOTHROW(train_ordered(static_cast<std::uint64_t>(seed), -1));
  }
  const int waits = train_ordered(0, -1);
  CHECK(waits == 28);
  if (test_depth(1, 0) == 0) return;
  std::string missed;
  int found = 0;
  for (int wait = 0; wait < waits; ++wait) {
    bool fault = false;
    for (std::uint64_t seed = 1; seed <= 4 && !fault; ++seed) {
      try {
        train_ordered(seed, wait);
      } catch (const emulation::EmulationFault&) {
        fault = true;
      } catch (const Error& error) {
        FAIL(error.what());
      }
    }
    found += fault ? 1 : 0;
    if (!fault) missed += fmt::format(" {}", wait);
  }
  CAPTURE(waits);
  CAPTURE(missed);
  // A sum waits for both streams, whichever has written its gradients: five such waits are not needed here,
  // nor are two that keep memory from being used again too early.
  CHECK(found == waits - 7);
}

TEST_CASE("emulated ranks: what is wrong in what they share is found") {
  const RunConfig config = config_of(kDropout, BatchNormScope::global);
  const auto make = [] { return make_mutant_cuda_backend(DType::f32); };
  const Trained alone = train(*make(), config, nullptr, 2);
  const auto shared = [&] { return train_shared(make, config, 3, 2).at(0); };
  CHECK(apart(shared().losses, alone.losses).all < 1e-4);
  CHECK(largest_difference(shared().buffers, alone.buffers) < 1e-4);
  for (const Fault fault : {Fault::dropout_ahead, Fault::rank_rows, Fault::rank_statistics_last,
                            Fault::rank_statistics_shares, Fault::rank_sums_last}) {
    const ActiveFault active(fault);
    const Trained wrong = shared();
    CAPTURE(static_cast<int>(fault));
    CHECK((apart(wrong.losses, alone.losses).all > 1e-3 ||
           largest_difference(wrong.buffers, alone.buffers) > 1e-3));
  }
}
