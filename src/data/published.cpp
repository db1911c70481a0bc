#include "data/published.h"

#include "dpll/core/check.h"

namespace dpll {

namespace {

// 60,000 and 10,000 images of 28 x 28: the sizes that Fashion-MNIST and Kuzushiji-MNIST share.
constexpr std::uint64_t kTrainImages = 16 + 60000 * 784, kTrainLabels = 8 + 60000;
constexpr std::uint64_t kTestImages = 16 + 10000 * 784, kTestLabels = 8 + 10000;
constexpr std::uint64_t kCifar10Batch = 10000 * 3073;

PublishedSet cifar10() {
  return {
      .title = "CIFAR-10 (binary version)",
      .page = "https://www.cs.toronto.edu/~kriz/cifar.html",
      .subfolder = "cifar-10-batches-bin",
      .folders = {"data/cifar-10-batches-bin", "data/cifar10", "data/cifar10/cifar-10-batches-bin"},
      .train = {{"data_batch_1.bin", kCifar10Batch, "5dd7e06a14cb22eb9f671a540d1b7c25", ""},
                {"data_batch_2.bin", kCifar10Batch, "5ea93a67294ea407fff1d09f752e9692", ""},
                {"data_batch_3.bin", kCifar10Batch, "942cd6a4bcdd0dd3c604fbe906cb4421", ""},
                {"data_batch_4.bin", kCifar10Batch, "ae636b3ba5c66a11e91e8cb52e771fcb", ""},
                {"data_batch_5.bin", kCifar10Batch, "53f37980c15c3d472c316c40844f3f0d", ""}},
      .test = {{"test_batch.bin", kCifar10Batch, "803d5f7f4d78ea53de84dbe85f74fb6d", ""}},
      .class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
                      "truck"},
      .archive = {"cifar-10-binary.tar.gz", 0, "c32a1d4ab5d03f1284b67883e8d87530", ""},
  };
}

PublishedSet cifar100() {
  return {
      .title = "CIFAR-100 (binary version)",
      .page = "https://www.cs.toronto.edu/~kriz/cifar.html",
      .subfolder = "cifar-100-binary",
      .folders = {"data/cifar-100-binary", "data/cifar100", "data/cifar100/cifar-100-binary"},
      .train = {{"train.bin", 50000 * 3074, "6172c7755cfe09b2fe270c85cebc1b15", ""}},
      .test = {{"test.bin", 10000 * 3074, "4499cfba6c016c1be1438163640a0898", ""}},
      .class_names = {"apple",    "aquarium_fish", "baby",       "bear",         "beaver",
                      "bed",      "bee",           "beetle",     "bicycle",      "bottle",
                      "bowl",     "boy",           "bridge",     "bus",          "butterfly",
                      "camel",    "can",           "castle",     "caterpillar",  "cattle",
                      "chair",    "chimpanzee",    "clock",      "cloud",        "cockroach",
                      "couch",    "crab",          "crocodile",  "cup",          "dinosaur",
                      "dolphin",  "elephant",      "flatfish",   "forest",       "fox",
                      "girl",     "hamster",       "house",      "kangaroo",     "keyboard",
                      "lamp",     "lawn_mower",    "leopard",    "lion",         "lizard",
                      "lobster",  "man",           "maple_tree", "motorcycle",   "mountain",
                      "mouse",    "mushroom",      "oak_tree",   "orange",       "orchid",
                      "otter",    "palm_tree",     "pear",       "pickup_truck", "pine_tree",
                      "plain",    "plate",         "poppy",      "porcupine",    "possum",
                      "rabbit",   "raccoon",       "ray",        "road",         "rocket",
                      "rose",     "sea",           "seal",       "shark",        "shrew",
                      "skunk",    "skyscraper",    "snail",      "snake",        "spider",
                      "squirrel", "streetcar",     "sunflower",  "sweet_pepper", "table",
                      "tank",     "telephone",     "television", "tiger",        "tractor",
                      "train",    "trout",         "tulip",      "turtle",       "wardrobe",
                      "whale",    "willow_tree",   "wolf",       "woman",        "worm"},
      .archive = {"cifar-100-binary.tar.gz", 0, "03b5dce01913d631647c71ecec9e9cb8", ""},
  };
}

PublishedSet cifar10_python() {
  PublishedSet set = cifar10();
  set.title = "CIFAR-10 (python version)";
  set.subfolder = "cifar-10-batches-py";
  set.folders = {"data/cifar-10-batches-py", "data/cifar10/cifar-10-batches-py", "data/cifar10"};
  set.train = {{"data_batch_1", 0, "c99cafc152244af753f735de768cd75f", ""},
               {"data_batch_2", 0, "d4bba439e000b95fd0a9bffe97cbabec", ""},
               {"data_batch_3", 0, "54ebc095f3ab1f0389bbae665268c751", ""},
               {"data_batch_4", 0, "634d18415352ddfa80567beed471001a", ""},
               {"data_batch_5", 0, "482c414d41f54cd18b22e5b47cb7c3cb", ""}};
  set.test = {{"test_batch", 0, "40351d587109b95175f43aff81a1287e", ""}};
  set.archive = {"cifar-10-python.tar.gz", 0, "c58f30108f718f92721af3b95e74349a", ""};
  return set;
}

PublishedSet cifar100_python() {
  PublishedSet set = cifar100();
  set.title = "CIFAR-100 (python version)";
  set.subfolder = "cifar-100-python";
  set.folders = {"data/cifar-100-python", "data/cifar100/cifar-100-python", "data/cifar100"};
  set.train = {{"train", 0, "16019d7e3df5f24257cddd939b257f8d", ""}};
  set.test = {{"test", 0, "f0ef6b0ae62326f3e7ffdfab6717acfc", ""}};
  set.archive = {"cifar-100-python.tar.gz", 0, "eb9058c3a382ffc7106e4002c42a8d85", ""};
  return set;
}

PublishedSet fashion_mnist() {
  // The last folder is that of the Debian and Ubuntu package dataset-fashion-mnist, whose files differ from
  // the published ones in the gzip header alone.
  return {
      .title = "Fashion-MNIST",
      .page = "https://github.com/zalandoresearch/fashion-mnist",
      .subfolder = "",
      .folders = {"data/fashion-mnist", "data/fashion_mnist", "data/FashionMNIST/raw",
                  "/usr/share/datasets/fashion-mnist"},
      .train = {{"train-images-idx3-ubyte", kTrainImages, "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                 "8d4fb7e6c68d591d4c3dfef9ec88bf0d"},
                {"train-labels-idx1-ubyte", kTrainLabels, "9018921c3c673c538a1fc5bad174d6f9",
                 "25c81989df183df01b3e8a0aad5dffbe"}},
      .test = {{"t10k-images-idx3-ubyte", kTestImages, "8181f5470baa50b63fa0f6fddb340f0a",
                "bef4ecab320f06d8554ea6380940ec79"},
               {"t10k-labels-idx1-ubyte", kTestLabels, "15d484375f8d13e6eb1aabb0c3f46965",
                "bb300cfdad3c16e7a12a480ee83cd310"}},
      .class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
                      "Bag", "Ankle boot"},
  };
}

PublishedSet kmnist() {
  return {
      .title = "Kuzushiji-MNIST",
      .page = "http://codh.rois.ac.jp/kmnist/",
      .subfolder = "",
      .folders = {"data/kmnist", "data/KMNIST/raw"},
      .train = {{"train-images-idx3-ubyte", kTrainImages, "", "bdb82020997e1d708af4cf47b453dcf7"},
                {"train-labels-idx1-ubyte", kTrainLabels, "", "e144d726b3acfaa3e44228e80efcd344"}},
      .test = {{"t10k-images-idx3-ubyte", kTestImages, "", "5c965bf0a639b31b8f53240b1b52f4d7"},
               {"t10k-labels-idx1-ubyte", kTestLabels, "", "7320c461ea6c1c855c0b718fb2a4b134"}},
      .class_names = {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"},
  };
}

PublishedSet svhn() {
  return {
      .title = "SVHN (cropped digits)",
      .page = "http://ufldl.stanford.edu/housenumbers/",
      .subfolder = "",
      .folders = {"data/svhn", "data/SVHN"},
      .train = {{"train_32x32.mat", 182040794, "e26dedcc434d2e4c54c9b2d4a06d8373", ""}},
      .test = {{"test_32x32.mat", 64275384, "eb5a983be6a315427106f1b164d9cef3", ""}},
      .class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
  };
}

PublishedSet own_idx() {
  return {
      .title = "IDX data",
      .page = "",
      .subfolder = "",
      .folders = {},
      .train = {{"train-images-idx3-ubyte", 0, "", ""}, {"train-labels-idx1-ubyte", 0, "", ""}},
      .test = {{"t10k-images-idx3-ubyte", 0, "", ""}, {"t10k-labels-idx1-ubyte", 0, "", ""}},
      .class_names = {},
  };
}

}  // namespace

const PublishedSet& published_set(DatasetKind kind) {
  static const PublishedSet kCifar10 = cifar10(), kCifar100 = cifar100(), kFashion = fashion_mnist(),
                            kKmnist = kmnist(), kSvhn = svhn(), kIdx = own_idx();
  switch (kind) {
    case DatasetKind::cifar10:
      return kCifar10;
    case DatasetKind::cifar100:
      return kCifar100;
    case DatasetKind::fashion_mnist:
      return kFashion;
    case DatasetKind::kmnist:
      return kKmnist;
    case DatasetKind::svhn:
      return kSvhn;
    case DatasetKind::idx:
      return kIdx;
    case DatasetKind::safetensors:
    case DatasetKind::tabular:
      break;
  }
  fail(ExitCode::internal, "data set {} has no table of published files", static_cast<int>(kind));
}

const PublishedSet& published_python_set(DatasetKind kind) {
  static const PublishedSet kCifar10 = cifar10_python(), kCifar100 = cifar100_python();
  DPLL_CHECK(kind == DatasetKind::cifar10 || kind == DatasetKind::cifar100,
             "data set {} has no python version", static_cast<int>(kind));
  return kind == DatasetKind::cifar10 ? kCifar10 : kCifar100;
}

const std::vector<std::string>& cifar100_coarse_names() {
  static const std::vector<std::string> kNames = {"aquatic_mammals",
                                                  "fish",
                                                  "flowers",
                                                  "food_containers",
                                                  "fruit_and_vegetables",
                                                  "household_electrical_devices",
                                                  "household_furniture",
                                                  "insects",
                                                  "large_carnivores",
                                                  "large_man-made_outdoor_things",
                                                  "large_natural_outdoor_scenes",
                                                  "large_omnivores_and_herbivores",
                                                  "medium_mammals",
                                                  "non-insect_invertebrates",
                                                  "people",
                                                  "reptiles",
                                                  "small_mammals",
                                                  "trees",
                                                  "vehicles_1",
                                                  "vehicles_2"};
  return kNames;
}

const PublishedFile& cifar10_partial_test() {
  static const PublishedFile kFile = {"test_batch_first1000.bin", 1000 * 3073,
                                      "371f65da31ad652f5e24b3699a3e6515", ""};
  return kFile;
}

const PublishedFile& svhn_extra() {
  static const PublishedFile kFile = {"extra_32x32.mat", 1329278602, "a93ce644f1a588dc4d68dda5feec44a7", ""};
  return kFile;
}

}  // namespace dpll
