// Places tensors whose lifetimes are known in one arena, so that a training step allocates nothing: tensors
// that are never alive at the same time may share memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dpll/core/tensor.h"

namespace dpll {

// Ticks of a schedule, both included: the tensor is written at `birth` and last read at `death`.
struct Lifetime {
  int birth = 0, death = 0;
};

class MemoryPlanner {
 public:
  // Of every block, where the arena itself is. Operations ask for 64; the vendor's libraries for GPUs are
  // used with what cudaMalloc gives.
  static constexpr std::size_t kAlignment = 256;

  // Registers *tensor: its type and shape are set now, its data by bind(). The pointer must stay valid until
  // bind().
  void add(Tensor* tensor, DType dtype, const Shape& shape, Lifetime lifetime, const std::string& name);
  // Gives *tensor the memory of *of, which add() knows: it must have as many bytes.
  void share(Tensor* tensor, DType dtype, const Shape& shape, const Tensor* of);
  // As the first, for untyped memory; zero bytes bind to a null pointer.
  void add(void** pointer, std::size_t bytes, Lifetime lifetime, const std::string& name);

  // Chooses the offsets (largest first, each at the lowest place that is free during its lifetime); returns
  // the arena's size in bytes.
  std::size_t solve();
  // Gives every registered tensor its place in the arena that begins at `base`.
  void bind(void* base) const;

  struct Block {
    std::string name;
    std::size_t bytes = 0, offset = 0;
    Lifetime lifetime;
    Tensor* tensor = nullptr;
    void** pointer = nullptr;
  };
  const std::vector<Block>& blocks() const { return blocks_; }

 private:
  struct Shared {
    Tensor* tensor = nullptr;
    const Tensor* of = nullptr;
  };
  std::vector<Block> blocks_;
  std::vector<Shared> shared_;
};

}  // namespace dpll
