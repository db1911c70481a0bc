#include "data/mat_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <optional>
#include <utility>

#include "dpll/core/check.h"
#include "io/shape_text.h"
#include "io/text.h"

namespace dpll {

namespace {

constexpr std::size_t kHeaderBytes = 128;

// Types of data ("mi..." in the format's description).
enum : std::uint32_t {
  kInt8 = 1,
  kUint8 = 2,
  kInt16 = 3,
  kUint16 = 4,
  kInt32 = 5,
  kUint32 = 6,
  kSingle = 7,
  kDouble = 9,
  kInt64 = 12,
  kUint64 = 13,
  kCompressed = 15,
  kUtf8 = 16
};

// Classes of arrays ("mx...").
constexpr std::uint32_t kClassStructure = 2, kClassSparse = 5, kClassDouble = 6, kClassUint8 = 9,
                        kClassUint64 = 15, kClassOpaque = 17;

const char* class_name(std::uint32_t matlab_class) {
  constexpr std::array<const char*, 18> kNames = {
      "empty",  "a cell array", "a structure", "an object", "char",       "sparse",
      "double", "single",       "int8",        "uint8",     "int16",      "uint16",
      "int32",  "uint32",       "int64",       "uint64",    "a function", "opaque"};
  return matlab_class < kNames.size() ? kNames[matlab_class] : "of an unknown class";
}

bool is_numeric(std::uint32_t matlab_class) {
  return matlab_class >= kClassDouble && matlab_class <= kClassUint64;
}

// The product; none when it does not fit.
std::optional<std::size_t> count_of(const std::vector<std::size_t>& shape) {
  std::size_t count = 1;
  for (const std::size_t dim : shape) {
    if (dim != 0 && count > std::numeric_limits<std::size_t>::max() / dim) return std::nullopt;
    count *= dim;
  }
  return count;
}

std::size_t bytes_of_type(std::uint32_t type) {
  switch (type) {
    case kInt8:
    case kUint8:
      return 1;
    case kInt16:
    case kUint16:
      return 2;
    case kInt32:
    case kUint32:
    case kSingle:
      return 4;
    case kDouble:
    case kInt64:
    case kUint64:
      return 8;
    default:
      return 0;
  }
}

double widen(std::uint32_t type, std::uint64_t bits) {
  switch (type) {
    case kInt8:
      return static_cast<std::int8_t>(bits);
    case kInt16:
      return static_cast<std::int16_t>(bits);
    case kInt32:
      return static_cast<std::int32_t>(bits);
    case kInt64:
      return static_cast<double>(static_cast<std::int64_t>(bits));
    case kSingle:
      return double{std::bit_cast<float>(static_cast<std::uint32_t>(bits))};
    case kDouble:
      return std::bit_cast<double>(bits);
    default:
      return static_cast<double>(bits);
  }
}

// `count` numbers of the stream's next subelement. MATLAB stores them in the smallest type that holds them
// all, whatever the class of the array.
std::vector<double> take_numbers(MatStream& stream, std::size_t count) {
  if (stream.at_end() && count == 0) return {};
  const MatTag tag = stream.next_tag();
  const std::size_t size = bytes_of_type(tag.type);
  if (size == 0) stream.refuse(fmt::format("is damaged: its elements are of type {}", tag.type));
  if (tag.bytes % size != 0 || tag.bytes / size != count) {
    stream.refuse(fmt::format("is damaged: {} bytes of elements of {} bytes, expected {} elements", tag.bytes,
                              size, count));
  }
  const std::vector<std::uint8_t> data = stream.data_of(tag);
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = widen(tag.type, mat_number(data.data() + i * size, size, stream.other_order()));
  }
  return values;
}

}  // namespace

