// The part of write_file_atomically() that writes to a file descriptor. Tests can use it with a full device.
#pragma once

#include <string>

#include "dpll/files.h"

namespace dpll {

// Writes all of `bytes` to the open file descriptor. Error(run) with `path` and the operating system's
// reason.
void write_all(int fd, ByteView bytes, const std::string& path);
// fsync() of a file or folder; it is repeated if a signal interrupts it. Returns 0 or the error.
int sync_to_disk(int fd);

}  // namespace dpll
