// Sums over the ranks of MPI. Each rank adds up its share of the values, in rank order, and the others fetch
// it: MPI_Allreduce promises no order. Large sums are cut into pieces, so that a rank adds one piece while
// others travel. MPI wants collectives in the same order on all ranks, but pieces arrive at different times:
// hence a channel for each half, on which the pieces keep the order in which they were started.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "parallel/mpi_table.h"

namespace dpll {

// sums[i] = parts[0][i] + parts[1][i] + …, added in double in this order and rounded once. parts: [ranks,
// count].
template <typename T>
void add_in_rank_order(const T* parts, int ranks, std::int64_t count, T* sums);

class SumQueue {
 public:
  // One piece of a sum.
  class Piece {
   public:
    virtual ~Piece() = default;
    bool done() const { return stage_ == Stage::done; }
    // The caller's values are not touched any more.
    virtual void abandon() = 0;

   protected:
    friend class SumQueue;
    enum class Stage { waiting, scattering, added, gathering, done };
    // Copies the caller's values and starts to scatter or, where they are few, to gather them.
    virtual void begin(SumQueue& queue) = 0;
    // What follows when the operation under way is done.
    virtual void scattered() = 0;
    virtual void start_gather(SumQueue& queue) = 0;
    virtual void gathered() = 0;
    Stage stage_ = Stage::waiting;
    void* request_ = nullptr;
  };
  // Throws where a function of MPI has failed; its name is for the message.
  using Check = std::function<void(int error, const char* function)>;

  SumQueue(const DpllMpiTable& mpi, int rank, int size, Check check);

  // Both types of values; [count].
  template <typename T>
  std::vector<std::shared_ptr<Piece>> start(T* values, std::int64_t count);
  // Moves on what can move on, without waiting.
  void advance();
  bool empty() const { return pieces_.empty(); }

 private:
  template <typename T>
  class TypedPiece;
  bool is_done(void** request);

  const DpllMpiTable& mpi_;
  const int rank_, size_;
  const Check check_;
  std::deque<std::shared_ptr<Piece>> pieces_;  // those that are not done, in the order of their start
};

}  // namespace dpll