void MatFile::check_header() const {
  constexpr std::array<std::uint8_t, 8> kHdf5 = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  constexpr std::size_t kUserBlock = 512;  // what MATLAB puts before the HDF5 data of version 7.3
  for (const std::size_t at : {std::size_t{0}, kUserBlock}) {
    if (bytes_.size() >= at + kHdf5.size() &&
        std::equal(kHdf5.begin(), kHdf5.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(at))) {
      fail(ExitCode::data,
           "{}: a MAT file of version 7.3 (HDF5), expected version 5 to 7.2; MATLAB writes one by "
           "save(..., '-v7')",
           path_);
    }
  }
  const auto is = [&](std::size_t at, std::uint8_t a, std::uint8_t b) {
    return bytes_[at] == a && bytes_[at + 1] == b;
  };
  const bool little = bytes_.size() >= kHeaderBytes && is(126, 'I', 'M') && is(124, 0, 1);
  const bool big = bytes_.size() >= kHeaderBytes && is(126, 'M', 'I') && is(124, 1, 0);
  if (!little && !big) {
    fail(ExitCode::data, "{}: not a MAT file of version 5 to 7.2{}", path_,
         bytes_.size() < kHeaderBytes ? fmt::format(" ({} bytes are less than its header)", bytes_.size())
                                      : "");
  }
}

MatFile::MatFile(std::vector<std::uint8_t> bytes, std::string path)
    : path_(std::move(path)), bytes_(std::move(bytes)) {
  check_header();
  other_order_ = bytes_[126] == 'M';
  list_variables(kHeaderBytes, {});
}

void MatFile::list_variables(std::size_t at, const std::vector<std::string>& names) {
  std::size_t elements = 0;
  while (at + kMatTagBytes <= bytes_.size()) {
    const std::uint64_t type = mat_number(&bytes_[at], 4, other_order_);
    const std::size_t length = mat_number(&bytes_[at + 4], 4, other_order_);
    const std::size_t left = bytes_.size() - at - kMatTagBytes;
    if (length > left) {
      fail(ExitCode::data, "{}: truncated: the element at byte {} announces {} bytes, {} follow", path_, at,
           length, left);
    }
    // Other types of element hold no variables; an empty one stands for a variable without a value.
    if ((type == kMatMatrix || type == kCompressed) && length > 0) {
      MatStream stream(ByteView(bytes_).subspan(at + kMatTagBytes, length), type == kCompressed, other_order_,
                       fmt::format("{}: the element at byte {}", path_, at));
      Variable& variable = variables_.emplace_back(describe(stream));
      variable.at = at + kMatTagBytes;
      variable.bytes = length;
      variable.compressed = type == kCompressed;
      if (elements < names.size()) variable.name = names[elements];
    }
    ++elements;
    at += kMatTagBytes + length;
  }
  if (at != bytes_.size()) {
    fail(ExitCode::data, "{}: truncated or with trailing bytes: {} after the last element", path_,
         bytes_.size() - at);
  }
}

MatFile::Variable MatFile::describe(MatStream& stream) {
  constexpr std::size_t kMostSizes = 64, kLongestName = 4096;  // MATLAB's own limit for a name is 63
  Variable variable;
  if (stream.at_end()) return variable;  // zipped, but empty
  const std::vector<std::uint32_t> flags = stream.words_of(stream.next_tag(), kUint32, 2, 2);
  variable.matlab_class = flags[0] & 0xFF;
  variable.complex = (flags[0] & 0x800) != 0;
  if (variable.matlab_class != kClassOpaque) {
    for (const std::uint32_t size : stream.words_of(stream.next_tag(), kInt32, 1, kMostSizes)) {
      if (size > static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max())) {
        stream.refuse("is damaged: it has a negative size");
      }
      variable.shape.push_back(size);
    }
  }
  const MatTag name = stream.next_tag();
  if ((name.type != kInt8 && name.type != kUint8 && name.type != kUtf8) || name.bytes > kLongestName) {
    stream.refuse(fmt::format("is damaged: a name of {} bytes of type {}", name.bytes, name.type));
  }
  const std::vector<std::uint8_t> letters = stream.data_of(name);
  variable.name.assign(letters.begin(), letters.end());
  return variable;
}

