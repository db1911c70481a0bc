#include "support/thread_ranks.h"

#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "dpll/core/check.h"

namespace dpll::test {
namespace {

// What the threads share: each call is a meeting of all, where everyone brings bytes and takes those of all.
class Meeting {
 public:
  explicit Meeting(int count) : brought_(static_cast<std::size_t>(count)) {}

  std::vector<std::vector<std::uint8_t>> exchange(int rank, std::vector<std::uint8_t> own) {
    std::unique_lock<std::mutex> lock(mutex_);
    // The results of the meeting before are taken.
    changed_.wait(lock, [&] { return broken_ || taken_ == 0; });
    brought_[static_cast<std::size_t>(rank)] = std::move(own);
    if (++arrived_ == static_cast<int>(brought_.size())) {
      arrived_ = 0;
      taken_ = static_cast<int>(brought_.size());
      ++number_;
      changed_.notify_all();
    } else {
      const int before = number_;
      changed_.wait(lock, [&] { return broken_ || number_ != before; });
    }
    if (broken_) fail(ExitCode::device, "another rank has ended");
    std::vector<std::vector<std::uint8_t>> all = brought_;
    if (--taken_ == 0) changed_.notify_all();
    return all;
  }

  void break_up() {
    const std::lock_guard<std::mutex> lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<std::uint8_t>> brought_;
  int arrived_ = 0, taken_ = 0, number_ = 0;
  bool broken_ = false;
};

class ThreadRanks final : public Ranks {
 public:
  ThreadRanks(Meeting& meeting, int rank, int size) : meeting_(meeting), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return rank_; }
  int local_size() const override { return size_; }

  void all_gather(const void* own, std::size_t bytes, void* all) override {
    const auto* const from = static_cast<const std::uint8_t*>(own);
    const auto of_all = meeting_.exchange(rank_, {from, from + bytes});
    for (std::size_t r = 0; r < of_all.size(); ++r) {
      DPLL_CHECK(of_all[r].size() == bytes, "rank {} brought {} bytes, this one {}", r, of_all[r].size(),
                 bytes);
      std::memcpy(static_cast<std::uint8_t*>(all) + r * bytes, of_all[r].data(), bytes);
    }
  }
  std::vector<std::vector<std::uint8_t>> all_gather(const std::vector<std::uint8_t>& own) override {
    return meeting_.exchange(rank_, own);
  }
  void broadcast(void* data, std::size_t bytes) override {
    const auto* const from = static_cast<const std::uint8_t*>(data);
    const auto all = meeting_.exchange(rank_, {from, from + bytes});
    std::memcpy(data, all[0].data(), bytes);
  }
  std::unique_ptr<Sum> start_sum(float* values, std::int64_t count) override { return sum(values, count); }
  std::unique_ptr<Sum> start_sum(double* values, std::int64_t count) override { return sum(values, count); }
  double seconds_waited() const override { return 0; }

 private:
  class Done final : public Sum {
   public:
    void wait() override {}
    void progress() override {}
  };

  template <typename T>
  std::unique_ptr<Sum> sum(T* values, std::int64_t count) {
    std::vector<T> all(static_cast<std::size_t>(count * size_));
    all_gather(values, static_cast<std::size_t>(count) * sizeof(T), all.data());
    for (std::int64_t i = 0; i < count; ++i) {
      double total = 0;
      for (int r = 0; r < size_; ++r)
        total += static_cast<double>(all[static_cast<std::size_t>(r * count + i)]);
      values[i] = static_cast<T>(total);
    }
    return std::make_unique<Done>();
  }

  Meeting& meeting_;
  int rank_, size_;
};

}  // namespace

void run_ranks(int count, const std::function<void(Ranks&)>& body) {
  Meeting meeting(count);
  std::exception_ptr first;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        ThreadRanks ranks(meeting, rank, count);
        body(ranks);
      } catch (...) {
        {
          const std::lock_guard<std::mutex> lock(mutex);
          if (first == nullptr) first = std::current_exception();
        }
        meeting.break_up();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace dpll::test
