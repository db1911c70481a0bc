#include "support/thread_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "dpll/core/check.h"
#include "parallel/steady_seconds.h"
#include "parallel/sum_queue.h"

namespace dpll::test {
namespace {

constexpr std::chrono::seconds kTimeLimit{60};

// A sum of all ranks that at least one has started.
struct OpenSum {
  std::string arguments;  // type and number of values
  int started = 0;
  std::vector<float> floats;  // [ranks, count] of one of the types; later [count], the sums
  std::vector<double> doubles;
};

// What the threads share.
class Meeting {
 public:
  explicit Meeting(int size) : size_(size), published_(size), arguments_(size) {}

  int size() const { return size_; }

  // Gives what all ranks have published to `use`, between two barriers. `arguments` has to be the same on
  // all.
  void exchange(int rank, const void* own, const std::string& arguments,
                const std::function<void(const std::vector<const void*>&)>& use) {
    {
      const std::lock_guard lock(mutex_);
      published_[rank] = own;
      arguments_[rank] = arguments;
    }
    barrier(rank);
    for (int other = 0; other < size_; ++other) {
      if (arguments_[other] != arguments) {
        fail(ExitCode::internal, "rank {} calls {}, rank {} {}", rank, arguments, other, arguments_[other]);
      }
    }
    use(published_);
    barrier(rank);
  }

  template <typename T>
  std::shared_ptr<OpenSum> start_sum(int rank, std::int64_t number, const T* values, std::int64_t count,
                                     std::vector<T> OpenSum::*all) {
    const std::lock_guard lock(mutex_);
    const std::string arguments = fmt::format("a sum of {} values of {} bytes", count, sizeof(T));
    std::shared_ptr<OpenSum>& sum = sums_[number];
    if (sum == nullptr) {
      sum = std::make_shared<OpenSum>();
      sum->arguments = arguments;
      (*sum.*all).resize(size_ * count);
    }
    if (sum->arguments != arguments) {
      fail(ExitCode::internal, "rank {} starts {}, another rank {}", rank, arguments, sum->arguments);
    }
    std::copy(values, values + count, (*sum.*all).begin() + rank * count);
    const std::shared_ptr<OpenSum> mine = sum;
    if (++mine->started == size_) {
      add_in_rank_order((*mine.*all).data(), size_, count, (*mine.*all).data());
      sums_.erase(number);
      changed_.notify_all();
    }
    return mine;
  }

  void wait(int rank, const OpenSum& sum) {
    std::unique_lock lock(mutex_);
    wait_until(lock, rank, [&] { return sum.started == size_; });
  }

  // Until something comes true that is none of the ranks' own.
  void wait_until(int rank, const std::function<bool()>& done) {
    const double limit = steady_seconds() + std::chrono::duration<double>(kTimeLimit).count();
    while (!done()) {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(1), [&] { return failed_ >= 0; });
      if (failed_ >= 0) fail(ExitCode::device, "rank {} on this machine: {}", failed_, text_);
      if (steady_seconds() > limit) fail(ExitCode::device, "rank {} waits for something else in vain", rank);
    }
  }

  // A thread ends. Others that wait for it then or later wait in vain.
  void leaves(int rank) {
    const std::lock_guard lock(mutex_);
    left_ = rank;
    changed_.notify_all();
  }
  // A thread ends with an exception.
  void fails(int rank, const std::string& text, std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (failed_ < 0) {
      failed_ = rank;
      text_ = text;
      failure_ = failure;
    }
    changed_.notify_all();
  }
  std::exception_ptr failure() const { return failure_; }

 private:
  void barrier(int rank) {
    std::unique_lock lock(mutex_);
    const std::int64_t round = round_;
    if (++arrived_ == size_) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
    }
    wait_until(lock, rank, [&] { return round_ != round; });
  }

  template <typename Condition>
  void wait_until(std::unique_lock<std::mutex>& lock, int rank, const Condition& condition) {
    changed_.wait_for(lock, kTimeLimit, [&] { return condition() || failed_ >= 0 || left_ >= 0; });
    if (condition()) return;
    if (failed_ >= 0) fail(ExitCode::device, "rank {} on this machine: {}", failed_, text_);
    if (left_ >= 0)
      fail(ExitCode::device, "rank {} waits, but rank {} has ended before the others", rank, left_);
    fail(ExitCode::device, "rank {} waits for a rank that does not come", rank);
  }

  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<const void*> published_;
  std::vector<std::string> arguments_;
  int arrived_ = 0;
  std::int64_t round_ = 0;
  std::map<std::int64_t, std::shared_ptr<OpenSum>> sums_;  // by their number in the order of starts
  int failed_ = -1, left_ = -1;                            // ranks
  std::string text_;
  std::exception_ptr failure_;
};

