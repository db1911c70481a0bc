#include "parallel/mpi_ranks.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string_view>
#include <system_error>
#include <thread>

#include "core/process.h"
#include "io/text.h"
#include "parallel/steady_seconds.h"

namespace dpll {
namespace {

// A wait first asks without a pause: on a cluster each rank has its cores, and most waits are short. Later it
// sleeps, ever longer, because ranks may share cores.
constexpr double kBusySeconds = 200e-6;
constexpr double kShortestSleep = 20e-6, kLongestSleep = 1e-3;
// How often a waiting rank looks whether the processes of the others live.
constexpr double kLookInterval = 0.05;
// How long a rank that has waited in vain asks who else waits.
constexpr double kAskSeconds = 2;
// How long rank 0 has to print what another rank has told it: it may be in the middle of a step.
constexpr double kFirstSpeaksSeconds = 5;
// How long rank 0 waits until all others know that it has failed; a computing rank learns it later.
constexpr double kAnswerSeconds = 0.5;
// The ranks behind rank 0 speak in turn, if they have to: each has this time before the next one.
constexpr double kTurnSeconds = 0.25;
// MPICH's launcher drops what it has not read when a process ends.
constexpr double kReadSeconds = 0.1;
// How long MPI_Abort may take.
constexpr double kAbortSeconds = 10;
// Bytes of a gather or broadcast that travel at once.
constexpr std::size_t kTransferBytes = std::size_t{16} << 20;

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// "number:[number]", the same for processes that see each other under the same numbers.
std::string process_space() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
}

std::vector<std::uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

// What the watching thread does where this process's own thread cannot go on.
[[noreturn]] void end_with(const std::string& line) {
  if (!line.empty()) {
    const std::string text = fmt::format("dpll_engine: {}\n", escaped(line));
    [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, text.data(), text.size());
  }
  sleep_for(kReadSeconds);
  _exit(static_cast<int>(ExitCode::device));
}

}  // namespace

struct MpiRanks::Message {
  enum class Kind : std::int32_t { failed, do_you_wait, i_wait };
  Kind kind = Kind::failed;
  std::int32_t from = 0;
  std::int32_t code = 0;             // failed: the exit code
  std::array<char, 1000> text = {};  // failed: one line, ends with a zero
};

class MpiRanks::StartedSum : public Sum {
 public:
  StartedSum(MpiRanks& ranks, std::vector<std::shared_ptr<SumQueue::Piece>> pieces)
      : ranks_(ranks), pieces_(std::move(pieces)) {}
  ~StartedSum() override {
    for (const auto& piece : pieces_) {
      if (!piece->done()) piece->abandon();
    }
  }
  void wait() override {
    ranks_.wait_for([this] {
      return std::all_of(pieces_.begin(), pieces_.end(), [](const auto& piece) { return piece->done(); });
    });
  }
  void progress() override {
    ranks_.take_messages();
    ranks_.sums_.advance();
  }

 private:
  MpiRanks& ranks_;
  std::vector<std::shared_ptr<SumQueue::Piece>> pieces_;
};

MpiRanks::MpiRanks(const DpllMpiTable& mpi, const Launch& launch, double time_limit)
    : mpi_(mpi),
      launch_(launch),
      time_limit_(time_limit),
      rank_(launch.rank),
      size_(launch.size),
      watch_(std::make_unique<PeerWatch>(launch.rank, end_with)),
      sums_(mpi, launch.rank, launch.size,
            [this](int error, const char* function) { check_call(error, function); }) {}

MpiRanks::~MpiRanks() = default;

std::unique_ptr<MpiRanks> MpiRanks::join(const Launch& launch, double time_limit,
                                         const std::string& library_folder) {
  DPLL_CHECK(launch.size > 1, "one rank needs no MPI");
  const DpllMpiTable& mpi = open_mpi_library(launch, library_folder);
  std::unique_ptr<MpiRanks> ranks(new MpiRanks(mpi, launch, time_limit));
  // MPI's own functions of start and end wait without a limit.
  // Rank 0 says it, if it can.
  const double limit = time_limit + (launch.rank == 0 ? 0 : kAskSeconds);
  ranks->watch_->limit(limit, fmt::format("rank {} ({}): the other ranks have not come within {:g} s; "
                                          "MPI_Init does not return",
                                          launch.rank, dpll::name_of(launch.by), time_limit));
  const int error = mpi.init();
  ranks->watch_->allow();
  if (error != 0) {
    fail(ExitCode::device, "rank {} ({}): MPI does not start: {}", launch.rank, dpll::name_of(launch.by),
         mpi.error_text(error));
  }
  if (mpi.size() != launch.size || mpi.rank() != launch.rank) {
    fail(ExitCode::device,
         "{} started this process as rank {} of {}, but MPI ({}) sees rank {} of {}: it is another MPI than "
         "that "
         "of the launcher; use the launcher that belongs to it",
         dpll::name_of(launch.by), launch.rank, launch.size, ranks->library_version(), mpi.rank(),
         mpi.size());
  }
  ranks->meet();
  return ranks;
}

