#include "support/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace dpll::test {
namespace {

std::string temp_file() {
  std::string path = "/tmp/dpll-test-output-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) throw std::runtime_error("cannot make a file in /tmp");
  close(file);
  return path;
}

std::string read_and_remove(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  unlink(path.c_str());
  return text.str();
}

void redirect(const std::string& path, int to) {
  const int file = open(path.c_str(), O_WRONLY | O_TRUNC);
  if (file < 0 || dup2(file, to) < 0) _exit(126);
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Child::Child(const std::vector<std::string>& command, const ProcessOptions& options)
    : out_path_(temp_file()), err_path_(temp_file()) {
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    redirect(out_path_, STDOUT_FILENO);
    redirect(err_path_, STDERR_FILENO);
    // Started in the background of a script, the tests ignore it, and a child would as well.
    std::signal(SIGINT, SIG_DFL);
    if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) _exit(126);
    if (options.file_size_limit > 0) {
      std::signal(SIGXFSZ, SIG_IGN);
      const auto bytes = static_cast<rlim_t>(options.file_size_limit);
      const rlimit limit{bytes, bytes};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    execv(arguments[0], arguments.data());
    _exit(127);
  }
}

Child::~Child() {
  if (!ended_) {
    kill(pid_, SIGKILL);
    wait();
  }
}

void Child::signal(int number) const {
  kill(pid_, number);
}

bool Child::running() {
  if (ended_) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  ended_ = true;
  result_ = {exit_code_of(status), read_and_remove(out_path_), read_and_remove(err_path_)};
  return false;
}

ProcessResult Child::wait() {
  if (ended_) return result_;
  int status = 0;
  waitpid(pid_, &status, 0);
  ended_ = true;
  result_ = {exit_code_of(status), read_and_remove(out_path_), read_and_remove(err_path_)};
  return result_;
}

ProcessResult run_process(const std::vector<std::string>& command, const ProcessOptions& options) {
  return Child(command, options).wait();
}

std::vector<std::string> engine(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {DPLL_ENGINE};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

}  // namespace dpll::test
