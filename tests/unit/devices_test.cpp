// What run.device and run.precision stand for.
#include "train/devices.h"

#include "support/doctest.h"

using namespace dpll;

TEST_CASE("devices: precision = auto is f16 from Ampere to Hopper and bf16 beyond, f32 on the CPU") {
  for (const int architecture : {80, 86, 89, 90}) CHECK(automatic_precision(architecture) == Precision::f16);
  for (const int architecture : {100, 103, 120}) CHECK(automatic_precision(architecture) == Precision::bf16);
  RunConfig::Run run;
  run.device = DeviceChoice::automatic;
  run.precision = Precision::automatic;
  resolve_devices(run);
  CHECK(run.device == DeviceChoice::cpu);
  CHECK(run.precision == Precision::f32);
  CHECK(run.threads > 0);
}
