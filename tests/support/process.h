// Runs the engine (or any program) as a child process, as a user would.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace dpll::test {

struct ProcessResult {
  int exit_code = -1;  // 128 + n when signal n ended it
  std::string out, err;
};

struct ProcessOptions {
  std::string folder;        // working directory; "" = ours
  long file_size_limit = 0;  // bytes a written file may have (RLIMIT_FSIZE), 0 = no limit: a full disk
};

// Runs to the end.
ProcessResult run_process(const std::vector<std::string>& command, const ProcessOptions& options = {});

// A child that runs while the test goes on; killed by the destructor if it still lives.
class Child {
 public:
  Child(const std::vector<std::string>& command, const ProcessOptions& options);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number) const;
  bool running();
  ProcessResult wait();

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  ProcessResult result_;
  std::string out_path_, err_path_;
};

// The engine of this build with arguments.
std::vector<std::string> engine(const std::vector<std::string>& arguments);

}  // namespace dpll::test
