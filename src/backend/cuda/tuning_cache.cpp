#include "backend/cuda/tuning_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/process.h"
#include "dpll/core/check.h"
#include "dpll/files.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

namespace fs = std::filesystem;

std::string whole_file(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  std::string text = name.data();
  std::replace(text.begin(), text.end(), '-', '_');
  return text.empty() ? "unnamed" : text;
}

// The notes that a signal removes, that of an operation before those of its passes; each is written before
// its handlers are there.
constexpr int kMostNotes = 4;
std::array<std::array<char, 4096>, kMostNotes> notes_of_signal{};
volatile std::sig_atomic_t note_count = 0;

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

void leave_with_notes(int signal) {
  for (int i = 0; i < note_count; ++i) unlink(notes_of_signal[static_cast<std::size_t>(i)].data());
  // The handler was installed for one signal, so what follows is what would have been without it.
  raise(signal);
}

void watch_signals(const std::string& note) {
  auto& copy = notes_of_signal[static_cast<std::size_t>(note_count)];
  if (note.size() >= copy.size()) return;
  std::memcpy(copy.data(), note.c_str(), note.size() + 1);
  note_count = note_count + 1;
  for (const int signal : kSignals) {
    struct sigaction now {};
    if (sigaction(signal, nullptr, &now) != 0 || now.sa_handler != SIG_DFL)
      continue;  // whoever handles it goes on
    struct sigaction mine {};
    mine.sa_handler = leave_with_notes;
    mine.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signal, &mine, nullptr);
  }
}

void unwatch_signals() {
  if (note_count > 0) note_count = note_count - 1;
  if (note_count > 0) return;
  for (const int signal : kSignals) {
    struct sigaction now {};
    if (sigaction(signal, nullptr, &now) == 0 && now.sa_handler == leave_with_notes) {
      std::signal(signal, SIG_DFL);
    }
  }
}

// Held as long as it lives. A file system without locks does without: then the last writer wins.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder)
      : file_(open((folder + "/tuning.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    while (file_ >= 0 && flock(file_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~FolderLock() {
    if (file_ >= 0) close(file_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_;
};

}  // namespace

TuningCache::TuningCache(std::string folder, std::string identity,
                         std::function<void(const std::string&)> warn)
    : folder_(std::move(folder)), identity_(std::move(identity)), warn_(std::move(warn)) {
  if (!folder_.empty()) collect_notes();
}

std::string TuningCache::file() const {
  std::string name = identity_;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-') c = '_';
  }
  return (fs::path(folder_) / ("tuning-" + name + ".json")).string();
}

TuningChoices TuningCache::load() {
  if (folder_.empty() || !fs::exists(file())) return {};
  try {
    return parse_choices(whole_file(file()), identity_);
  } catch (const Error& error) {
    warn_(fmt::format("'{}' is not used and will be replaced: {}", file(), error.what()));
    return {};
  }
}

void TuningCache::add(const TuningChoices& found) {
  if (folder_.empty() || unwritable_) return;
  try {
    std::error_code ignored;  // the write says what is wrong
    fs::create_directories(folder_, ignored);
    const FolderLock lock(folder_);
    TuningChoices all;
    if (fs::exists(file())) {
      try {
        all = parse_choices(whole_file(file()), identity_);
      } catch (const Error&) {
        all.clear();  // damaged: said when it was read
      }
    }
    for (const auto& [key, choice] : found) all[key] = choice;
    write_file_atomically(file(), to_text(identity_, all));
  } catch (const Error& error) {
    unwritable_ = true;  // said once
    warn_(fmt::format("the tuning is not kept: {}", error.what()));
  }
}

int TuningCache::deaths(const std::string& key, const std::string& name) const {
  return static_cast<int>(std::count_if(deaths_.begin(), deaths_.end(), [&](const Death& death) {
    return death.key == key && death.name == name;
  }));
}

void TuningCache::collect_notes() {
  const std::string mine = "trying-" + host_name() + "-";
  std::error_code none;  // no folder, no notes
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder_, none)) paths.push_back(entry.path());
  for (fs::path path : paths) {
    const std::string name = path.filename().string();
    if (name.starts_with(mine)) {
      const std::size_t dash = name.rfind('-');
      const std::string start = name.substr(dash + 1, name.find('.', dash) - dash - 1);
      const int pid = std::atoi(name.substr(mine.size(), dash - mine.size()).c_str());
      if (process_start(pid) == start) continue;  // at work
      const fs::path grave = path.parent_path() / ("died-" + name.substr(std::string("trying-").size()));
      std::error_code gone;  // another process was quicker, or the folder is read-only
      fs::rename(path, grave, gone);
      path = gone ? path : grave;
    } else if (!name.starts_with("died-")) {
      continue;
    }
    try {
      const auto json = nlohmann::json::parse(whole_file(path.string()));
      if (json.at("identity") == identity_) deaths_.push_back({json.at("key"), json.at("name")});
    } catch (const std::exception&) {
      continue;  // cut short: it says nothing
    }
  }
}

TuningCache::Trial::Trial(const TuningCache& cache, const std::string& key, const std::string& name) {
  if (cache.folder_.empty() || cache.unwritable_ || note_count == kMostNotes) return;
  const pid_t pid = getpid();
  const std::string who = fmt::format("{}-{}-{}.{}", host_name(), pid, process_start(pid), int{note_count});
  std::error_code ignored;
  fs::create_directories(cache.folder_, ignored);
  const std::string note = (fs::path(cache.folder_) / ("trying-" + who)).string();
  std::ofstream file(note, std::ios::binary | std::ios::trunc);
  file << nlohmann::json({{"identity", cache.identity_}, {"key", key}, {"name", name}}).dump() << "\n";
  file.close();
  if (!file) return;  // tuning goes on without
  note_ = note;
  grave_ = (fs::path(cache.folder_) / ("died-" + who)).string();
  watch_signals(note_);
}

TuningCache::Trial::~Trial() {
  if (note_.empty()) return;
  unwatch_signals();
  unlink(note_.c_str());
}

void TuningCache::Trial::died() {
  if (note_.empty()) return;
  unwatch_signals();
  std::rename(note_.c_str(), grave_.c_str());
  note_.clear();
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