// Each rank tells the others where it is.
void MpiRanks::meet() {
  local_rank_ = mpi_.local_rank();
  local_size_ = mpi_.local_size();
  hosts_.assign(size_, "?");
  processes_.assign(size_, 0);
  receive_next();
  const std::string host = mpi_.processor_name();
  const std::string own =
      fmt::format("{}\n{}\n{}\n{}", host, getpid(), process_start(getpid()), process_space());
  const std::vector<std::vector<std::uint8_t>> all = all_gather(bytes_of(own));
  for (int rank = 0; rank < size_; ++rank) {
    std::array<std::string, 4> fields;
    std::size_t field = 0;
    for (const std::uint8_t byte : all[rank]) {
      if (byte == '\n') {
        field = std::min(field + 1, fields.size() - 1);
      } else {
        fields[field] += static_cast<char>(byte);
      }
    }
    hosts_[rank] = fields[0];
    processes_[rank] = std::atoll(fields[1].c_str());
    const bool visible = fields[0] == host && fields[3] == process_space() && !fields[2].empty();
    if (rank == rank_ || !visible) continue;
    peers_.push_back({rank, name_of(rank), static_cast<pid_t>(processes_[rank]), fields[2]});
  }
  watch_->expect(peers_);
}

std::string MpiRanks::name_of(int rank) const {
  return fmt::format("rank {} on {} (process {})", rank, hosts_[rank], processes_[rank]);
}

std::string MpiRanks::library_version() const {
  return mpi_.library_version();
}

void MpiRanks::check_call(int error, const char* function) {
  if (error != 0)
    give_up(ExitCode::device, fmt::format("{}: {}: {}", name_of(rank_), function, mpi_.error_text(error)));
}

// All failures of the ranks' common work end here. `text` names the rank that failed.
void MpiRanks::give_up(ExitCode code, const std::string& text) {
  failed_ = true;
  watch_->leave_to_caller();
  throw Error(code, text);
}

// Operations that have not ended still use the memory of this object.
void MpiRanks::require_no_failure() const {
  if (failed_) fail(ExitCode::device, "{} has failed and cannot work with the other ranks", name_of(rank_));
}

void MpiRanks::wait_for(const Done& done) {
  require_no_failure();
  const double start = steady_seconds();
  double look_at = start + kLookInterval, sleep = kShortestSleep, now = start;
  const auto moved_on = [&] {
    sums_.advance();
    return done();
  };
  while (!moved_on()) {
    take_messages();
    now = steady_seconds();
    if (now < start + kBusySeconds) {
      sched_yield();
      continue;
    }
    if (now > look_at) {
      look_at_peers();
      look_at = now + kLookInterval;
    }
    if (now > start + time_limit_) {
      name_missing(moved_on);
    }
    sleep_for(sleep);
    sleep = std::min(1.2 * sleep, kLongestSleep);
  }
  seconds_waited_ += steady_seconds() - start;
}

void MpiRanks::wait_for_request(void* request) {
  wait_for([&] {
    int done = 0;
    check_call(mpi_.test(&request, &done), "MPI_Test");
    return done != 0;
  });
}

// Throws: the time limit is over. Ranks that wait, too, answer a question; those that do not are the cause.
void MpiRanks::name_missing(const Done& done) {
  answered_.assign(size_, false);
  answered_[rank_] = true;
  Message question;
  question.kind = Message::Kind::do_you_wait;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank != rank_) send(rank, question);
  }
  for (const double until = steady_seconds() + kAskSeconds; steady_seconds() < until;) {
    take_messages();
    done();
    sleep_for(kLongestSleep);
  }
  std::vector<std::string> missing;
  for (int rank = 0; rank < size_; ++rank) {
    if (answered_[rank]) continue;
    missing.push_back(name_of(rank));
    first_is_gone_ = first_is_gone_ || rank == 0;
  }
  if (missing.empty()) {
    give_up(ExitCode::device, fmt::format("{} has waited for {:g} s although all ranks answer: the network "
                                          "between them is too slow, or one "
                                          "of them computes for longer than the time limit",
                                          name_of(rank_), time_limit_));
  }
  constexpr std::size_t kNamed = 4;
  const std::string more =
      missing.size() > kNamed ? fmt::format(" and {} more", missing.size() - kNamed) : "";
  missing.resize(std::min(missing.size(), kNamed));
  give_up(ExitCode::device, fmt::format("{}{} did not answer within the time limit of {:g} s",
                                        fmt::join(missing, ", "), more, time_limit_));
}

