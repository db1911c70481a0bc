// What a run says: train.log with times, and the console, each text as one line by escaped(). On a terminal
// the last line is a progress bar.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace dpll {

class Log {
 public:
  // Appends to the file at `path` ("" = console only). `progress` asks for the bar, drawn only on a terminal.
  // With `hold` the file is not touched before release(): a resume that is refused leaves it as it was.
  Log(const std::string& path, bool progress, bool hold = false);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void release();  // writes what was held, and goes on without holding

  void line(const std::string& text);     // file and console
  void detail(const std::string& text);   // file only
  void warning(const std::string& text);  // both, marked

  struct Bar {
    int epoch = 0, epochs = 0;  // 1-based
    std::int64_t step = 0, steps = 0;
    double loss = 0, images_per_second = 0, seconds_left = 0;
  };
  bool wants_bar() const { return bar_; }
  void draw(const Bar& bar);  // at most ten times a second
  // What is being done before there are steps, on a terminal alone; what is said next takes its place.
  void status(const std::string& text);
  void clear_bar();

 private:
  void open_file();
  void write_file(const std::string& text);

  std::FILE* file_ = nullptr;
  std::string path_;
  bool holds_ = false;
  std::string held_;
  bool bar_ = false;
  bool bar_drawn_ = false;
  std::chrono::steady_clock::time_point last_draw_{};
};

// "1:02:03" or "2:03".
std::string format_duration(double seconds);

}  // namespace dpll
