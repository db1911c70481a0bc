#include "data/mat_file.h"

#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "config/text.h"
#include "data/write_all.h"
#include "dpll/core/check.h"

namespace dpll {

namespace {

constexpr std::size_t kHeaderBytes = 128, kTagBytes = 8;

// What libmatio said last; it would print to stderr otherwise.
thread_local std::string last_message;

void listen_to_matio() {
  // auto: the message is char* up to libmatio 1.5.26 and const char* afterwards.
  static const int once =
      Mat_LogInitFunc("dpll_engine", [](int, auto* message) { last_message = printable(message); });
  static_cast<void>(once);
  last_message.clear();
}

std::string matio_reason() {
  return last_message.empty() ? "" : fmt::format(" ({})", last_message);
}

// The bytes as a file, which libmatio needs, without a name in any folder.
class MemoryFile {
 public:
  MemoryFile(const std::vector<std::uint8_t>& bytes, const std::string& path)
      : fd_(::memfd_create("mat", MFD_CLOEXEC)) {
    if (fd_ < 0) fail(ExitCode::device, "{}: no memory for a copy of {} bytes", path, bytes.size());
    write_all(fd_, bytes, path);
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string name() const { return fmt::format("/proc/self/fd/{}", fd_); }

 private:
  int fd_;
};

const char* name_of(matio_classes matlab_class) {
  switch (matlab_class) {
    case MAT_C_EMPTY:
      return "empty";
    case MAT_C_CELL:
      return "a cell array";
    case MAT_C_STRUCT:
      return "a structure";
    case MAT_C_OBJECT:
      return "an object";
    case MAT_C_CHAR:
      return "char";
    case MAT_C_SPARSE:
      return "sparse";
    case MAT_C_DOUBLE:
      return "double";
    case MAT_C_SINGLE:
      return "single";
    case MAT_C_INT8:
      return "int8";
    case MAT_C_UINT8:
      return "uint8";
    case MAT_C_INT16:
      return "int16";
    case MAT_C_UINT16:
      return "uint16";
    case MAT_C_INT32:
      return "int32";
    case MAT_C_UINT32:
      return "uint32";
    case MAT_C_INT64:
      return "int64";
    case MAT_C_UINT64:
      return "uint64";
    case MAT_C_FUNCTION:
      return "a function";
    case MAT_C_OPAQUE:
      return "opaque";
  }
  return "of an unknown class";
}

bool is_numeric(matio_classes matlab_class) {
  return matlab_class >= MAT_C_DOUBLE && matlab_class <= MAT_C_UINT64;
}

std::vector<std::size_t> shape_of(const matvar_t& variable) {
  return {variable.dims, variable.dims + variable.rank};
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

template <typename T>
std::vector<double> widen(const void* data, std::size_t count) {
  const T* values = static_cast<const T*>(data);
  return {values, values + count};
}

std::optional<std::vector<double>> widen_elements(matio_types type, const void* data, std::size_t count) {
  switch (type) {
    case MAT_T_INT8:
      return widen<std::int8_t>(data, count);
    case MAT_T_UINT8:
      return widen<std::uint8_t>(data, count);
    case MAT_T_INT16:
      return widen<std::int16_t>(data, count);
    case MAT_T_UINT16:
      return widen<std::uint16_t>(data, count);
    case MAT_T_INT32:
      return widen<std::int32_t>(data, count);
    case MAT_T_UINT32:
      return widen<std::uint32_t>(data, count);
    case MAT_T_INT64:
      return widen<std::int64_t>(data, count);
    case MAT_T_UINT64:
      return widen<std::uint64_t>(data, count);
    case MAT_T_SINGLE:
      return widen<float>(data, count);
    case MAT_T_DOUBLE:
      return widen<double>(data, count);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string shape_text(const std::vector<std::size_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

void MatFile::check_header(const std::vector<std::uint8_t>& bytes) const {
  constexpr std::array<std::uint8_t, 8> kHdf5 = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  constexpr std::size_t kUserBlock = 512;  // what MATLAB puts before the HDF5 data of version 7.3
  for (const std::size_t at : {std::size_t{0}, kUserBlock}) {
    if (bytes.size() >= at + kHdf5.size() && std::equal(kHdf5.begin(), kHdf5.end(), bytes.begin() + at)) {
      fail(ExitCode::data,
           "{}: a MAT file of version 7.3 (HDF5), expected version 5 to 7.2; MATLAB writes one by "
           "save(..., '-v7')",
           path_);
    }
  }
  const auto is = [&](std::size_t at, std::uint8_t a, std::uint8_t b) {
    return bytes[at] == a && bytes[at + 1] == b;
  };
  const bool little = bytes.size() >= kHeaderBytes && is(126, 'I', 'M') && is(124, 0, 1);
  const bool big = bytes.size() >= kHeaderBytes && is(126, 'M', 'I') && is(124, 1, 0);
  if (!little && !big) {
    fail(
        ExitCode::data, "{}: not a MAT file of version 5 to 7.2{}", path_,
        bytes.size() < kHeaderBytes ? fmt::format(" ({} bytes are less than its header)", bytes.size()) : "");
  }
}

// libmatio reads a file that was cut off as far as it goes; this looks at the lengths that the file
// announces.
void MatFile::check_lengths(const std::vector<std::uint8_t>& bytes) const {
  const bool little = bytes[126] == 'I';
  std::size_t at = kHeaderBytes;
  while (at + kTagBytes <= bytes.size()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      length |= std::size_t{bytes[at + 4 + i]} << 8 * (little ? i : 3 - i);
    }
    const std::size_t left = bytes.size() - at - kTagBytes;
    if (length > left) {
      fail(ExitCode::data, "{}: truncated: the element at byte {} announces {} bytes, {} follow", path_, at,
           length, left);
    }
    at += kTagBytes + length;
  }
  if (at != bytes.size()) {
    fail(ExitCode::data, "{}: truncated or with trailing bytes: {} after the last element", path_,
         bytes.size() - at);
  }
}

MatFile::MatFile(std::vector<std::uint8_t> bytes, std::string path)
    : path_(std::move(path)), file_bytes_(bytes.size()), file_(nullptr, &Mat_Close) {
  check_header(bytes);
  check_lengths(bytes);
  const MemoryFile copy(bytes, path_);
  bytes.clear();
  bytes.shrink_to_fit();
  listen_to_matio();
  file_.reset(Mat_Open(copy.name().c_str(), MAT_ACC_RDONLY));
  if (!file_) fail(ExitCode::data, "{}: not a MAT file that can be read{}", path_, matio_reason());
}

MatFile::~MatFile() = default;

bool MatFile::has(const std::string& name) {
  listen_to_matio();
  Mat_Rewind(file_.get());
  return Variable(Mat_VarReadInfo(file_.get(), name.c_str()), &Mat_VarFree) != nullptr;
}

MatFile::Variable MatFile::describe(const std::string& name) {
  listen_to_matio();
  Mat_Rewind(file_.get());
  Variable variable(Mat_VarReadInfo(file_.get(), name.c_str()), &Mat_VarFree);
  if (!variable) {
    std::vector<std::string> names;
    Mat_Rewind(file_.get());
    while (true) {
      const Variable other(Mat_VarReadNextInfo(file_.get()), &Mat_VarFree);
      if (!other) break;
      names.push_back(other->name == nullptr ? "?" : printable(other->name));
    }
    fail(ExitCode::data, "{}: no variable {}; it has {}", path_, name,
         names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  }
  // zlib cannot pack tighter than this: a greater claim is damage and must not be given memory.
  constexpr std::size_t kMostPacking = 1032;
  if (variable->rank < 1 || variable->dims == nullptr) {
    fail(ExitCode::data, "{}: variable {} has no size", path_, name);
  }
  const std::vector<std::size_t> shape = shape_of(*variable);
  const std::optional<std::size_t> count = count_of(shape);
  const bool dense = variable->class_type != MAT_C_SPARSE;
  if (!count || (dense && *count / kMostPacking > file_bytes_)) {
    fail(ExitCode::data, "{}: variable {} claims to be {} in a file of {} bytes", path_, name,
         shape_text(shape), file_bytes_);
  }
  if (variable->isComplex != 0)
    fail(ExitCode::data, "{}: variable {} is complex, expected real", path_, name);
  return variable;
}

void MatFile::read_elements(matvar_t& variable) {
  listen_to_matio();
  const int error = Mat_VarReadDataAll(file_.get(), &variable);
  if (error != 0 || variable.data == nullptr) {
    fail(ExitCode::data, "{}: variable {} is truncated or damaged{}", path_, variable.name, matio_reason());
  }
}

MatFile::Bytes MatFile::read_bytes(const std::string& name) {
  const Variable variable = describe(name);
  Bytes bytes{shape_of(*variable), {}};
  if (variable->class_type != MAT_C_UINT8) {
    fail(ExitCode::data, "{}: variable {} is {}, expected uint8", path_, name, name_of(variable->class_type));
  }
  read_elements(*variable);
  const std::size_t count = *count_of(bytes.shape);
  if (variable->data_size != 1 || variable->nbytes != count) {
    fail(ExitCode::data, "{}: variable {} holds {} bytes, expected {}", path_, name, variable->nbytes, count);
  }
  const auto* values = static_cast<const std::uint8_t*>(variable->data);
  bytes.values.assign(values, values + count);
  return bytes;
}

MatFile::Numbers MatFile::dense_numbers(matvar_t& variable) {
  if (!is_numeric(variable.class_type)) {
    fail(ExitCode::data, "{}: variable {} is {}, expected numbers", path_, variable.name,
         name_of(variable.class_type));
  }
  Numbers numbers{shape_of(variable), {}};
  read_elements(variable);
  const std::size_t count = *count_of(numbers.shape);
  std::optional<std::vector<double>> values;
  if (variable.nbytes == count * static_cast<std::size_t>(variable.data_size)) {
    values = widen_elements(variable.data_type, variable.data, count);
  }
  if (!values) fail(ExitCode::data, "{}: variable {} is damaged", path_, variable.name);
  numbers.values = std::move(*values);
  return numbers;
}

// Compressed columns: column j holds the elements jc[j] to jc[j + 1] - 1, of rows ir and values data.
MatFile::Numbers MatFile::sparse_numbers(matvar_t& variable) {
  Numbers numbers{shape_of(variable), {}};
  const auto damaged = [&](const std::string& how) {
    fail(ExitCode::data, "{}: sparse variable {} is damaged: {}", path_, variable.name, how);
  };
  if (numbers.shape.size() != 2) damaged(fmt::format("it is {}", shape_text(numbers.shape)));
  const std::size_t count = *count_of(numbers.shape), rows = numbers.shape[0], columns = numbers.shape[1];
  if (count > kMostElements) {
    fail(ExitCode::data, "{}: sparse variable {} is {}, at most {} elements are supported", path_,
         variable.name, shape_text(numbers.shape), kMostElements);
  }
  numbers.values.assign(count, 0.0);
  read_elements(variable);
  const auto& sparse = *static_cast<const mat_sparse_t*>(variable.data);
  if (static_cast<std::size_t>(sparse.njc) != columns + 1 || sparse.jc == nullptr || sparse.jc[0] != 0) {
    damaged(fmt::format("{} column starts for {} columns", sparse.njc, columns));
  }
  const auto stored = static_cast<std::size_t>(sparse.jc[columns]);
  if (stored == 0) return numbers;
  if (static_cast<std::size_t>(sparse.nir) < stored || static_cast<std::size_t>(sparse.ndata) < stored ||
      sparse.ir == nullptr || sparse.data == nullptr) {
    damaged(fmt::format("{} rows and {} values for {} elements", sparse.nir, sparse.ndata, stored));
  }
  const auto values = widen_elements(variable.data_type, sparse.data, stored);
  if (!values) damaged("its values are no numbers");
  for (std::size_t j = 0; j < columns; ++j) {
    const auto begin = static_cast<std::size_t>(sparse.jc[j]),
               end = static_cast<std::size_t>(sparse.jc[j + 1]);
    if (begin > end || end > stored) damaged(fmt::format("column {} is elements {} to {}", j, begin, end));
    for (std::size_t i = begin; i < end; ++i) {
      const auto row = static_cast<std::size_t>(sparse.ir[i]);
      if (row >= rows) damaged(fmt::format("row {} of {} in column {}", row, rows, j));
      numbers.values[j * rows + row] = (*values)[i];
    }
  }
  return numbers;
}

MatFile::Numbers MatFile::read_numbers(const std::string& name) {
  const Variable variable = describe(name);
  if (variable->class_type == MAT_C_SPARSE) {
    fail(ExitCode::data, "{}: variable {} is sparse, expected a dense array", path_, name);
  }
  return dense_numbers(*variable);
}

MatFile::Numbers MatFile::read_matrix(const std::string& name) {
  const Variable variable = describe(name);
  Numbers numbers =
      variable->class_type == MAT_C_SPARSE ? sparse_numbers(*variable) : dense_numbers(*variable);
  if (numbers.shape.size() != 2) {
    fail(ExitCode::data, "{}: variable {} is {}, expected two sizes", path_, name, shape_text(numbers.shape));
  }
  return numbers;
}

}  // namespace dpll
