// tools/fetch_data, and its table of names and sums against the engine's.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/engine_runs.h"
#include "data/published.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// "name MD5" of every file.
std::vector<std::string> listed(const nlohmann::json& files) {
  std::vector<std::string> lines;
  for (const auto& file : files) {
    lines.push_back(
        fmt::format("{} {}", file.at("name").get<std::string>(), file.at("md5").get<std::string>()));
  }
  return lines;
}

std::vector<std::string> published(const PublishedSet& set) {
  std::vector<std::string> lines;
  for (const std::vector<PublishedFile>* files : {&set.train, &set.test}) {
    for (const PublishedFile& file : *files) {
      lines.push_back(
          fmt::format("{} {}", file.published_name(), file.md5_gz.empty() ? file.md5 : file.md5_gz));
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("tools/fetch_data: mirrors that behave, stop half-way, serve other bytes or a page") {
  const std::string python = "/usr/bin/env";  // finds it on PATH
  if (run_process({python, "python3", "-c", "import http.server"}).exit_code != 0) {
    DPLL_SKIP("python3 is not installed");
  }
  const std::string script = std::string(DPLL_SOURCE_DIR) + "/tests/cli/fetch_data_test.py";
  const ProcessResult result = run_process({python, "python3", script, kTools + "fetch_data"});
  CHECK_MESSAGE(result.exit_code == 0, result.out, result.err);
  CHECK(has(result.err, "Ran 16 tests"));
}

TEST_CASE("tools/fetch_data: its table names the files, sums and folders that the engine expects") {
  const nlohmann::json table =
      nlohmann::json::parse(read_text(std::string(DPLL_SOURCE_DIR) + "/tools/fetch_data.json"));
  const auto check_set = [&](const char* name, DatasetKind kind) {
    CAPTURE(std::string(name));
    const PublishedSet& set = published_set(kind);
    CHECK(listed(table.at(name).at("files")) == published(set));
    CHECK(table.at(name).at("folder") == set.folders.at(0));
    CHECK(table.at(name).at("title") == set.title);
    if (table.at(name).contains("inside")) CHECK(table.at(name).at("inside") == set.subfolder);
  };
  check_set("cifar10", DatasetKind::cifar10);
  check_set("cifar100", DatasetKind::cifar100);
  check_set("svhn", DatasetKind::svhn);
  check_set("fashion_mnist", DatasetKind::fashion_mnist);
  check_set("kmnist", DatasetKind::kmnist);
  const PublishedFile& extra = svhn_extra();
  CHECK(listed(table.at("svhn_extra").at("files")) == std::vector<std::string>{extra.name + " " + extra.md5});
  CHECK(table.at("svhn_extra").at("folder") == published_set(DatasetKind::svhn).folders.at(0));
}
