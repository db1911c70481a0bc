#include "core/process.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>

namespace dpll {
namespace {

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

}  // namespace

std::string process_start(pid_t pid) {
  std::ifstream file(folder_of(pid) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::size_t name_end = text.rfind(')');  // the name may hold spaces
  if (name_end == std::string::npos) return "";
  std::istringstream rest(text.substr(name_end + 1));
  std::string state, field;
  rest >> state;
  if (state == "Z" || state == "X") return "";  // ended, but its parent has not waited for it
  constexpr int kStart = 19;                    // "starttime", counted behind the state
  for (int i = 0; i < kStart && rest >> field; ++i) {
  }
  return field;
}

bool process_runs(pid_t pid, const std::string& start) {
  const std::string now = process_start(pid);
  if (!now.empty()) return now == start;
  if (access(folder_of(pid).c_str(), F_OK) == 0) return false;
  return kill(pid, 0) == 0 || errno == EPERM;  // it exists, but belongs to another user and is hidden
}

}  // namespace dpll
