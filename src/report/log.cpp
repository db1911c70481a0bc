#include "report/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>

#include "dpll/core/check.h"
#include "io/text.h"

namespace dpll {

std::string format_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  const auto s = static_cast<long>(std::lround(seconds));
  constexpr long kDay = 24 * 3600;
  if (s >= 2 * kDay)
    return fmt::format("{} days {}", s / kDay, format_duration(static_cast<double>(s % kDay)));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

namespace {

int terminal_columns() {
  winsize window{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

}  // namespace

Log::Log(const std::string& path, bool progress, bool hold)
    : path_(path), holds_(hold), bar_(progress && isatty(STDOUT_FILENO) == 1) {
  if (!holds_) open_file();
}

void Log::open_file() {
  if (path_.empty()) return;
  file_ = std::fopen(path_.c_str(), "ae");
  if (file_ == nullptr) fail(ExitCode::run, "cannot write '{}': {}", path_, std::strerror(errno));
}

void Log::release() {
  if (!holds_) return;
  holds_ = false;
  open_file();
  if (file_ == nullptr) return;
  if (std::fputs(held_.c_str(), file_) < 0 || std::fflush(file_) != 0) {
    fail(ExitCode::run, "cannot write '{}': {}", path_, std::strerror(errno));
  }
  held_.clear();
}

Log::~Log() {
  clear_bar();
  if (file_ != nullptr) std::fclose(file_);
}

void Log::write_file(const std::string& text) {
  if (file_ == nullptr && !holds_) return;
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &local);
  const std::string line = fmt::format("{}  {}\n", stamp, escaped(text));
  if (holds_) {
    held_ += line;
    return;
  }
  if (std::fputs(line.c_str(), file_) < 0 || std::fflush(file_) != 0) {
    fail(ExitCode::run, "cannot write '{}': {}", path_, std::strerror(errno));
  }
}

void Log::line(const std::string& text) {
  if (silent_) return;
  clear_bar();
  std::fprintf(stdout, "%s\n", escaped(text).c_str());
  std::fflush(stdout);
  write_file(text);
}

void Log::detail(const std::string& text) {
  write_file(text);
}

void Log::warning(const std::string& text) {
  warnings_.push_back(text);
  line("warning: " + text);
}

void Log::status(const std::string& text) {
  if (!bar_) return;
  std::fprintf(stdout, "\r\033[K%s",
               escaped(text).substr(0, static_cast<std::size_t>(terminal_columns() - 1)).c_str());
  std::fflush(stdout);
  bar_drawn_ = true;
}

void Log::draw(const Bar& bar) {
  if (!bar_) return;
  const auto now = std::chrono::steady_clock::now();
  if (bar_drawn_ && now - last_draw_ < std::chrono::milliseconds(100)) return;
  last_draw_ = now;
  const int columns = terminal_columns();
  const std::string head = fmt::format("epoch {}/{} ", bar.epoch, bar.epochs);
  const std::string tail = fmt::format(" {}/{}  loss {:.4f}  {:.0f} images/s  {} left", bar.step, bar.steps,
                                       bar.loss, bar.images_per_second, format_duration(bar.seconds_left));
  const int room = std::clamp(columns - 3 - static_cast<int>(head.size() + tail.size()), 0, 40);
  const int full = bar.steps > 0 ? static_cast<int>(room * bar.step / bar.steps) : 0;
  std::string text = head;
  if (room > 4)
    text += "[" + std::string(static_cast<std::size_t>(full), '#') +
            std::string(static_cast<std::size_t>(room - full), '.') + "]";
  text += tail;
  text.resize(std::min(text.size(), static_cast<std::size_t>(columns - 1)));
  std::fprintf(stdout, "\r\033[K%s", text.c_str());
  std::fflush(stdout);
  bar_drawn_ = true;
}

void Log::clear_bar() {
  if (!bar_drawn_) return;
  std::fprintf(stdout, "\r\033[K");
  std::fflush(stdout);
  bar_drawn_ = false;
}

}  // namespace dpll
