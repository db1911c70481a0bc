// The readers that rows of the catalogue name. Each returns the whole set: training and test images, class
// names, and what comes with them; load_data() cuts it.
#pragma once

#include "data/catalogue.h"

namespace dpll {

// CIFAR-10 and CIFAR-100, binary or python version, whichever is there.
DataSet read_cifar(const DatasetRow& row, const RunConfig& config, const LoadReport& report);
// Four files in the IDX format. Without class names in the row, labels are numbers.
DataSet read_idx(const DatasetRow& row, const RunConfig& config, const LoadReport& report);
DataSet read_svhn(const DatasetRow& row, const RunConfig& config, const LoadReport& report);
// data/user_arrays.h
DataSet read_arrays(const DatasetRow& row, const RunConfig& config, const LoadReport& report);
// data/tabular.h
DataSet read_tabular(const DatasetRow& row, const RunConfig& config, const LoadReport& report);
// A folder of images: train/CLASS/ and test/CLASS/, or images/ and labels.csv; data/README.md. Error(data) in
// one line for what is missing, cannot be read or does not fit together.
DataSet read_image_folder(const DatasetRow& row, const RunConfig& config, const LoadReport& report);

}  // namespace dpll
