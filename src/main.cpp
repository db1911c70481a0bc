#include "cli/commands.h"

int main(int argc, char** argv) {
  return dpll::run_command_line(argc, argv);
}
