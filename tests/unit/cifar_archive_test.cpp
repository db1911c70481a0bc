// CIFAR as people have it: the publisher's .tar.gz and the python version, both equal to the binary version.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "data/cifar.h"
#include "data/pickle.h"
#include "data/tar_gz.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "support/cifar_pickle.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::cifar_pickle;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::tar_gz;
using dpll::test::TempDir;
namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

namespace {

const std::string kCifar = std::string(DPLL_TEST_FIXTURES) + "/cifar-10-batches-bin";
constexpr std::size_t kRecord = 3073;

void write(const std::string& path, const Bytes& bytes) {
  write_file_atomically(path, bytes.data(), bytes.size());
}

RunConfig config_of(const std::string& path, const std::string& kind = "cifar10") {
  RunConfig config;
  config.data.dataset = kind;
  config.data.path = path;
  config.data.verify = false;
  return config;
}

// A batch of the binary version as the python version has it.
Bytes pickled(const Bytes& batch) {
  Bytes labels, planes;
  for (std::size_t i = 0; i < batch.size(); i += kRecord) {
    labels.push_back(batch[i]);
    planes.insert(planes.end(), batch.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                  batch.begin() + static_cast<std::ptrdiff_t>(i + kRecord));
  }
  return cifar_pickle({{"labels", labels}}, planes);
}

std::vector<std::pair<std::string, Bytes>> binary_members() {
  std::vector<std::pair<std::string, Bytes>> members;
  for (int i = 1; i <= 5; ++i) {
    const std::string name = "data_batch_" + std::to_string(i) + ".bin";
    members.emplace_back("cifar-10-batches-bin/" + name, read_file(kCifar + "/" + name));
  }
  members.emplace_back("cifar-10-batches-bin/test_batch.bin", read_file(kCifar + "/test_batch.bin"));
  return members;
}

std::vector<std::pair<std::string, Bytes>> python_members() {
  std::vector<std::pair<std::string, Bytes>> members = binary_members();
  for (auto& [name, bytes] : members) {
    name = "cifar-10-batches-py/" + fs::path(name).stem().string();
    bytes = pickled(bytes);
  }
  return members;
}

void check_equals_binary(const DataSet& data) {
  const DataSet expected = load_data(config_of(kCifar));
  CHECK(data.train.pixels == expected.train.pixels);
  CHECK(data.train.labels == expected.train.labels);
  CHECK(data.test.pixels == expected.test.pixels);
  CHECK(data.test.labels == expected.test.labels);
  CHECK(fingerprint(data) == fingerprint(expected));
}

}  // namespace

TEST_CASE("cifar: the archive as downloaded is read in place") {
  const TempDir dir;
  const std::string archive = dir.file("cifar-10-binary.tar.gz");
  write(archive, tar_gz(binary_members()));
  check_equals_binary(load_data(config_of(archive)));
  check_equals_binary(load_data(config_of(dir.path())));  // its folder will do
  fs::create_directory(dir.file("cifar-10-batches-bin"));
  check_equals_binary(load_data(config_of(dir.file("cifar-10-batches-bin"))));  // or the folder it unpacks to
}

TEST_CASE("cifar: the python version, unpacked and as an archive, equals the binary one") {
  const TempDir dir;
  for (const auto& [name, bytes] : python_members())
    write(dir.file(fs::path(name).filename().string()), bytes);
  check_equals_binary(load_data(config_of(dir.path())));

  const TempDir archived;
  write(archived.file("cifar-10-python.tar.gz"), tar_gz(python_members()));
  check_equals_binary(load_data(config_of(archived.path())));
}

TEST_CASE("cifar: both kinds of CIFAR-100's labels come out of its python version") {
  const TempDir dir;
  const Bytes planes(std::size_t{2} * 3072, 7);
  const Bytes both = cifar_pickle({{"fine_labels", {99, 3}}, {"coarse_labels", {19, 4}}}, planes);
  write(dir.file("train"), both);
  write(dir.file("test"), both);
  RunConfig config = config_of(dir.path(), "cifar100");
  CHECK(load_data(config).train.labels == std::vector<std::int32_t>{99, 3});
  config.data.coarse_labels = true;
  CHECK(load_data(config).train.labels == std::vector<std::int32_t>{19, 4});
}

TEST_CASE("cifar: published sums are asked of an archive's members") {
  const TempDir dir;
  write(dir.file("cifar-10-binary.tar.gz"), tar_gz(binary_members()));
  RunConfig config = config_of(dir.path());
  config.data.verify = true;
  const Error error = error_of([&] { load_data(config); });
  CHECK(contains(error, "cifar-10-binary.tar.gz/data_batch_1.bin: not the published file"));
  CHECK(contains(error, "5dd7e06a14cb22eb9f671a540d1b7c25"));
}

