#include "dpll/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/shape_text.h"

namespace dpll {

namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr std::size_t kDeepestJson = 4;                  // {"x": {"shape": [...]}} needs three levels
constexpr const char* kMetadata = "__metadata__";

// A name from a file, as one line of a readable length.
std::string quoted(const std::string& name) {
  constexpr std::size_t kMost = 100;
  const std::string text =
      nlohmann::json(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() <= kMost ? text : text.substr(0, kMost) + "...";
}

const char* file_name_of(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return "U8";
    case DType::i32:
      return "I32";
    case DType::i64:
      return "I64";
    case DType::u64:
      return "U64";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
  }
  fail(ExitCode::internal, "unknown element type {}", static_cast<int>(dtype));
}

// nlohmann::json keeps the last one of several equal keys, but a header with equal keys contradicts itself.
nlohmann::json parse_strictly(ByteView text, const std::string& path) {
  std::vector<std::set<std::string>> keys_of_open_objects;
  std::size_t depth = 0;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    switch (event) {
      case nlohmann::json::parse_event_t::object_start:
        keys_of_open_objects.emplace_back();
        [[fallthrough]];
      case nlohmann::json::parse_event_t::array_start:
        if (++depth > kDeepestJson) fail(ExitCode::data, "{}: header: JSON nested too deeply", path);
        break;
      case nlohmann::json::parse_event_t::object_end:
        keys_of_open_objects.pop_back();
        [[fallthrough]];
      case nlohmann::json::parse_event_t::array_end:
        --depth;
        break;
      case nlohmann::json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!keys_of_open_objects.back().insert(key).second) {
          fail(ExitCode::data, "{}: header: the name {} appears twice", path, quoted(key));
        }
        break;
      }
      case nlohmann::json::parse_event_t::value:
        break;
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text.begin(), text.end(), watch);
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::data, "{}: header is not JSON: {}", path, error.what());
  }
}

std::string type_text(const TensorEntry& entry) {
  return entry.other_type.empty() ? name_of(entry.dtype) : quoted(entry.other_type);
}

// One tensor of the header. Checked against the data section by its caller: offset is relative to it.
TensorEntry parse_entry(const nlohmann::json& value, const std::string& where) {
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets")) {
    fail(ExitCode::data, "{}: expected an object of dtype, shape and data_offsets", where);
  }
  TensorEntry entry;
  const nlohmann::json& dtype = value["dtype"];
  static const std::map<std::string, DType> kTypes = {
      {"BOOL", DType::u8},   {"U8", DType::u8},   {"I32", DType::i32},
      {"I64", DType::i64},   {"U64", DType::u64}, {"F16", DType::f16},
      {"BF16", DType::bf16}, {"F32", DType::f32}, {"F64", DType::f64}};
  if (!dtype.is_string()) fail(ExitCode::data, "{}: dtype is not a string", where);
  const auto& type_name = dtype.get_ref<const std::string&>();
  std::optional<std::size_t> element_bytes;  // empty for an unknown type
  if (const auto type = kTypes.find(type_name); type != kTypes.end()) {
    entry.dtype = type->second;
    element_bytes = size_of(entry.dtype);
  } else {
    entry.dtype = DType::u8;
    entry.other_type = type_name;
    static const std::map<std::string, std::size_t> kOtherTypes = {
        {"I8", 1},  {"I16", 2},     {"U16", 2},     {"U32", 4},
        {"C64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}};
    if (const auto other = kOtherTypes.find(type_name); other != kOtherTypes.end()) {
      element_bytes = other->second;
    }
  }

  const nlohmann::json& shape = value["shape"];
  if (!shape.is_array()) fail(ExitCode::data, "{}: shape is not a list", where);
  std::uint64_t bytes = element_bytes.value_or(1);
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  for (const nlohmann::json& dim : shape) {
    if (!dim.is_number_unsigned()) fail(ExitCode::data, "{}: shape holds something other than sizes", where);
    const auto size = dim.get<std::uint64_t>();
    if (size > kMost || (size != 0 && bytes > kMost / size)) {
      fail(ExitCode::data, "{}: shape {} is impossibly large", where, shape.dump());
    }
    bytes *= size;
    entry.shape.push_back(static_cast<std::int64_t>(size));
  }

  const nlohmann::json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    fail(ExitCode::data, "{}: data_offsets is not a pair of sizes", where);
  }
  const auto begin = offsets[0].get<std::uint64_t>();
  const auto end = offsets[1].get<std::uint64_t>();
  if (begin > end) fail(ExitCode::data, "{}: data_offsets {} run backwards", where, offsets.dump());
  if (element_bytes && end - begin != bytes) {
    fail(ExitCode::data, "{}: {} {} needs {} bytes, data_offsets {} hold {}", where, type_text(entry),
         shape.dump(), bytes, offsets.dump(), end - begin);
  }
  entry.offset = begin;
  entry.bytes = end - begin;
  return entry;
}

