#include "dpll/core/memory_planner.h"

#include <algorithm>
#include <numeric>

namespace dpll {
namespace {

std::size_t round_up(std::size_t bytes) {
  return (bytes + MemoryPlanner::kAlignment - 1) / MemoryPlanner::kAlignment * MemoryPlanner::kAlignment;
}

bool alive_together(const Lifetime& a, const Lifetime& b) {
  return a.birth <= b.death && b.birth <= a.death;
}

}  // namespace

void MemoryPlanner::add(Tensor* tensor, DType dtype, const Shape& shape, Lifetime lifetime,
                        const std::string& name) {
  *tensor = Tensor{nullptr, dtype, shape};
  DPLL_CHECK(lifetime.birth <= lifetime.death, "{} dies before it is born", name);
  blocks_.push_back({name, tensor->bytes(), 0, lifetime, tensor, nullptr});
}

void MemoryPlanner::share(Tensor* tensor, DType dtype, const Shape& shape, const Tensor* of) {
  *tensor = Tensor{nullptr, dtype, shape};
  DPLL_CHECK(tensor->bytes() == of->bytes(), "{} shares the memory of {}", shape.to_string(),
             of->shape.to_string());
  shared_.push_back({tensor, of});
}

void MemoryPlanner::add(void** pointer, std::size_t bytes, Lifetime lifetime, const std::string& name) {
  *pointer = nullptr;
  DPLL_CHECK(lifetime.birth <= lifetime.death, "{} dies before it is born", name);
  blocks_.push_back({name, bytes, 0, lifetime, nullptr, pointer});
}

std::size_t MemoryPlanner::solve() {
  std::vector<std::size_t> order(blocks_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [this](std::size_t a, std::size_t b) { return blocks_[a].bytes > blocks_[b].bytes; });

  std::vector<const Block*> placed;  // kept sorted by offset
  std::size_t total = 0;
  for (const std::size_t index : order) {
    Block& block = blocks_[index];
    std::size_t offset = 0;
    for (const Block* other : placed) {
      if (!alive_together(block.lifetime, other->lifetime)) continue;
      if (offset + block.bytes <= other->offset) break;
      offset = std::max(offset, round_up(other->offset + other->bytes));
    }
    block.offset = offset;
    total = std::max(total, offset + round_up(block.bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &block,
                                   [](const Block* a, const Block* b) { return a->offset < b->offset; }),
                  &block);
  }
  return total;
}

void MemoryPlanner::bind(void* base) const {
  for (const Block& block : blocks_) {
    void* place = static_cast<std::byte*>(base) + block.offset;
    if (block.tensor != nullptr) block.tensor->data = place;
    if (block.pointer != nullptr) *block.pointer = block.bytes == 0 ? nullptr : place;
  }
  for (const Shared& shared : shared_) shared.tensor->data = shared.of->data;
}

}  // namespace dpll