MatStream MatFile::open(const Variable& variable) const {
  return MatStream(ByteView(bytes_).subspan(variable.at, variable.bytes), variable.compressed, other_order_,
                   fmt::format("{}: variable {}", path_, printable(variable.name)));
}

bool MatFile::has(const std::string& name) const {
  return std::any_of(variables_.begin(), variables_.end(),
                     [&](const Variable& variable) { return variable.name == name; });
}

std::vector<std::string> MatFile::names() const {
  constexpr std::size_t kMostShown = 10;
  std::vector<std::string> names;
  for (const Variable& variable : variables_) {
    if (names.size() == kMostShown) {
      names.push_back(fmt::format("{} more", variables_.size() - kMostShown));
      break;
    }
    names.push_back(variable.name.empty() ? "?" : printable(variable.name));
  }
  return names;
}

std::vector<std::string> MatFile::structures() const {
  std::vector<std::string> found;
  for (const Variable& variable : variables_) {
    if (variable.matlab_class == kClassStructure && count_of(variable.shape) == 1) {
      found.push_back(variable.name);
    }
  }
  return found;
}

MatFile MatFile::fields_of(const std::string& structure) const {
  constexpr std::size_t kLongestName = 4096;
  const Variable& found = variable(structure);
  if (found.matlab_class != kClassStructure || count_of(found.shape) != 1) {
    fail(ExitCode::data, "{}: variable {} is {} {}, expected one structure", path_, structure,
         class_name(found.matlab_class), shape_text(found.shape));
  }
  MatStream stream = open(found);
  describe(stream);
  const std::size_t width = stream.words_of(stream.next_tag(), kInt32, 1, 1)[0];
  const MatTag tag = stream.next_tag();
  if (tag.type != kInt8 || width < 1 || width > kLongestName || tag.bytes % width != 0) {
    stream.refuse(fmt::format("is damaged: {} bytes of field names, {} for each", tag.bytes, width));
  }
  const std::vector<std::uint8_t> letters = stream.data_of(tag);
  std::vector<std::string> names;
  for (auto at = letters.begin(); at != letters.end(); at += static_cast<std::ptrdiff_t>(width)) {
    names.emplace_back(at, std::find(at, at + static_cast<std::ptrdiff_t>(width), 0));
  }
  MatFile fields;
  fields.path_ = fmt::format("{}: structure {}", path_, printable(structure));
  fields.other_order_ = other_order_;
  fields.bytes_ = stream.rest();
  stream.finish();
  fields.list_variables(0, names);
  return fields;
}

const MatFile::Variable& MatFile::variable(const std::string& name) const {
  const auto found = std::find_if(variables_.begin(), variables_.end(),
                                  [&](const Variable& variable) { return variable.name == name; });
  if (found == variables_.end()) {
    fail(ExitCode::data, "{}: no variable {}; it has {}", path_, name,
         variables_.empty() ? "none" : fmt::format("{}", fmt::join(names(), ", ")));
  }
  if (found->complex) fail(ExitCode::data, "{}: variable {} is complex, expected real", path_, name);
  if (!count_of(found->shape)) {
    fail(ExitCode::data, "{}: variable {} claims to be {}", path_, name, shape_text(found->shape));
  }
  return *found;
}

const std::vector<std::size_t>& MatFile::shape_of(const std::string& name) const {
  return variable(name).shape;
}

MatFile::Bytes MatFile::read_bytes(const std::string& name) const {
  const Variable& found = variable(name);
  if (found.matlab_class != kClassUint8) {
    fail(ExitCode::data, "{}: variable {} is {}, expected uint8", path_, name,
         class_name(found.matlab_class));
  }
  MatStream stream = open(found);
  describe(stream);
  const std::size_t count = *count_of(found.shape);
  Bytes bytes{found.shape, {}};
  if (stream.at_end() && count == 0) return bytes;
  const MatTag tag = stream.next_tag();
  if (tag.type != kUint8 || tag.bytes != count) {
    stream.refuse(fmt::format("is damaged: {} bytes of type {}, expected {} of type {}", tag.bytes, tag.type,
                              count, std::uint32_t{kUint8}));
  }
  bytes.values = stream.data_of(tag);
  stream.finish();
  return bytes;
}

