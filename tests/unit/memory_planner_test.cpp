#include "dpll/core/memory_planner.h"

#include <algorithm>
#include <vector>

#include "dpll/core/philox.h"
#include "support/doctest.h"

using namespace dpll;

TEST_CASE("tensors that are never alive together share memory, others do not") {
  MemoryPlanner plan;
  Tensor a, b, c;
  plan.add(&a, DType::f32, {256}, {0, 1}, "a");
  plan.add(&b, DType::f32, {256}, {1, 2}, "b");
  plan.add(&c, DType::f32, {256}, {2, 3}, "c");
  CHECK(plan.solve() == 2048);
  std::vector<float> arena(512);
  plan.bind(arena.data());
  CHECK(a.data == c.data);
  CHECK(a.data != b.data);
}

TEST_CASE("no two blocks that are alive together overlap, for random lifetimes") {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    PhiloxStream draw(seed, Purpose::split, 0, 0, 0);
    MemoryPlanner plan;
    std::vector<void*> pointers(60);
    for (void*& pointer : pointers) {
      const int birth = static_cast<int>(draw.next_below(40));
      plan.add(&pointer, draw.next_below(5000), {birth, birth + static_cast<int>(draw.next_below(20))},
               "block");
    }
    const std::size_t total = plan.solve();
    std::size_t alive_peak = 0;
    for (const auto& x : plan.blocks()) {
      CHECK(x.offset % MemoryPlanner::kAlignment == 0);
      CHECK(x.offset + x.bytes <= total);
      for (const auto& y : plan.blocks()) {
        if (&x == &y || x.lifetime.birth > y.lifetime.death || y.lifetime.birth > x.lifetime.death) continue;
        const bool apart = x.offset + x.bytes <= y.offset || y.offset + y.bytes <= x.offset;
        CHECK(apart);
      }
    }
    for (int tick = 0; tick < 60; ++tick) {
      std::size_t alive = 0;
      for (const auto& x : plan.blocks()) {
        if (x.lifetime.birth <= tick && tick <= x.lifetime.death) alive += x.bytes;
      }
      alive_peak = std::max(alive_peak, alive);
    }
    CHECK(total >= alive_peak);
    CHECK(total <= 2 * alive_peak + 60 * MemoryPlanner::kAlignment);
  }
}

TEST_CASE("an empty block binds to a null pointer") {
  MemoryPlanner plan;
  void* nothing = &plan;
  void* something = nullptr;
  plan.add(&nothing, 0, {0, 1}, "nothing");
  plan.add(&something, 8, {0, 1}, "something");
  std::vector<std::byte> arena(plan.solve());
  plan.bind(arena.data());
  CHECK(nothing == nullptr);
  CHECK(something == arena.data());
}
