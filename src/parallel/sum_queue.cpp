#include "parallel/sum_queue.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace dpll {
namespace {

// Bytes of a piece. Smaller ones cost more messages, larger ones leave less to overlap.
constexpr std::int64_t kPieceBytes = 4 << 20;
// Pieces that travel at once; each needs memory for two copies of itself.
constexpr int kPiecesAtOnce = 8;
// Up to here every rank fetches all values and adds them itself, which takes one message's time instead of
// two.
constexpr std::int64_t kFewBytes = 4 << 10;

}  // namespace

template <typename T>
void add_in_rank_order(const T* parts, int ranks, std::int64_t count, T* sums) {
  constexpr std::int64_t kBlock = 512;
  std::array<double, kBlock> sum;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t n = std::min(kBlock, count - begin);
    for (std::int64_t i = 0; i < n; ++i) sum[i] = parts[begin + i];
    for (int rank = 1; rank < ranks; ++rank) {
      const T* const part = parts + rank * count + begin;
      for (std::int64_t i = 0; i < n; ++i) sum[i] += part[i];
    }
    for (std::int64_t i = 0; i < n; ++i) sums[begin + i] = static_cast<T>(sum[i]);
  }
}
template void add_in_rank_order(const float*, int, std::int64_t, float*);
template void add_in_rank_order(const double*, int, std::int64_t, double*);

template <typename T>
class SumQueue::TypedPiece : public Piece {
 public:
  TypedPiece(T* values, std::int64_t count) : values_(values), count_(count) {}
  void abandon() override {
    // The other ranks wait for this piece all the same.
    if (stage_ == Stage::waiting) own_.assign(values_, values_ + count_);
    values_ = nullptr;
  }

 private:
  void begin(SumQueue& queue) override {
    if (values_ != nullptr) own_.assign(values_, values_ + count_);
    // Rank r adds up the values from share(r) to share(r + 1).
    const auto share = [&](int rank) { return count_ * rank / queue.size_; };
    const bool few = count_ * static_cast<std::int64_t>(sizeof(T)) <= kFewBytes;
    const std::int64_t mine = few ? count_ : share(queue.rank_ + 1) - share(queue.rank_);
    parts_.resize(mine * queue.size_);
    for (int rank = 0; rank < queue.size_; ++rank) {
      share_counts_.push_back(static_cast<int>((share(rank + 1) - share(rank)) * sizeof(T)));
      share_places_.push_back(static_cast<int>(share(rank) * sizeof(T)));
      part_counts_.push_back(static_cast<int>(mine * sizeof(T)));
      part_places_.push_back(static_cast<int>(rank * mine * sizeof(T)));
    }
    ranks_ = queue.size_;
    if (few) {
      // On the channel of gathers it would have to wait for the pieces before it.
      queue.check_(queue.mpi_.all_gather(kDpllMpiScatter, own_.data(), part_counts_[0], parts_.data(),
                                         part_counts_.data(), part_places_.data(), &request_),
                   "MPI_Iallgatherv");
    } else {
      queue.check_(
          queue.mpi_.all_to_all(kDpllMpiScatter, own_.data(), share_counts_.data(), share_places_.data(),
                                parts_.data(), part_counts_.data(), part_places_.data(), &request_),
          "MPI_Ialltoallv");
    }
    few_ = few;
  }

  void scattered() override {
    const std::int64_t count = static_cast<std::int64_t>(parts_.size()) / ranks_;
    sums_.resize(count);
    add_in_rank_order(parts_.data(), ranks_, count, sums_.data());
    if (few_) finish(sums_);
  }

  void start_gather(SumQueue& queue) override {
    queue.check_(queue.mpi_.all_gather(kDpllMpiGather, sums_.data(), part_counts_[0], own_.data(),
                                       share_counts_.data(), share_places_.data(), &request_),
                 "MPI_Iallgatherv");
  }

  void gathered() override { finish(own_); }

  void finish(const std::vector<T>& result) {
    if (values_ != nullptr) std::copy(result.begin(), result.end(), values_);
    stage_ = Stage::done;
  }

  T* values_;
  const std::int64_t count_;
  int ranks_ = 1;
  bool few_ = false;
  std::vector<T> own_;    // [count]: the values of this rank, later the sums
  std::vector<T> parts_;  // [ranks, share of this rank], or [ranks, count] of few values
  std::vector<T> sums_;   // of this rank's share
  std::vector<int> share_counts_, share_places_, part_counts_, part_places_;  // in bytes, of each rank
};

SumQueue::SumQueue(const DpllMpiTable& mpi, int rank, int size, Check check)
    : mpi_(mpi), rank_(rank), size_(size), check_(std::move(check)) {}

template <typename T>
std::vector<std::shared_ptr<SumQueue::Piece>> SumQueue::start(T* values, std::int64_t count) {
  std::vector<std::shared_ptr<Piece>> pieces;
  const std::int64_t piece = kPieceBytes / static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t begin = 0; begin < count; begin += piece) {
    pieces.push_back(std::make_shared<TypedPiece<T>>(values + begin, std::min(piece, count - begin)));
  }
  pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
  advance();
  return pieces;
}
template std::vector<std::shared_ptr<SumQueue::Piece>> SumQueue::start(float*, std::int64_t);
template std::vector<std::shared_ptr<SumQueue::Piece>> SumQueue::start(double*, std::int64_t);

bool SumQueue::is_done(void** request) {
  int done = 0;
  check_(mpi_.test(request, &done), "MPI_Test");
  return done != 0;
}

void SumQueue::advance() {
  using Stage = Piece::Stage;
  bool in_turn = true;  // all pieces before this one have started to gather
  for (std::size_t i = 0; i < pieces_.size() && i < kPiecesAtOnce; ++i) {
    Piece& piece = *pieces_[i];
    if (piece.stage_ == Stage::waiting) {
      piece.begin(*this);
      piece.stage_ = Stage::scattering;
    }
    if (piece.stage_ == Stage::scattering && is_done(&piece.request_)) {
      piece.stage_ = Stage::added;
      piece.scattered();
    }
    if (piece.stage_ == Stage::added && in_turn) {
      piece.start_gather(*this);
      piece.stage_ = Stage::gathering;
    }
    if (piece.stage_ == Stage::gathering && is_done(&piece.request_)) piece.gathered();
    in_turn = in_turn && (piece.stage_ == Stage::gathering || piece.stage_ == Stage::done);
  }
  while (!pieces_.empty() && pieces_.front()->done()) pieces_.pop_front();
}

}  // namespace dpll
