// Writes .mat files of version 5 byte by byte; the engine only reads them. Elements are column-major.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace dpll::test {

class MatWriter {
 public:
  using Bytes = std::vector<std::uint8_t>;

  // The file is written by the destructor.
  explicit MatWriter(const std::string& path) : path_(path) {}
  ~MatWriter() {
    const Bytes file = bytes();
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  }
  MatWriter(const MatWriter&) = delete;
  MatWriter& operator=(const MatWriter&) = delete;

  MatWriter& compressed(bool on) {
    compressed_ = on;
    return *this;
  }
  // As a machine of the other byte order writes; to be called before anything is added.
  MatWriter& big_endian() {
    big_endian_ = true;
    return *this;
  }

  // An array of the class of T, its elements stored as Stored.
  template <typename T, typename Stored = T>
  MatWriter& add(const std::string& name, const std::vector<std::size_t>& shape,
                 const std::vector<T>& values) {
    Bytes body = header(class_of<T>(), 0, shape, name);
    append(body, numbers(std::vector<Stored>(values.begin(), values.end())));
    return variable(body);
  }
  MatWriter& add(const std::string& name, const std::string& text) {
    Bytes body = header(4, 0, {1, text.size()}, name);
    append(body, numbers(std::vector<std::uint16_t>(text.begin(), text.end())));
    return variable(body);
  }
  MatWriter& add_complex(const std::string& name, const std::vector<double>& values) {
    Bytes body = header(6 | 0x800, 0, {values.size(), 1}, name);
    append(body, numbers(values));
    append(body, numbers(values));
    return variable(body);
  }
  // A structure with one field, or a cell array of one cell, that hold a number.
  MatWriter& add_structure(const std::string& name) {
    Bytes body = header(2, 0, {1, 1}, name);
    append(body, numbers(std::vector<std::int32_t>{8}));
    append(body, element(1, Bytes{'f', 'i', 'e', 'l', 'd', 0, 0, 0}));
    append(body, number_inside());
    return variable(body);
  }
  struct Field {
    std::string name;
    std::vector<std::size_t> shape;
    std::vector<double> values;
  };
  // A structure of arrays.
  MatWriter& add_fields(const std::string& name, const std::vector<Field>& fields) {
    constexpr std::size_t kWidth = 32;
    Bytes body = header(2, 0, {1, 1}, name);
    append(body, numbers(std::vector<std::int32_t>{kWidth}));
    Bytes names, arrays;
    for (const Field& field : fields) {
      Bytes letters(field.name.begin(), field.name.end());
      letters.resize(kWidth);
      append(names, letters);
      Bytes array = header(6, 0, field.shape, "");
      append(array, numbers(field.values));
      append(arrays, element(14, array));
    }
    append(body, element(1, names));
    append(body, arrays);
    return variable(body);
  }
  MatWriter& add_cell(const std::string& name) {
    Bytes body = header(1, 0, {1, 1}, name);
    append(body, number_inside());
    return variable(body);
  }
  // `values` [rows, columns], column-major; zeros are left out.
  template <typename Stored = double>
  MatWriter& add_sparse(const std::string& name, std::size_t rows, std::size_t columns,
                        const std::vector<double>& values) {
    std::vector<std::int32_t> ir, jc = {0};
    std::vector<Stored> data;
    for (std::size_t j = 0; j < columns; ++j) {
      for (std::size_t i = 0; i < rows; ++i) {
        if (values[j * rows + i] == 0) continue;
        ir.push_back(static_cast<std::int32_t>(i));
        data.push_back(static_cast<Stored>(values[j * rows + i]));
      }
      jc.push_back(static_cast<std::int32_t>(ir.size()));
    }
    return add_sparse(name, {rows, columns}, ir, jc, numbers(data));
  }
  // Whatever the parts say.
  MatWriter& add_sparse(const std::string& name, const std::vector<std::size_t>& shape,
                        const std::vector<std::int32_t>& ir, const std::vector<std::int32_t>& jc,
                        const Bytes& values) {
    Bytes body = header(5, static_cast<std::uint32_t>(ir.size()), shape, name);
    append(body, numbers(ir));
    append(body, numbers(jc));
    append(body, values);
    return variable(body);
  }
  // A variable whose parts behind the name are `parts`.
  MatWriter& add_parts(const std::string& name, std::uint32_t matlab_class,
                       const std::vector<std::size_t>& shape, const Bytes& parts) {
    Bytes body = header(matlab_class, 0, shape, name);
    append(body, parts);
    return variable(body);
  }

