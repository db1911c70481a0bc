// Reads the plain data of a Python pickle (protocol 2, as Python 2 wrote the CIFAR files) without executing
// anything: a pickle is a program that may name any function to call, so only NumPy's array constructors are
// known here, by name, as data. Opcodes: Python's pickletools.py; array state: NumPy's
// ndarray.__reduce__ and __setstate__.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dpll/files.h"

namespace dpll {

class PickleValue;

struct PickleList {
  std::vector<const PickleValue*> items;
  bool is_tuple = false;
};

struct PickleDict {
  std::vector<std::pair<const PickleValue*, const PickleValue*>> items;
};

// A C-contiguous array of bytes; an array under construction has no bytes yet.
struct PickleArray {
  std::vector<std::int64_t> shape;
  std::string_view bytes;
  bool complete = false;
};

// The constructors that are known, and a dtype once made.
enum class PickleGlobal { reconstruct, ndarray, dtype };
struct PickleDtype {
  std::string_view name;
};

class PickleValue {
 public:
  using Value = std::variant<std::monostate, bool, std::int64_t, std::string_view, PickleList, PickleDict,
                             PickleArray, PickleGlobal, PickleDtype>;
  explicit PickleValue(Value v) : value(std::move(v)) {}
  Value value;
};

// One pickle. Views point into the bytes, which must outlive it.
class Pickle {
 public:
  // Error(data), naming `path` and the offset: truncated, another protocol, an opcode or a global that is not
  // known, a malformed array, more objects than a data file has, bytes after the end.
  Pickle(ByteView bytes, const std::string& path);

  const PickleValue& root() const { return *root_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;  // all of them: lists may contain each other in circles
  const PickleValue* root_ = nullptr;
};

}  // namespace dpll
