// Pictures of any size brought to the one that a network takes.
#pragma once

#include "dpll/data.h"

namespace dpll {

// One image [size, size, C] of one image [H, W, C]: the shorter side is brought to `size`, then the middle is
// cut out. The values are those of torchvision's Resize(size) and CenterCrop(size) on an image of Pillow,
// bit for bit: Pillow's "bilinear" filter, a triangle that covers two output pixels where the image shrinks,
// in integers, along the rows first. (Of pictures more than twice as high as wide, Pillow 13 takes the
// columns first where they shrink, which changes the rounding: a value may differ by 1.) The part that is cut
// off is not computed, so that memory stays in proportion to the image and to size * size.
ImageSet fit_image(const ImageSet& image, int size);

}  // namespace dpll
