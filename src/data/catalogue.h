// The catalogue of data sets: one row for each, with everything that the program knows about it. Another data
// set is another row in catalogue.cpp, and a reader where its format is new.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/data.h"

namespace dpll {

struct PublishedFile {
  std::string name;         // without .gz
  std::uint64_t bytes = 0;  // unzipped; 0: any
  std::string md5;          // of the unzipped bytes; empty: not known
  std::string md5_gz;       // of the .gz file; empty when it is published without compression

  // The name under which it is published.
  std::string published_name() const { return md5_gz.empty() ? name : name + ".gz"; }
};

// What a publisher offers, and where people usually put the files.
struct PublishedSet {
  std::string title;
  std::string page;                  // of the publisher; empty for a user's own files
  std::string download = {};         // the folder from which tools/fetch_data takes the files
  std::string subfolder = {};        // of the published archive; data.path may name its parent
  std::vector<std::string> folders;  // places to look when data.path is empty
  std::vector<PublishedFile> train;  // IDX: images, labels. CIFAR: the batches in order. SVHN: one file
  std::vector<PublishedFile> test;
  std::vector<std::string> class_names;              // empty: numbered by the labels found
  PublishedFile archive = {};                        // .tar.gz with all of the files; no name: there is none
  std::vector<std::string> name_lists = {};          // text files with class names that lie beside the data
  std::int64_t height = 0, width = 0, channels = 0;  // of its images; 0: as the files say
};

// How the published experiments augment and normalise a data set.
struct ViewPreset {
  ViewPolicy weak = ViewPolicy::flip_crop, strong = ViewPolicy::flip_crop_cutout;
  AugmentPolicy policy = AugmentPolicy::none;  // of strong views
  int pad = 4, cutout = 16;
  std::vector<double> mean = {0.5}, std = {0.5};  // a single value counts for every channel
};

// What the samples of a set are; `either` is known once the file is read.
enum class SampleKind { images, features, either };

struct DatasetRow {
  std::string name;  // of data.dataset
  DataSet (*read)(const DatasetRow& row, const RunConfig& config, const LoadReport& report);
  PublishedSet published;
  std::string path_is = {};  // a user's own data: what data.path names. Empty: a published set
  SampleKind samples = SampleKind::images;
  bool brings_candidates = false;  // for candidates.mode = dataset
  bool fits_images = false;        // brings images of any size to data.size
  bool has_folds = false;          // data.folds and data.fold cut off a test set
  ViewPreset views = {};
  std::optional<PublishedSet> python_version = {};  // the same data in other files, of the same publisher
  std::vector<std::string> coarse_names = {};       // superclasses, for data.coarse_labels
  PublishedFile more_train = {};  // training images that data.svhn_extra adds; no name: there are none
  PublishedFile short_test = {};  // the first images of the test file, which may take its place

  bool is_own() const { return !path_is.empty(); }
};

const std::vector<DatasetRow>& catalogue();
// Error(internal) where there is none.
const DatasetRow& dataset_row(const std::string& name);
// All that data.dataset may be.
std::vector<std::string> dataset_names();

}  // namespace dpll
