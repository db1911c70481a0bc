// The kinds of policies and crops of the views.
#pragma once

namespace dpll {

// A policy changes the whole image of a strong view; the tables are in src/augment/policy_tables.cpp.
enum class AugmentPolicy { none, plcr_cifar, svhn, autoaugment_cifar, randaugment };

// The crop of a view: as large as the image and shifted into a border around it, or a random part of the
// image that is enlarged to its size (torchvision's RandomResizedCrop).
enum class CropKind { shifted, resized };
// The border of a shifted crop: the image mirrored at its edges, or black.
enum class CropPadding { reflect, zero };

}  // namespace dpll
