#include <fcntl.h>
#include <unistd.h>

#include "backend/cpu/wait_policy.h"
#include "cli/commands.h"

namespace {

// If the console was closed (>&-), the next file that is opened would get its descriptor, and messages would
// be written to that file.
void open_standard_descriptors() {
  int file = 0;
  do {
    file = open("/dev/null", O_RDWR);
  } while (file >= 0 && file <= STDERR_FILENO);
  if (file >= 0) close(file);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  dpll::cpu::limit_spinning(argv);
  return dpll::run_command_line(argc, argv);
}
