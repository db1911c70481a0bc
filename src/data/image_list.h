// Many pictures: the files of a folder, and their pixels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/data.h"

namespace dpll {

struct ImageFile {
  std::string name;  // relative to the folder that was listed, with /
  std::string path;
  std::uint64_t bytes = 0;
  std::int64_t changed = 0;  // time of the last change, in ticks of the file system's clock
  std::string problem = {};  // why it cannot be read, where the listing shows that; else empty
};

struct ImageListing {
  std::vector<ImageFile> files;     // .png, .jpg and .jpeg in any letter case, in the order of their names
  std::vector<std::string> others;  // names of files of other kinds; hidden ones are left out
};

// Whether the name ends in .png, .jpg or .jpeg, in any letter case.
bool is_image_name(const std::string& name);

// All files below `folder`, links followed. Error(data): a folder that cannot be read, links that lead back
// to a folder above them.
ImageListing list_images(const std::string& folder);

// The names of the folders in `folder`, sorted, without hidden ones. Error(data) as above.
std::vector<std::string> list_folders(const std::string& folder);

// The pictures, in the order of `files`, [files, size, size, channels] (image_file.h, image_resize.h),
// decoded on several threads; the pixels do not depend on their number. Large pictures are decoded one at a
// time, so that memory stays bounded. Tells report.status how far it is. Error(data): one line with the name
// of every picture that cannot be read, and why, at most kMostNamed of them.
std::vector<std::uint8_t> decode_images(const std::vector<ImageFile>& files, int size, int channels,
                                        const LoadReport& report);
inline constexpr std::size_t kMostNamed = 50;

// "a, b, c and 12 more": the first of many names, for a message.
std::string some_of(const std::vector<std::string>& names, std::size_t most);

}  // namespace dpll
