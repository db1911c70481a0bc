// What the publishers offer: file names, sizes, MD5 sums, class names, and where people usually put the
// files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/config.h"

namespace dpll {

struct PublishedFile {
  std::string name;         // without .gz
  std::uint64_t bytes = 0;  // unzipped; 0: any
  std::string md5;          // of the unzipped bytes; empty: not known
  std::string md5_gz;       // of the .gz file; empty when it is published without compression

  // The name under which it is published.
  std::string published_name() const { return md5_gz.empty() ? name : name + ".gz"; }
};

struct PublishedSet {
  std::string title;
  std::string page;                  // of the publisher; empty for a user's own files
  std::string subfolder;             // of the published archive; data.path may name its parent
  std::vector<std::string> folders;  // places to look when data.path is empty
  std::vector<PublishedFile> train;  // IDX: images, labels. CIFAR: the batches in order. SVHN: one file
  std::vector<PublishedFile> test;
  std::vector<std::string> class_names;  // empty: numbered by the labels found
  PublishedFile archive{};               // .tar.gz with all of the files; no name: there is none
};

// For cifar10, cifar100, svhn, fashion_mnist, kmnist and idx. CIFAR-100's class names are the 100 fine ones.
const PublishedSet& published_set(DatasetKind kind);
// The "python version" of cifar10 or cifar100.
const PublishedSet& published_python_set(DatasetKind kind);
// CIFAR-100's 20 superclasses.
const std::vector<std::string>& cifar100_coarse_names();
// The first 1,000 images of CIFAR-10's test batch: takes the place of a missing test_batch.bin.
const PublishedFile& cifar10_partial_test();
// SVHN's second, easier set of training images.
const PublishedFile& svhn_extra();

}  // namespace dpll
