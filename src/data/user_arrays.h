// [data] dataset = safetensors: a user's own arrays from one file. data/README.md shows how to make it.
#pragma once

#include <string>

#include "dpll/data.h"
#include "dpll/safetensors.h"

namespace dpll {

// images u8 [N,H,W,C], or features [N,D] of f32, f16, bf16 or f64 (as they are: load_data() standardises
// them); optional: labels i64/i32/u8 [N] with -1 for unknown, candidates u8/bool [N,classes] of
// 0/1 with no empty row, test_images or test_features, test_labels. Labels or candidates must be there. The
// candidates' width gives the number of classes, without them the largest label. Error(data) naming file,
// tensor and row, and what seems to be meant: axes in another order, labels from 1, a number that stands for
// unknown. The caller still has to fill train_origin.
DataSet data_from_arrays(const SafetensorsFile& file);
// The feature vectors of the tensor `name`, [N,D] as above, without labels.
ImageSet read_features(const SafetensorsFile& file, const std::string& name);

}  // namespace dpll
