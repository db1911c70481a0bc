// Members of the publishers' .tar.gz archives, read in place.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "dpll/files.h"

namespace dpll {

// The regular files of a gzip-compressed tar archive, by their names without folders. Members that `wanted`
// does not know are passed over. Error(data), naming `path`: not such an archive, truncated or damaged, a
// member of more than `most` bytes or twice the same name.
std::map<std::string, std::vector<std::uint8_t>> read_tar_gz(
    ByteView bytes, const std::string& path, const std::function<bool(const std::string&)>& wanted,
    std::size_t most);

}  // namespace dpll
