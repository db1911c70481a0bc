#include "dpll/core/philox.h"

#include "support/doctest.h"

using namespace dpll;

// Known answers of Random123's kat_vectors for philox4x32-10.
TEST_CASE("philox4x32-10 gives the published known answers") {
  const Philox4 zero = philox4x32(0, 0, 0, 0, 0);
  CHECK(zero.v[0] == 0x6627e8d5u);
  CHECK(zero.v[1] == 0xe169c58du);
  CHECK(zero.v[2] == 0xbc57ac4cu);
  CHECK(zero.v[3] == 0x9b00dbd8u);
  const Philox4 ones = philox4x32(~0ull, ~0u, ~0u, ~0u, ~0u);
  CHECK(ones.v[0] == 0x408f276du);
  CHECK(ones.v[1] == 0x41c83b0eu);
  CHECK(ones.v[2] == 0xa20bc7c6u);
  CHECK(ones.v[3] == 0x6d5451fdu);
  const Philox4 pi = philox4x32(0x299f31d0a4093822ull, 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u);
  CHECK(pi.v[0] == 0xd16cfe09u);
  CHECK(pi.v[1] == 0x94fdccebu);
  CHECK(pi.v[2] == 0x5001e420u);
  CHECK(pi.v[3] == 0x24126ea1u);
}

TEST_CASE("philox streams of different samples, views, epochs and purposes differ") {
  const auto first = [](Purpose purpose, std::uint32_t epoch, std::uint32_t sample, std::uint32_t view) {
    return PhiloxStream(7, purpose, epoch, sample, view).next();
  };
  const std::uint32_t base = first(Purpose::augment, 1, 2, 0);
  CHECK(base == first(Purpose::augment, 1, 2, 0));
  CHECK(base != first(Purpose::augment, 1, 2, 1));
  CHECK(base != first(Purpose::augment, 1, 3, 0));
  CHECK(base != first(Purpose::augment, 2, 2, 0));
  CHECK(base != first(Purpose::dropout, 1, 2, 0));
}

TEST_CASE("uniform_float stays below one and uniform_below below n") {
  CHECK(uniform_float(0xFFFFFFFFu) < 1.0F);
  CHECK(uniform_float(0) == 0.0F);
  CHECK(uniform_below(0xFFFFFFFFu, 9) == 8);
  CHECK(uniform_below(0, 9) == 0);
}
