// Cuts the one block of `saved` or `workspace` memory that an op is given into its pieces: sizes are added up
// when the op is made, addresses follow from the block that a call brings.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dpll {

// Elements of type T, `offset` bytes from the beginning of a block; as many again for each further lane
// (thread). Each is 256-byte aligned where the block is, at least 64-byte aligned.
template <typename T>
struct Piece {
  std::size_t offset = 0;
  std::size_t lane_bytes = 0;

  T* in(void* block, int lane = 0) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(block) + offset +
                                static_cast<std::size_t>(lane) * lane_bytes);
  }
  const T* in(const void* block) const { return in(const_cast<void*>(block)); }
};

class MemoryPlan {
 public:
  static constexpr std::size_t kAlignment = 256;  // see MemoryPlanner::kAlignment

  template <typename T>
  Piece<T> add(std::int64_t count, int lanes = 1) {
    const std::size_t lane_bytes =
        (static_cast<std::size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    const Piece<T> piece{bytes_, lane_bytes};
    bytes_ += lane_bytes * static_cast<std::size_t>(lanes);
    return piece;
  }
  template <typename T = std::byte>
  Piece<T> add_bytes(std::size_t bytes, int lanes = 1) {
    return add<T>(static_cast<std::int64_t>((bytes + sizeof(T) - 1) / sizeof(T)), lanes);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

}  // namespace dpll
