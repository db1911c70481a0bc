// The binary version of CIFAR-10 and CIFAR-100: records of one label byte (CIFAR-100: coarse, then fine) and
// a 32 x 32 image as red, green and blue planes. Described at https://www.cs.toronto.edu/~kriz/cifar.html.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/data.h"

namespace dpll {

enum class CifarLabels { ten, fine, coarse };

// The images of one batch file, planes interleaved to [count, 32, 32, 3]. Error(data): empty, not a whole
// number of records, label out of range.
ImageSet parse_cifar(const std::vector<std::uint8_t>& bytes, const std::string& path, CifarLabels labels);
// The same of one file of the "python version": a pickled dict with `data`, uint8 [count, 3072] (red,
// green, blue planes), and `labels` or `fine_labels` and `coarse_labels`. Nothing of the pickle is executed.
ImageSet parse_cifar_python(const std::vector<std::uint8_t>& bytes, const std::string& path,
                            CifarLabels labels);

}  // namespace dpll
