#include <algorithm>

#include "dpll/files.h"
#include "dpll/safetensors.h"

namespace dpll {
namespace {

// Every text is preceded by its length, so that two different lists of texts never have the same input.
void update_text(Sha256& sha, const std::string& text) {
  const std::uint64_t size = text.size();
  sha.update(&size, sizeof(size));
  sha.update(text.data(), text.size());
}

void update_tensor(Sha256& sha, const std::string& name, const std::string& type,
                   const std::vector<std::int64_t>& shape, const void* data, std::size_t bytes) {
  update_text(sha, name);
  update_text(sha, type);
  const std::uint64_t rank = shape.size();
  sha.update(&rank, sizeof(rank));
  sha.update(shape.data(), shape.size() * sizeof(std::int64_t));
  sha.update(data, bytes);
}

void update_metadata(Sha256& sha, const std::map<std::string, std::string>& metadata) {
  for (const auto& [key, value] : metadata) {
    if (key == kDigestKey) continue;
    update_text(sha, key);
    update_text(sha, value);
  }
}

}  // namespace

std::string SafetensorsFile::digest() const {
  Sha256 sha;
  for (const auto& [name, entry] : entries_) {
    const std::string type = entry.other_type.empty() ? name_of(entry.dtype) : entry.other_type;
    update_tensor(sha, name, type, entry.shape, bytes_.data() + entry.offset, entry.bytes);
  }
  update_metadata(sha, metadata_);
  return sha.hex();
}

std::string SafetensorsWriter::digest() const {
  std::vector<const Item*> sorted;
  for (const Item& item : items_) sorted.push_back(&item);
  std::sort(sorted.begin(), sorted.end(), [](const Item* a, const Item* b) { return a->name < b->name; });
  Sha256 sha;
  for (const Item* item : sorted) {
    update_tensor(sha, item->name, name_of(item->dtype), item->shape, item->bytes.data(), item->bytes.size());
  }
  update_metadata(sha, metadata_);
  return sha.hex();
}

}  // namespace dpll