// The tensors must cover the data section exactly: no overlaps, no holes, nothing past the end.
void check_layout(const std::map<std::string, TensorEntry>& entries, std::size_t data_bytes,
                  const std::string& path) {
  std::vector<std::pair<std::string, const TensorEntry*>> order;
  for (const auto& [name, entry] : entries) {
    if (entry.offset > data_bytes || entry.bytes > data_bytes - entry.offset) {
      fail(ExitCode::data, "{}: tensor {} reaches to byte {} of the data section, which has {}", path,
           quoted(name), entry.offset + entry.bytes, data_bytes);
    }
    order.emplace_back(name, &entry);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->offset, a.second->bytes) < std::pair(b.second->offset, b.second->bytes);
  });
  std::size_t covered = 0;
  for (const auto& [name, entry] : order) {
    if (entry->offset != covered) {
      fail(ExitCode::data, "{}: tensor {} begins at byte {} of the data section, expected {} ({})", path,
           quoted(name), entry->offset, covered, entry->offset < covered ? "tensors overlap" : "a hole");
    }
    covered += entry->bytes;
  }
  if (covered != data_bytes) {
    fail(ExitCode::data, "{}: {} trailing bytes that belong to no tensor", path, data_bytes - covered);
  }
}

std::map<std::string, std::string> parse_metadata(const nlohmann::json& value, const std::string& path) {
  if (!value.is_object()) fail(ExitCode::data, "{}: header: {} is not an object", path, kMetadata);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      fail(ExitCode::data, "{}: header: {} {} is not a string", path, kMetadata, quoted(key));
    }
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

// IEEE 754 binary16.
double half_to_double(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 31) {
    return sign * (fraction == 0 ? std::numeric_limits<double>::infinity()
                                 : std::numeric_limits<double>::quiet_NaN());
  }
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// bfloat16: the upper half of a float.
double bfloat16_to_double(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

// Reads elements of type Stored from bytes of any alignment.
template <typename Stored, typename Convert>
std::vector<double> convert(const std::uint8_t* data, std::size_t count, Convert to_double) {
  std::vector<double> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    Stored element;
    std::memcpy(&element, data + i * sizeof(Stored), sizeof(Stored));
    out[i] = to_double(element);
  }
  return out;
}

}  // namespace

SafetensorsFile SafetensorsFile::read(const std::string& path) {
  return parse(read_file(path), path);
}

SafetensorsFile SafetensorsFile::parse(std::vector<std::uint8_t> bytes, const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  if (bytes.size() < kLengthBytes) {
    fail(ExitCode::data, "{}: not a safetensors file: {} bytes, expected at least 8", path, bytes.size());
  }
  std::uint64_t header_bytes = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) header_bytes |= std::uint64_t{bytes[i]} << (8 * i);
  if (header_bytes > bytes.size() - kLengthBytes) {
    fail(ExitCode::data,
         "{}: not a safetensors file, or truncated: it announces a header of {} bytes in {} bytes", path,
         header_bytes, bytes.size());
  }
  if (header_bytes > kMostHeaderBytes) {
    fail(ExitCode::data, "{}: a header of {} bytes; at most {} are allowed", path, header_bytes,
         kMostHeaderBytes);
  }
  const nlohmann::json header = parse_strictly(ByteView(bytes).subspan(kLengthBytes, header_bytes), path);
  if (!header.is_object()) fail(ExitCode::data, "{}: the header is not a JSON object", path);
  const std::size_t data_begin = kLengthBytes + header_bytes;
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata) {
      file.metadata_ = parse_metadata(value, path);
      continue;
    }
    const std::string where = fmt::format("{}: tensor {}", path, quoted(name));
    file.entries_[name] = parse_entry(value, where);
  }
  check_layout(file.entries_, bytes.size() - data_begin, path);
  for (auto& [name, entry] : file.entries_) entry.offset += data_begin;
  file.bytes_ = std::move(bytes);
  return file;
}

const TensorEntry& SafetensorsFile::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  std::string names;
  constexpr std::size_t kMostShown = 10;
  std::size_t shown = 0;
  for (const auto& [known, ignored] : entries_) {
    if (shown++ == kMostShown) {
      names += fmt::format(" and {} more", entries_.size() - kMostShown);
      break;
    }
    names += (names.empty() ? "" : ", ") + quoted(known);
  }
  fail(ExitCode::data, "{}: no tensor {}; it has {}", path_, quoted(name), names.empty() ? "none" : names);
}

const std::uint8_t* SafetensorsFile::data(const std::string& name) const {
  return bytes_.data() + entry(name).offset;
}

