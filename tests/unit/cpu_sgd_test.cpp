// sgd on the CPU against PyTorch's bits and the formulas.
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/cpu_ops.h"
#include "support/doctest.h"
#include "support/host_tensor.h"
#include "support/threads.h"

using namespace dpll;
using dpll::test::tensor_of;
using dpll::test::ThreadCount;

namespace {

struct Parameters {
  SgdSpec spec;
  std::vector<float> value, velocity, average, d_value;
  UpdateHealth health;
  StepState step;

  explicit Parameters(std::size_t n) : value(n), velocity(n), average(n), d_value(n) {
    spec.elements = static_cast<std::int64_t>(n);
    step.learning_rate = 0.1F;
    for (std::size_t i = 0; i < n; ++i) {
      value[i] = average[i] = (static_cast<float>(i * 37 % 101) - 50) / 64;
    }
    set_gradient(0);
  }
  void set_gradient(std::size_t s) {
    for (std::size_t i = 0; i < d_value.size(); ++i) {
      d_value[i] = (static_cast<float>((i * 53 + s * 29) % 97) - 48) / 128 * step.loss_scale;
    }
  }
  void run() {
    SgdCall call;
    call.value = tensor_of(value);
    call.velocity = tensor_of(velocity);
    if (spec.ema > 0) call.average = tensor_of(average);
    call.health = &health;
    call.d_value = tensor_of(d_value);
    call.step = &step;
    cpu::make_sgd(spec)->run(call);
  }
};

unsigned long checksum(const std::vector<float>& values) {
  return crc32(0, reinterpret_cast<const Bytef*>(values.data()),
               static_cast<uInt>(values.size() * sizeof(float)));
}

}  // namespace

TEST_CASE("six steps equal torch.optim.SGD bit for bit") {
  // torch 2.x on the CPU, lr 0.1 then 0.01 from the fourth step, momentum 0.9, weight decay 1e-4.
  for (const float loss_scale : {1.0F, 4096.0F}) {
    for (const bool nesterov : {false, true}) {
      Parameters p(64);
      p.spec.nesterov = nesterov;
      p.step.loss_scale = loss_scale;
      for (std::size_t s = 0; s < 6; ++s) {
        p.set_gradient(s);
        p.step.learning_rate = s < 3 ? 0.1F : 0.01F;
        p.run();
      }
      CHECK(p.value[0] == (nesterov ? -0x1.3f1fep-1F : -0x1.4f0a2ep-1F));
      CHECK(p.value[63] == (nesterov ? -0x1.3a81d6p-1F : -0x1.444f2p-1F));
      CHECK(p.velocity[0] == (nesterov ? -0x1.c11b1cp-3F : -0x1.c12258p-3F));
      CHECK(p.velocity[63] == (nesterov ? 0x1.d848ap-4F : 0x1.d842a8p-4F));
      CHECK(checksum(p.value) == (nesterov ? 0xd2b064b2ul : 0x6df06ef4ul));
      CHECK(checksum(p.velocity) == (nesterov ? 0xde7a9261ul : 0x97d987f1ul));
      CHECK(p.health.skipped == 0);
    }
  }
}

TEST_CASE("sgd and the moving average follow the formulas on any length and number of threads") {
  for (const std::size_t n :
       {std::size_t{1}, std::size_t{15}, std::size_t{33}, std::size_t{32768}, std::size_t{100003}}) {
    for (const int threads : {1, 2, 5}) {
      const ThreadCount scope(threads);
      Parameters p(n);
      p.spec.ema = 0.99;
      p.spec.momentum = 0.8;
      p.spec.weight_decay = 0.01;
      p.step.loss_scale = 3;
      p.set_gradient(1);
      for (float& v : p.velocity) v = 0.25F;
      const Parameters before = p;
      p.run();
      double worst = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double g = before.d_value[i] / 3.0 + 0.01 * before.value[i];
        const double velocity = 0.8 * 0.25 + g;
        const double value = before.value[i] - 0.1 * velocity;
        const double average = 0.99 * before.average[i] + 0.01 * value;
        worst = std::max({worst, std::abs(p.velocity[i] - velocity), std::abs(p.value[i] - value),
                          std::abs(p.average[i] - average)});
      }
      CHECK(worst < 1e-6 / 4);
      CHECK(p.d_value == before.d_value);
    }
  }
}

TEST_CASE("one NaN or infinite gradient leaves everything as it was and is counted") {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), inf, -inf}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{17}, std::size_t{70000}, std::size_t{100002}}) {
      Parameters p(100003);
      p.spec.ema = 0.9;
      const Parameters before = p;
      p.d_value[at] = bad;
      p.run();
      CHECK(p.health.nonfinite == 1);
      CHECK(p.health.skipped == 1);
      CHECK(p.value == before.value);
      CHECK(p.velocity == before.velocity);
      CHECK(p.average == before.average);
      p.d_value[at == 0 ? 5 : 0] = bad;
      p.run();
      CHECK(p.health.nonfinite == 2);
      CHECK(p.health.skipped == 2);
      CHECK(p.health.halted == 1);
      p.health.halted = 0;
      p.set_gradient(0);
      p.d_value[at] = std::numeric_limits<float>::max();
      p.run();
      CHECK(p.health.nonfinite == 0);
      CHECK(p.health.skipped == 2);
      CHECK(p.value != before.value);
    }
  }
}

TEST_CASE("without a moving average none is asked for or written") {
  Parameters p(40);
  const std::vector<float> average = p.average;
  p.run();
  CHECK(p.average == average);
  p.spec.ema = 0.5;
  p.average.resize(39);
  CHECK_THROWS_AS(p.run(), Error);
}
