// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a counter-based
// generator. Every random number of the engine is philox(key = run seed, counter = (draw, sample, epoch,
// purpose and view)), a pure function: independent of batch order, thread count, device and restarts.
#pragma once

#include <cstdint>

#include "dpll/core/host_device.h"

namespace dpll {

// The purpose of a random number. Reproducibility depends on the values: never renumber them, only append.
enum class Purpose : std::uint32_t {
  init = 1,        // sample = parameter ordinal, draw = element / 4
  shuffle = 2,     // sample = position in the Fisher-Yates pass
  augment = 3,     // sample = data set index, view in the upper half of the word
  dropout = 4,     // sample = data set index, view, draw = element / 4, epoch word = epoch
  candidates = 5,  // candidate models other than the NumPy-compatible uniform one
  split = 6,       // validation split
  annotator = 7,   // instance-dependent candidate model
  method = 8,      // what a method draws at the end of an epoch
};

struct Philox4 {
  std::uint32_t v[4];
};

// The block function. key and counter as in the reference implementation (Random123).
DPLL_HD Philox4 philox4x32(std::uint64_t key, std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                           std::uint32_t c3) {
  std::uint32_t k0 = static_cast<std::uint32_t>(key);
  std::uint32_t k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Uniform in [0, 1) with 24 bits: exact in float32.
DPLL_HD float uniform_float(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

// Uniform integer in [0, n), n >= 1, by Lemire's multiply-shift without rejection; bias < n / 2^32.
DPLL_HD std::uint32_t uniform_below(std::uint32_t bits, std::uint32_t n) {
  return static_cast<std::uint32_t>((std::uint64_t{bits} * n) >> 32);
}

// A stream of draws for one (purpose, epoch, sample, view): draw i is word i % 4 of block i / 4.
class PhiloxStream {
 public:
  DPLL_HD_MEMBER PhiloxStream(std::uint64_t seed, Purpose purpose, std::uint32_t epoch, std::uint32_t sample,
                              std::uint32_t view)
      : seed_(seed),
        sample_(sample),
        epoch_(epoch),
        purpose_view_(static_cast<std::uint32_t>(purpose) | (view << 16)) {}

  DPLL_HD_MEMBER std::uint32_t next() {
    if (used_ == 4) {
      block_ = philox4x32(seed_, draw_++, sample_, epoch_, purpose_view_);
      used_ = 0;
    }
    return block_.v[used_++];
  }
  DPLL_HD_MEMBER float next_float() { return uniform_float(next()); }
  DPLL_HD_MEMBER std::uint32_t next_below(std::uint32_t n) { return uniform_below(next(), n); }

 private:
  std::uint64_t seed_;
  std::uint32_t sample_, epoch_, purpose_view_;
  std::uint32_t draw_ = 0;
  std::uint32_t used_ = 4;
  Philox4 block_{};
};

}  // namespace dpll