template <typename T>
std::vector<T> SafetensorsFile::get(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const TensorEntry& found = entry(name);
  if (found.dtype != dtype_of<T> || !found.other_type.empty()) {
    fail(ExitCode::data, "{}: tensor {} is {}, expected {}", path_, quoted(name), type_text(found),
         name_of(dtype_of<T>));
  }
  if (!shape.empty() && found.shape != shape) {
    fail(ExitCode::data, "{}: tensor {} has shape {}, expected {}", path_, quoted(name),
         shape_text(found.shape), shape_text(shape));
  }
  std::vector<T> values(found.bytes / sizeof(T));
  if (found.bytes != 0) std::memcpy(values.data(), bytes_.data() + found.offset, found.bytes);
  return values;
}

template std::vector<std::uint8_t> SafetensorsFile::get(const std::string&,
                                                        const std::vector<std::int64_t>&) const;
template std::vector<std::int32_t> SafetensorsFile::get(const std::string&,
                                                        const std::vector<std::int64_t>&) const;
template std::vector<std::int64_t> SafetensorsFile::get(const std::string&,
                                                        const std::vector<std::int64_t>&) const;
template std::vector<std::uint64_t> SafetensorsFile::get(const std::string&,
                                                         const std::vector<std::int64_t>&) const;
template std::vector<float> SafetensorsFile::get(const std::string&, const std::vector<std::int64_t>&) const;
template std::vector<double> SafetensorsFile::get(const std::string&, const std::vector<std::int64_t>&) const;

std::vector<double> SafetensorsFile::get_as_double(const std::string& name) const {
  const TensorEntry& found = entry(name);
  const std::uint8_t* bytes = bytes_.data() + found.offset;
  const std::size_t count = found.bytes / size_of(found.dtype);
  const auto widen = [](auto value) { return static_cast<double>(value); };
  switch (found.dtype) {
    case DType::f16:
      return convert<std::uint16_t>(bytes, count, half_to_double);
    case DType::bf16:
      return convert<std::uint16_t>(bytes, count, bfloat16_to_double);
    case DType::f32:
      return convert<float>(bytes, count, widen);
    case DType::f64:
      return convert<double>(bytes, count, widen);
    default:
      fail(ExitCode::data, "{}: tensor {} is {}, expected f16, bf16, f32 or f64", path_, quoted(name),
           type_text(found));
  }
}

void SafetensorsWriter::add(const std::string& name, DType dtype, const std::vector<std::int64_t>& shape,
                            const void* data) {
  DPLL_CHECK(name != kMetadata, "reserved name");
  for (const Item& item : items_) DPLL_CHECK(item.name != name, "tensor {} added twice", name);
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t dim : shape) {
    DPLL_CHECK(dim >= 0, "tensor {}: negative dimension {}", name, dim);
    bytes *= static_cast<std::size_t>(dim);
  }
  const auto* begin = static_cast<const std::uint8_t*>(data);
  items_.push_back({name, dtype, shape, std::vector<std::uint8_t>(begin, begin + bytes)});
}

void SafetensorsWriter::set_metadata(const std::string& key, const std::string& value) {
  // The header is JSON, whose strings are UTF-8. Other bytes (for example of a path) are replaced here, so
  // that a digest covers the written text.
  metadata_[key] = nlohmann::json::parse(
                       nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
                       .get<std::string>();
}

std::vector<const SafetensorsWriter::Item*> SafetensorsWriter::in_file_order() const {
  // PyTorch reads tensors in place and refuses data that are not aligned to their element size.
  std::vector<const Item*> order;
  for (const Item& item : items_) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(),
                   [](const Item* a, const Item* b) { return size_of(a->dtype) > size_of(b->dtype); });
  return order;
}

// Its length and the JSON text.
std::string SafetensorsWriter::header(const std::vector<const Item*>& order) const {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata_.empty()) header[kMetadata] = metadata_;
  std::size_t offset = 0;
  for (const Item* item : order) {
    header[item->name] = {{"dtype", file_name_of(item->dtype)},
                          {"shape", item->shape},
                          {"data_offsets", {offset, offset + item->bytes.size()}}};
    offset += item->bytes.size();
  }
  // Metadata may have a path that is not UTF-8; JSON cannot contain it, so these bytes become U+FFFD.
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(kLengthBytes, '\0');
  for (std::size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  return length + text;
}

void SafetensorsWriter::write(const std::string& path) const {
  const std::vector<const Item*> order = in_file_order();
  const std::string head = header(order);
  std::vector<ByteView> parts = {{reinterpret_cast<const std::uint8_t*>(head.data()), head.size()}};
  for (const Item* item : order) parts.emplace_back(item->bytes);
  write_file_atomically(path, parts);
}

std::vector<std::uint8_t> SafetensorsWriter::bytes() const {
  const std::vector<const Item*> order = in_file_order();
  const std::string head = header(order);
  std::vector<std::uint8_t> all(head.begin(), head.end());
  for (const Item* item : order) all.insert(all.end(), item->bytes.begin(), item->bytes.end());
  return all;
}

}  // namespace dpll
