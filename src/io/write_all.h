// What write_file_atomically() does with a file descriptor, apart so that tests can aim it at a full device.
#pragma once

#include <string>

#include "dpll/files.h"

namespace dpll {

// Writes all of `bytes` to the open file descriptor. Error(run) naming `path` and the operating system's
// reason.
void write_all(int fd, ByteView bytes, const std::string& path);
// fsync() of a file or folder; a signal in between does not end it. 0, or the error.
int sync_to_disk(int fd);

}  // namespace dpll
