// The catalogue of data sets: every row is whole.
#include <set>
#include <string>

#include "data/catalogue.h"
#include "data/published_folder.h"
#include "dpll/core/check.h"
#include "support/doctest.h"
#include "support/error_of.h"

using namespace dpll;

TEST_CASE("catalogue: every row says what its reader, the messages and tools/fetch_data need") {
  std::set<std::string> names;
  for (const DatasetRow& row : catalogue()) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    CHECK(&dataset_row(row.name) == &row);
    CHECK((row.read != nullptr));
    CHECK(!row.published.title.empty());
    CHECK(row.views.mean.size() == row.views.std.size());
    if (row.is_own()) {
      CHECK(row.published.page.empty());
      CHECK(how_to_get(row, "").empty());
      continue;
    }
    const PublishedSet& set = row.published;
    CHECK(set.page.starts_with("http"));
    CHECK(set.download.starts_with("http"));
    CHECK(set.download.ends_with('/'));
    CHECK(!set.folders.empty());
    CHECK(!set.train.empty());
    CHECK(!set.test.empty());
    CHECK(set.class_names.size() >= 2);
    CHECK(set.height * set.width * set.channels > 0);
    CHECK(set.archive.name.empty() == set.subfolder.empty());
    for (const auto* files : {&set.train, &set.test}) {
      for (const PublishedFile& file : *files) CHECK(file.md5.size() + file.md5_gz.size() >= 32);
    }
    CHECK(
        how_to_get(row, "place").starts_with("; tools/fetch_data " + row.name + " --to place downloads it"));
  }
  CHECK(names.size() >= 9);
  const Error error = test::error_of([] { dataset_row("imagenet"); });
  CHECK(error.code() == ExitCode::internal);
}