class ThreadRanks : public Ranks {
 public:
  ThreadRanks(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return meeting_.size(); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return meeting_.size(); }

  void all_gather(const void* own, std::size_t bytes, void* all) override {
    exchange(own, fmt::format("all_gather of {} bytes", bytes), [&](const auto& published) {
      auto* const target = static_cast<std::uint8_t*>(all);
      for (int rank = 0; rank < size(); ++rank) copy(published[rank], bytes, target + rank * bytes);
    });
  }

  std::vector<std::vector<std::uint8_t>> all_gather(const std::vector<std::uint8_t>& own) override {
    std::vector<std::vector<std::uint8_t>> all;
    exchange(&own, "all_gather of any bytes", [&](const auto& published) {
      for (const void* part : published) all.push_back(*static_cast<const std::vector<std::uint8_t>*>(part));
    });
    return all;
  }

  void broadcast(void* data, std::size_t bytes) override {
    exchange(data, fmt::format("broadcast of {} bytes", bytes), [&](const auto& published) {
      if (rank_ != 0) copy(published[0], bytes, static_cast<std::uint8_t*>(data));
    });
  }

  std::unique_ptr<Sum> start_sum(float* values, std::int64_t count) override {
    return start(values, count, &OpenSum::floats);
  }
  std::unique_ptr<Sum> start_sum(double* values, std::int64_t count) override {
    return start(values, count, &OpenSum::doubles);
  }

  void wait_until(const std::function<bool()>& done) override { meeting_.wait_until(rank_, done); }
  double seconds_waited() const override { return seconds_waited_; }

 private:
  template <typename T>
  class StartedSum : public Sum {
   public:
    StartedSum(ThreadRanks& ranks, std::shared_ptr<OpenSum> sum, T* values, std::int64_t count,
               std::vector<T> OpenSum::*all)
        : ranks_(ranks), sum_(std::move(sum)), values_(values), count_(count), all_(all) {}
    ~StartedSum() override {
      if (sum_ != nullptr) --ranks_.under_way_;
    }
    void wait() override {
      if (sum_ == nullptr) return;
      ranks_.measured([&] { ranks_.meeting_.wait(ranks_.rank_, *sum_); });
      std::copy_n((*sum_.*all_).begin(), count_, values_);
      sum_.reset();
      --ranks_.under_way_;
    }
    void progress() override {}

   private:
    ThreadRanks& ranks_;
    std::shared_ptr<OpenSum> sum_;  // nullptr: done
    T* const values_;
    const std::int64_t count_;
    std::vector<T> OpenSum::*const all_;
  };

  template <typename T>
  std::unique_ptr<Sum> start(T* values, std::int64_t count, std::vector<T> OpenSum::*all) {
    DPLL_CHECK(under_way_ < kMostSums, "{} sums are under way", under_way_);
    ++under_way_;
    auto sum = std::make_unique<StartedSum<T>>(*this, meeting_.start_sum(rank_, sums_++, values, count, all),
                                               values, count, all);
    std::fill(values, values + count, std::numeric_limits<T>::quiet_NaN());
    return sum;
  }

  template <typename Use>
  void exchange(const void* own, const std::string& arguments, const Use& use) {
    measured([&] { meeting_.exchange(rank_, own, arguments, use); });
  }

  template <typename Action>
  void measured(const Action& action) {
    const double start = steady_seconds();
    action();
    seconds_waited_ += steady_seconds() - start;
  }

  static void copy(const void* from, std::size_t bytes, std::uint8_t* to) {
    const auto* const begin = static_cast<const std::uint8_t*>(from);
    std::copy(begin, begin + bytes, to);
  }

  Meeting& meeting_;
  const int rank_;
  double seconds_waited_ = 0;
  std::int64_t sums_ = 0;
  int under_way_ = 0;
};

}  // namespace

void run_ranks(int size, const std::function<void(Ranks&)>& work) {
  Meeting meeting(size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadRanks ranks(meeting, rank);
      try {
        work(ranks);
        meeting.leaves(rank);
      } catch (const std::exception& error) {
        meeting.fails(rank, error.what(), std::current_exception());
      } catch (...) {
        meeting.fails(rank, "an exception of unknown type", std::current_exception());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (meeting.failure() != nullptr) std::rethrow_exception(meeting.failure());
}

}  // namespace dpll::test