MatFile::Numbers MatFile::dense_numbers(const Variable& found) const {
  if (!is_numeric(found.matlab_class)) {
    fail(ExitCode::data, "{}: variable {} is {}, expected numbers", path_, found.name,
         class_name(found.matlab_class));
  }
  MatStream stream = open(found);
  describe(stream);
  Numbers numbers{found.shape, take_numbers(stream, *count_of(found.shape))};
  stream.finish();
  return numbers;
}

// Compressed columns: column j holds the elements jc[j] to jc[j + 1] - 1, of rows ir and values data.
MatFile::Numbers MatFile::sparse_numbers(const Variable& found) const {
  MatStream stream = open(found);
  describe(stream);
  Numbers numbers{found.shape, {}};
  const auto damaged = [&](const std::string& how) { stream.refuse("is damaged: " + how); };
  if (found.shape.size() != 2) damaged(fmt::format("it is sparse and {}", shape_text(found.shape)));
  const std::size_t count = *count_of(found.shape), rows = found.shape[0], columns = found.shape[1];
  if (count > kMostElements || count / kMostZeros > bytes_.size()) {
    fail(ExitCode::data,
         "{}: sparse variable {} is {} in a file of {} bytes; at most {} elements, and {} for a byte of the "
         "file, are supported",
         path_, found.name, shape_text(found.shape), bytes_.size(), kMostElements, kMostZeros);
  }
  const std::vector<std::uint32_t> ir = stream.words_of(stream.next_tag(), kInt32, 0, kMostElements),
                                   jc = stream.words_of(stream.next_tag(), kInt32, columns + 1, columns + 1);
  const std::size_t stored = jc[columns];
  if (jc[0] != 0 || stored > ir.size()) {
    damaged(fmt::format("{} stored elements with {} row numbers", stored, ir.size()));
  }
  const MatTag tag = stream.at_end() && stored == 0 ? MatTag{kDouble, 0, false} : stream.next_tag();
  const std::size_t size = bytes_of_type(tag.type);
  if (size == 0 || tag.bytes % size != 0 || tag.bytes / size < stored) {
    damaged(fmt::format("{} bytes of type {} for {} elements", tag.bytes, tag.type, stored));
  }
  const std::vector<std::uint8_t> data = stream.data_of(tag);
  stream.finish();
  numbers.values.assign(count, 0.0);
  for (std::size_t j = 0; j < columns; ++j) {
    const std::size_t begin = jc[j], end = jc[j + 1];
    if (begin > end || end > stored) damaged(fmt::format("column {} is elements {} to {}", j, begin, end));
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t row = ir[i];
      if (row >= rows) damaged(fmt::format("row {} of {} in column {}", row, rows, j));
      numbers.values[j * rows + row] =
          widen(tag.type, mat_number(data.data() + i * size, size, stream.other_order()));
    }
  }
  return numbers;
}

MatFile::Numbers MatFile::read_numbers(const std::string& name) const {
  const Variable& found = variable(name);
  if (found.matlab_class == kClassSparse) {
    fail(ExitCode::data, "{}: variable {} is sparse, expected a dense array", path_, name);
  }
  return dense_numbers(found);
}

MatFile::Numbers MatFile::read_matrix(const std::string& name) const {
  const Variable& found = variable(name);
  if (found.shape.size() != 2) {
    fail(ExitCode::data, "{}: variable {} is {}, expected two sizes", path_, name, shape_text(found.shape));
  }
  return found.matlab_class == kClassSparse ? sparse_numbers(found) : dense_numbers(found);
}

}  // namespace dpll
