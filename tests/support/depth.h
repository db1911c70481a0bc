// How often a test does the same under other circumstances.
#pragma once

namespace dpll::test {

// `full` times; under AddressSanitizer, where each takes five times as long, `sanitized` times. For what is
// repeated to meet a wrong result by chance, which the other builds do at full depth: what a sanitizer looks
// for shows in any repetition that runs the same code.
constexpr int test_depth(int full, int sanitized) {
#ifdef __SANITIZE_ADDRESS__
  (void)full;
  return sanitized;
#else
  (void)sanitized;
  return full;
#endif
}

}  // namespace dpll::test