void MpiRanks::look_at_peers() {
  if (closing_) return;
  const PeerWatch::Peer* const ended = PeerWatch::first_ended(peers_);
  if (ended == nullptr) return;
  // It may have said why.
  take_messages();
  first_is_gone_ = ended->rank == 0;
  give_up(ExitCode::device, ended->name + " has ended before the others");
}

void MpiRanks::receive_next() {
  incoming_ = std::make_unique<Message>();
  check_call(mpi_.receive(kDpllMpiControl, incoming_.get(), sizeof(Message), &incoming_request_),
             "MPI_Irecv");
}

void MpiRanks::send(int to, const Message& message) {
  auto own = std::make_unique<Message>(message);
  own->from = rank_;
  void* request = nullptr;
  check_call(mpi_.send(kDpllMpiControl, to, own.get(), sizeof(Message), &request), "MPI_Isend");
  outgoing_.emplace_back(std::move(own), request);
}

void MpiRanks::take_messages() {
  const auto arrived = [&](void** request) {
    int done = 0;
    check_call(mpi_.test(request, &done), "MPI_Test");
    return done != 0;
  };
  for (auto& [message, request] : outgoing_) arrived(&request);
  outgoing_.erase(std::remove_if(outgoing_.begin(), outgoing_.end(),
                                 [](const auto& sending) { return sending.second == nullptr; }),
                  outgoing_.end());
  while (arrived(&incoming_request_)) {
    const Message message = *incoming_;
    Message answer;
    answer.kind = Message::Kind::i_wait;
    receive_next();
    switch (message.kind) {
      case Message::Kind::failed: {
        told_ = true;
        first_teller_ = std::min(first_teller_, static_cast<int>(message.from));
        // The sender waits for this, because its end would look like another failure.
        send(message.from, answer);
        const std::string text(message.text.data(), strnlen(message.text.data(), message.text.size()));
        give_up(static_cast<ExitCode>(message.code), text);
      }
      case Message::Kind::do_you_wait: {
        send(message.from, answer);
        break;
      }
      case Message::Kind::i_wait:
        if (!answered_.empty()) answered_[message.from] = true;
        break;
    }
  }
}

void MpiRanks::check() {
  take_messages();
  look_at_peers();
}

void MpiRanks::gather(const std::uint8_t* own, const std::vector<std::size_t>& sizes,
                      const std::vector<std::uint8_t*>& targets) {
  require_no_failure();
  Transfer& transfer = transfer_;
  const std::size_t largest = *std::max_element(sizes.begin(), sizes.end());
  const std::size_t at_once = std::max<std::size_t>(kTransferBytes / size_, 4096);
  transfer.counts.resize(size_);
  transfer.places.resize(size_);
  for (std::size_t begin = 0; begin < largest; begin += at_once) {
    const auto part = [&](int rank) { return std::min(at_once, sizes[rank] - std::min(sizes[rank], begin)); };
    int total = 0;
    for (int rank = 0; rank < size_; ++rank) {
      transfer.counts[rank] = static_cast<int>(part(rank));
      transfer.places[rank] = total;
      total += transfer.counts[rank];
    }
    transfer.own.assign(own + std::min(begin, sizes[rank_]),
                        own + std::min(begin, sizes[rank_]) + part(rank_));
    transfer.all.resize(total);
    void* request = nullptr;
    check_call(mpi_.all_gather(kDpllMpiMain, transfer.own.data(), transfer.counts[rank_], transfer.all.data(),
                               transfer.counts.data(), transfer.places.data(), &request),
               "MPI_Iallgatherv");
    wait_for_request(request);
    for (int rank = 0; rank < size_; ++rank) {
      std::copy_n(transfer.all.data() + transfer.places[rank], part(rank), targets[rank] + begin);
    }
  }
}

void MpiRanks::all_gather(const void* own, std::size_t bytes, void* all) {
  std::vector<std::uint8_t*> targets(size_);
  for (int rank = 0; rank < size_; ++rank) targets[rank] = static_cast<std::uint8_t*>(all) + rank * bytes;
  gather(static_cast<const std::uint8_t*>(own), std::vector<std::size_t>(size_, bytes), targets);
}

