// The inner loop of write_file_atomically(), apart so that tests can aim it at a full device.
#pragma once

#include <string>

#include "dpll/files.h"

namespace dpll {

// Writes all of `bytes` to the open file descriptor. Error(run) naming `path` and the operating system's
// reason.
void write_all(int fd, ByteView bytes, const std::string& path);

}  // namespace dpll
