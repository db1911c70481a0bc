// What is fuzzed: one function a parser, each in a file of its own beside this header. In the test program
// they all run over tests/fuzz/corpus (corpus_test.cpp); tools/fuzz builds each with libFuzzer, which looks
// for inputs that reach new code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/files.h"

namespace dpll::fuzz {

struct Target {
  const char* name;  // also of its folder in tests/fuzz/corpus
  void (*parse)(ByteView bytes);
  ExitCode code;  // of what parse() refuses
};

// All targets of this program, in no order.
std::vector<Target>& targets();

struct Registration {
  explicit Registration(const Target& target) { targets().push_back(target); }
};

// Runs the parser. Whatever the bytes: it returns, or it throws Error with the target's code and one line.
// Anything else ends the process.
void run(const Target& target, ByteView bytes);

// Bytes as a file, for parsers that take a path. The file has no name in any folder.
class MemoryFile {
 public:
  explicit MemoryFile(ByteView bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const;

 private:
  int fd_;
};

inline std::vector<std::uint8_t> copy_of(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

// Ends the process where `holds` is false: a parser has taken bytes for something that they are not.
void require(bool holds, const char* what);

}  // namespace dpll::fuzz

// DPLL_FUZZ_TARGET(idx, ExitCode::data) { ... of `bytes` ... }
#define DPLL_FUZZ_TARGET(name, exit_code)                                                        \
  static void parse_##name(dpll::ByteView bytes);                                                \
  static const dpll::fuzz::Registration registration_##name({#name, parse_##name, (exit_code)}); \
  static void parse_##name(dpll::ByteView bytes)