std::vector<std::vector<std::uint8_t>> MpiRanks::all_gather(const std::vector<std::uint8_t>& own) {
  const std::uint64_t size = own.size();
  std::vector<std::uint64_t> sizes(size_);
  all_gather(&size, sizeof size, sizes.data());
  std::vector<std::vector<std::uint8_t>> all(size_);
  std::vector<std::uint8_t*> targets(size_);
  for (int rank = 0; rank < size_; ++rank) {
    all[rank].resize(sizes[rank]);
    targets[rank] = all[rank].data();
  }
  gather(own.data(), {sizes.begin(), sizes.end()}, targets);
  return all;
}

void MpiRanks::broadcast(void* data, std::size_t bytes) {
  require_no_failure();
  auto* const own = static_cast<std::uint8_t*>(data);
  for (std::size_t begin = 0; begin < bytes; begin += kTransferBytes) {
    const std::size_t count = std::min(kTransferBytes, bytes - begin);
    transfer_.own.assign(own + begin, own + begin + count);
    void* request = nullptr;
    check_call(mpi_.broadcast(kDpllMpiMain, transfer_.own.data(), static_cast<int>(count), &request),
               "MPI_Ibcast");
    wait_for_request(request);
    std::copy_n(transfer_.own.data(), count, own + begin);
  }
}

template <typename T>
std::unique_ptr<Ranks::Sum> MpiRanks::start(T* values, std::int64_t count) {
  require_no_failure();
  return std::make_unique<StartedSum>(*this, sums_.start(values, count));
}

std::unique_ptr<Ranks::Sum> MpiRanks::start_sum(float* values, std::int64_t count) {
  return start(values, count);
}

std::unique_ptr<Ranks::Sum> MpiRanks::start_sum(double* values, std::int64_t count) {
  return start(values, count);
}

void MpiRanks::finish() {
  require_no_failure();
  closing_ = true;
  watch_->expect({});
  void* request = nullptr;
  check_call(mpi_.barrier(kDpllMpiMain, &request), "MPI_Ibarrier");
  wait_for_request(request);
  watch_->limit(time_limit_,
                fmt::format("{}: MPI_Finalize does not return within {:g} s", name_of(rank_), time_limit_));
  // The receive that waits for messages is never answered, and MPI_Finalize would not like it.
  mpi_.cancel(&incoming_request_);
  mpi_.finalise();
  watch_->allow();
}

// Those that have ended count as answered.
void MpiRanks::tell_others(const std::string& text, ExitCode code) {
  Message message;
  message.code = static_cast<std::int32_t>(code);
  // Not within a character of several bytes.
  std::size_t length = std::min(text.size(), message.text.size() - 1);
  while (length < text.size() && length > 0 && (text[length] & 0xC0) == 0x80) --length;
  std::copy_n(text.data(), length, message.text.data());
  for (const PeerWatch::Peer& peer : peers_) {
    if (!process_runs(peer.process, peer.start)) answered_[peer.rank] = true;
  }
  for (int rank = 0; rank < size_; ++rank) {
    if (!answered_[rank]) send(rank, message);
  }
}

std::string MpiRanks::last_words(const Error& error) {
  const bool of_another = failed_;
  failed_ = true;
  watch_->leave_to_caller();
  const std::string line = of_another ? error.what() : fmt::format("{}: {}", name_of(rank_), error.what());
  const double start = steady_seconds();
  const double turn = kTurnSeconds * std::min(rank_, 20);
  double until = start + kAnswerSeconds;
  if (rank_ != 0) until = start + (first_is_gone_ ? 0 : kFirstSpeaksSeconds) + turn;
  answered_.assign(size_, false);
  answered_[rank_] = true;
  // Other ranks may tell of failures, too, and MPI may not work any more.
  try {
    if (!told_) tell_others(line, error.code());
  } catch (const Error&) {
  }
  while (steady_seconds() < until) {
    const bool all_know = std::find(answered_.begin(), answered_.end(), false) == answered_.end();
    if (rank_ == 0 && (told_ || all_know)) break;
    sleep_for(kLongestSleep);
    try {
      take_messages();
    } catch (const Error&) {
    }
    // Another rank has seen the same and speaks before this one.
    if (first_teller_ < rank_) until = start + kFirstSpeaksSeconds + turn;
  }
  return line;
}

void MpiRanks::abort(int exit_code) {
  std::fflush(nullptr);
  sleep_for(kReadSeconds);
  watch_->limit(kAbortSeconds, "");
  mpi_.abort(exit_code);
  _exit(exit_code);
}

std::string last_words(const Launch& launch, const Error& error) {
  if (launch.rank == 0) return error.what();
  // All tasks of such a step fail in this way, and nothing ends the others when the first has ended.
  if (launch.by == Launch::By::slurm_plain) return "";
  sleep_for(kFirstSpeaksSeconds);
  return error.what();
}

}  // namespace dpll