  // A subelement of numbers.
  template <typename T>
  Bytes numbers(const std::vector<T>& values) const {
    Bytes data;
    for (const T value : values) {
      std::uint8_t raw[sizeof(T)];
      std::memcpy(raw, &value, sizeof(T));
      for (std::size_t i = 0; i < sizeof(T); ++i) data.push_back(raw[big_endian_ ? sizeof(T) - 1 - i : i]);
    }
    return element(type_of<T>(), data);
  }

  Bytes bytes() const {
    std::string text = "MATLAB 5.0 MAT-file, written by a test";
    text.resize(124, ' ');
    Bytes file(text.begin(), text.end());
    const Bytes mark = big_endian_ ? Bytes{1, 0, 'M', 'I'} : Bytes{0, 1, 'I', 'M'};
    append(file, mark);
    append(file, variables_);
    return file;
  }

 private:
  template <typename T>
  static std::uint32_t type_of() {
    if constexpr (std::is_same_v<T, double>) return 9;
    if constexpr (std::is_same_v<T, float>) return 7;
    constexpr std::uint32_t kOfSize[9] = {0, 1, 3, 0, 5, 0, 0, 0, 12};
    return kOfSize[sizeof(T)] + (std::is_unsigned_v<T> ? 1 : 0);
  }
  template <typename T>
  static std::uint32_t class_of() {
    if constexpr (std::is_same_v<T, double>) return 6;
    if constexpr (std::is_same_v<T, float>) return 7;
    constexpr std::uint32_t kOfSize[9] = {0, 8, 10, 0, 12, 0, 0, 0, 14};
    return kOfSize[sizeof(T)] + (std::is_unsigned_v<T> ? 1 : 0);
  }

  static void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }
  Bytes word(std::uint32_t value) const {
    Bytes bytes(4);
    for (std::size_t i = 0; i < 4; ++i) {
      bytes[big_endian_ ? 3 - i : i] = static_cast<std::uint8_t>(value >> 8 * i);
    }
    return bytes;
  }
  // In the short form where it fits, as MATLAB does.
  Bytes element(std::uint32_t type, Bytes data) const {
    const bool small = !data.empty() && data.size() <= 4;
    Bytes bytes = word(small ? type | static_cast<std::uint32_t>(data.size()) << 16 : type);
    if (!small) append(bytes, word(static_cast<std::uint32_t>(data.size())));
    const std::size_t unit = small ? 4 : 8;
    data.resize((data.size() + unit - 1) / unit * unit);
    append(bytes, data);
    return bytes;
  }
  Bytes header(std::uint32_t flags, std::uint32_t capacity, const std::vector<std::size_t>& shape,
               const std::string& name) const {
    Bytes body = numbers(std::vector<std::uint32_t>{flags, capacity});
    append(body, numbers(std::vector<std::int32_t>(shape.begin(), shape.end())));
    append(body, element(1, Bytes(name.begin(), name.end())));
    return body;
  }
  Bytes number_inside() const {
    Bytes body = header(6, 0, {1, 1}, "");
    append(body, numbers(std::vector<double>{5}));
    return element(14, body);
  }
  MatWriter& variable(const Bytes& body) {
    const Bytes matrix = element(14, body);
    if (!compressed_) {
      append(variables_, matrix);
      return *this;
    }
    Bytes zipped(compressBound(static_cast<uLong>(matrix.size())));
    auto size = static_cast<uLongf>(zipped.size());
    if (compress(zipped.data(), &size, matrix.data(), static_cast<uLong>(matrix.size())) != Z_OK) {
      throw std::runtime_error("compress");
    }
    append(variables_, word(15));
    append(variables_, word(static_cast<std::uint32_t>(size)));
    zipped.resize(size);
    append(variables_, zipped);
    return *this;
  }

  std::string path_;
  Bytes variables_;
  bool compressed_ = true, big_endian_ = false;
};

}  // namespace dpll::test
