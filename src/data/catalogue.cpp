#include "data/catalogue.h"

#include <algorithm>

#include "data/readers.h"
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
      .download = "https://www.cs.toronto.edu/~kriz/",
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
      .name_lists = {"batches.meta.txt"},
      .height = 32,
      .width = 32,
      .channels = 3,
  };
}

PublishedSet cifar100() {
  return {
      .title = "CIFAR-100 (binary version)",
      .page = "https://www.cs.toronto.edu/~kriz/cifar.html",
      .download = "https://www.cs.toronto.edu/~kriz/",
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
      .name_lists = {"fine_label_names.txt", "coarse_label_names.txt"},
      .height = 32,
      .width = 32,
      .channels = 3,
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
      .download = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
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
      .height = 28,
      .width = 28,
      .channels = 1,
  };
}

PublishedSet kmnist() {
  return {
      .title = "Kuzushiji-MNIST",
      .page = "http://codh.rois.ac.jp/kmnist/",
      .download = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
      .folders = {"data/kmnist", "data/KMNIST/raw"},
      .train = {{"train-images-idx3-ubyte", kTrainImages, "", "bdb82020997e1d708af4cf47b453dcf7"},
                {"train-labels-idx1-ubyte", kTrainLabels, "", "e144d726b3acfaa3e44228e80efcd344"}},
      .test = {{"t10k-images-idx3-ubyte", kTestImages, "", "5c965bf0a639b31b8f53240b1b52f4d7"},
               {"t10k-labels-idx1-ubyte", kTestLabels, "", "7320c461ea6c1c855c0b718fb2a4b134"}},
      .class_names = {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"},
      .height = 28,
      .width = 28,
      .channels = 1,
  };
}

PublishedSet svhn() {
  return {
      .title = "SVHN (cropped digits)",
      .page = "http://ufldl.stanford.edu/housenumbers/",
      .download = "http://ufldl.stanford.edu/housenumbers/",
      .folders = {"data/svhn", "data/SVHN"},
      .train = {{"train_32x32.mat", 182040794, "e26dedcc434d2e4c54c9b2d4a06d8373", ""}},
      .test = {{"test_32x32.mat", 64275384, "eb5a983be6a315427106f1b164d9cef3", ""}},
      .class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
      .height = 32,
      .width = 32,
      .channels = 3,
  };
}

PublishedSet own_idx() {
  return {
      .title = "IDX data",
      .page = "",
      .folders = {},
      .train = {{"train-images-idx3-ubyte", 0, "", ""}, {"train-labels-idx1-ubyte", 0, "", ""}},
      .test = {{"t10k-images-idx3-ubyte", 0, "", ""}, {"t10k-labels-idx1-ubyte", 0, "", ""}},
      .class_names = {},
  };
}

PublishedSet own(const std::string& title) {
  return {.title = title, .page = "", .folders = {}, .train = {}, .test = {}, .class_names = {}};
}

std::vector<DatasetRow> make_catalogue() {
  const ViewPreset cifar_views = {
      .policy = AugmentPolicy::plcr_cifar, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
  return {
      {.name = "cifar10",
       .read = read_cifar,
       .published = cifar10(),
       .views = cifar_views,
       .python_version = cifar10_python(),
       .short_test = {"test_batch_first1000.bin", 1000 * 3073, "371f65da31ad652f5e24b3699a3e6515", ""}},
      {.name = "cifar100",
       .read = read_cifar,
       .published = cifar100(),
       .views = cifar_views,
       .python_version = cifar100_python(),
       .coarse_names = {"aquatic_mammals",
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
                        "vehicles_2"}},
      {.name = "svhn",
       .read = read_svhn,
       .published = svhn(),
       .views = {.weak = ViewPolicy::none,
                 .strong = ViewPolicy::cutout,
                 .policy = AugmentPolicy::svhn,
                 .cutout = 20},
       .more_train = {"extra_32x32.mat", 1329278602, "a93ce644f1a588dc4d68dda5feec44a7", ""}},
      {.name = "fashion_mnist",
       .read = read_idx,
       .published = fashion_mnist(),
       .views = {.mean = {0.1307}, .std = {0.3081}}},
      {.name = "kmnist", .read = read_idx, .published = kmnist()},
      {.name = "idx", .read = read_idx, .published = own_idx(), .path_is = "folder of the IDX files"},
      {.name = "safetensors",
       .read = read_arrays,
       .published = own("your own arrays"),
       .path_is = "safetensors file",
       .samples = SampleKind::either,
       .brings_candidates = true},
      {.name = "tabular",
       .read = read_tabular,
       .published = own("tabular partial-label data"),
       .path_is = ".mat file",
       .samples = SampleKind::features,
       .brings_candidates = true,
       .has_folds = true},
      {.name = "folder",
       .read = read_image_folder,
       .published = own("your own images"),
       .path_is = "folder of the images",
       .brings_candidates = true,
       .fits_images = true},
  };
}

}  // namespace

const std::vector<DatasetRow>& catalogue() {
  static const std::vector<DatasetRow> kRows = make_catalogue();
  return kRows;
}

const DatasetRow& dataset_row(const std::string& name) {
  for (const DatasetRow& row : catalogue()) {
    if (row.name == name) return row;
  }
  fail(ExitCode::internal, "there is no data set '{}'", name);
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const DatasetRow& row : catalogue()) names.push_back(row.name);
  return names;
}

}  // namespace dpll
