// The messages of a run: train.log with times, and the console. escaped() makes each text one line. On a
// terminal the last line is a progress bar.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace dpll {

class Log {
 public:
  // Appends to the file at `path` ("" = console only). `progress`: draw the bar, if the output is a terminal.
  // With `hold` the file is not changed before release(), so that a refused resume leaves it as it was.
  Log(const std::string& path, bool progress, bool hold = false);
  // That of a rank whose messages rank 0 writes: it says nothing itself and keeps warnings until they are
  // taken.
  struct Silent {};
  explicit Log(Silent) : silent_(true) {}
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void release();  // writes the held messages and stops holding

  void line(const std::string& text);     // file and console
  void detail(const std::string& text);   // file only
  void warning(const std::string& text);  // both, marked
  // Those since the last call.
  std::vector<std::string> take_warnings() { return std::exchange(warnings_, {}); }

  struct Bar {
    int epoch = 0, epochs = 0;  // 1-based
    std::int64_t step = 0, steps = 0;
    double loss = 0, images_per_second = 0, seconds_left = 0;
  };
  bool wants_bar() const { return bar_; }
  void draw(const Bar& bar);  // at most ten times a second
  // Shows the current activity before the first step, only on a terminal; the next message replaces it.
  void status(const std::string& text);
  void clear_bar();

 private:
  void open_file();
  void write_file(const std::string& text);

  bool silent_ = false;
  std::vector<std::string> warnings_;
  std::FILE* file_ = nullptr;
  std::string path_;
  bool holds_ = false;
  std::string held_;
  bool bar_ = false;
  bool bar_drawn_ = false;
  std::chrono::steady_clock::time_point last_draw_{};
};

// "1:02:03" or "2:03"; from two days on "49 days 3:01:01".
std::string format_duration(double seconds);

}  // namespace dpll
