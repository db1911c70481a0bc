// Several ranks train what one does.
#include "support/shared_training.h"

using namespace dpll;
using namespace dpll::test;
using namespace dpll::test::shared_training;

TEST_CASE("ranks: with global batch norm several train what one does, in float64") {
  for (const Setting& setting : kSettings) {
    const RunConfig config = config_of(setting, BatchNormScope::global);
    const Trained alone = train(*make_reference_backend(), config, nullptr);
    for (const int count : {2, 3}) {
      CAPTURE(setting.name);
      CAPTURE(count);
      const std::vector<Trained> shared =
          train_shared([] { return make_reference_backend(); }, config, count);
      for (const Trained& rank : shared) {
        CHECK(largest_difference(rank.losses, alone.losses) < 1e-12);
        // Handed out in float32.
        CHECK(largest_difference(rank.parameters, alone.parameters) < 0x1p-22);
        CHECK(largest_difference(rank.buffers, alone.buffers) < 0x1p-20);
        CHECK(largest_difference(rank.targets, alone.targets) < 0x1p-22);
        CHECK(rank.samples == alone.samples);
        CHECK(rank.losses == shared[0].losses);
        CHECK(rank.parameters == shared[0].parameters);
      }
    }
  }
}

TEST_CASE("ranks: the CPU's losses on several ranks are those of one within float32's rounding") {
  for (const Setting& setting : {kSettings[0], kSettings[3], kSettings[4]}) {
    CAPTURE(setting.name);
    const RunConfig config = config_of(setting, BatchNormScope::global);
    const Trained alone = train(*make_cpu_backend({.threads = 1}), config, nullptr);
    const std::vector<Trained> shared =
        train_shared([] { return make_cpu_backend({.threads = 1}); }, config, 2);
    CHECK(shared[0].parameters == shared[1].parameters);
    CHECK(shared[0].targets == shared[1].targets);
    CHECK(largest_difference(shared[0].losses, alone.losses) < 1e-3);
    CHECK(std::abs(shared[0].losses[0] - alone.losses[0]) < 1e-6);
  }
}

TEST_CASE(
    "ranks: local batch norm trains something else, and all ranks end with rank 0's running statistics") {
  const RunConfig local = config_of(kSettings[0], BatchNormScope::local);
  const Trained alone = train(*make_reference_backend(), local, nullptr);
  const std::vector<Trained> shared = train_shared([] { return make_reference_backend(); }, local, 2);
  CHECK(shared[0].parameters == shared[1].parameters);
  CHECK(shared[0].buffers == shared[1].buffers);
  CHECK(largest_difference(shared[0].losses, alone.losses) > 1e-3);
}