TEST_CASE("cifar: archives that are none, damaged or incomplete are refused in one line") {
  const TempDir dir;
  const std::string path = dir.file("cifar-10-binary.tar.gz");
  const auto refused = [&](const Bytes& bytes) {
    write(path, bytes);
    const Error error = error_of([&] { load_data(config_of(path)); });
    CHECK(contains(error, path));
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error;
  };
  const std::string page = "<!DOCTYPE html><title>404</title>";
  CHECK(contains(refused({page.begin(), page.end()}), "not a .tar.gz archive"));
  CHECK(contains(refused({}), "not a .tar.gz archive"));
  const Bytes whole = tar_gz(binary_members());
  CHECK(contains(refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2)}),
                 "not a whole .tar.gz archive"));
  auto members = binary_members();
  members.erase(members.begin() + 2);
  CHECK(contains(refused(tar_gz(members)), "data_batch_3.bin: missing"));
  members.push_back(members.front());
  CHECK(contains(refused(tar_gz(members)), "holds data_batch_1.bin twice"));
  CHECK(contains(error_of([&] {
                   read_tar_gz(
                       whole, "a", [](const std::string&) { return true; }, 100);
                 }),
                 "at most 100 are expected"));
}

TEST_CASE("pickle: what is not plain data is refused with its name and place") {
  const auto error_for = [](const std::string& text) {
    const Bytes bytes(text.begin(), text.end());
    return error_of([&] { Pickle(bytes, "f"); });
  };
  const Bytes none = {0x80, 2, 'N', '.'};
  CHECK(std::holds_alternative<std::monostate>(Pickle(none, "f").root().value));
  const Error evil = error_for(
      "\x80\x02"
      "cos\nsystem\nU\x04true\x85R.");
  CHECK(contains(evil, "os.system"));
  CHECK(contains(evil, "at byte 2"));
  CHECK(contains(error_for("\x80\x04N."), "protocol 2"));
  CHECK(contains(error_for("hello"), "protocol 2"));
  CHECK(contains(error_for(""), "truncated"));
  CHECK(contains(error_for("\x80\x02"), "truncated"));
  CHECK(contains(error_for("\x80\x02T\xff\xff\xff\xff"
                           "a"),
                 "4294967295 bytes"));
  CHECK(contains(error_for("\x80\x02N.N"), "1 bytes after the end"));
  CHECK(contains(error_for("\x80\x02NN."), "2 objects"));
  CHECK(contains(error_for("\x80\x02."), "0 objects"));
  CHECK(contains(error_for("\x80\x02"
                           "e."),
                 "no mark"));
  CHECK(contains(error_for("\x80\x02(a."), "nothing on the stack"));
  CHECK(contains(error_for("\x80\x02h\x05."), "memo 5"));
  CHECK(contains(error_for("\x80\x02NNa."), "no list"));
  CHECK(contains(error_for("\x80\x02NNNs."), "no dict"));
  CHECK(contains(error_for("\x80\x02NNR."), "no constructor"));
  CHECK(contains(error_for("\x80\x02NNb."), "no state"));
  CHECK(contains(error_for("\x80\x02"
                           "Pname\n."),
                 "opcode 0x50"));
}

TEST_CASE("cifar: pickles that hold something else are refused") {
  const Bytes image(3072, 1);
  const auto error_for = [](const Bytes& bytes, CifarLabels labels = CifarLabels::ten) {
    return error_of([&] { parse_cifar_python(bytes, "f", labels); });
  };
  CHECK(parse_cifar_python(cifar_pickle({{"labels", {9}}}, image), "f", CifarLabels::ten).labels.at(0) == 9);
  CHECK(contains(error_for(cifar_pickle({{"labels", {10}}}, image)),
                 "labels of sample 0 is not a number below 10"));
  CHECK(contains(error_for(cifar_pickle({{"labels", {1, 2}}}, image)), "1 images, but 2 labels"));
  CHECK(contains(error_for(cifar_pickle({{"fine_labels", {1}}}, image)), "'labels'"));
  CHECK(contains(error_for(cifar_pickle({{"labels", {1}}}, image), CifarLabels::fine), "'fine_labels'"));
  CHECK(contains(error_for(cifar_pickle({{"labels", {}}}, {})), "shape does not fit"));
  Bytes wide = cifar_pickle({{"labels", {1}}}, image);
  const std::string side("M\x00\x0c", 3);
  const auto at = std::search(wide.begin(), wide.end(), side.begin(), side.end());
  REQUIRE(at != wide.end());
  *(at + 1) = 1;  // 3073 numbers a row
  CHECK(contains(error_for(wide), "shape does not fit"));
}
