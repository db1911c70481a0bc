// MATLAB's .mat files of version 5 to 7.2, as far as data sets use them: numeric arrays, dense or sparse. The
// format: MathWorks, "MAT-File Format", chapter 1, "Level 5 MAT-file format".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/mat_stream.h"

namespace dpll {

// Array elements are column-major, as MATLAB stores them: the first index runs fastest. Of what is not asked
// for (cells and objects as well), no more is looked at than class, sizes and name.
class MatFile {
 public:
  // Takes the bytes of a file; `path` is for messages. Error(data): not a MAT file, version 4 or 7.3,
  // truncated, a variable whose description is damaged.
  MatFile(std::vector<std::uint8_t> bytes, std::string path);

  struct Bytes {
    std::vector<std::size_t> shape;
    std::vector<std::uint8_t> values;
  };
  struct Numbers {
    std::vector<std::size_t> shape;
    std::vector<double> values;
  };

  bool has(const std::string& name) const;
  std::vector<std::string> names() const;  // of all variables, fit for a message
  // The variables that are a structure, not an array of several.
  std::vector<std::string> structures() const;
  // The fields of such a structure as the variables of a file. Error(data): damaged, or no structure.
  MatFile fields_of(const std::string& structure) const;
  // The sizes of a variable, without reading its elements. Error(data): no such variable, or complex.
  const std::vector<std::size_t>& shape_of(const std::string& name) const;
  // A dense array of class uint8. Error(data): as above; another class, sparse, truncated, damaged.
  Bytes read_bytes(const std::string& name) const;
  // A dense, real array of any numeric class or logical. Error(data) as above.
  Numbers read_numbers(const std::string& name) const;
  // A real [rows, columns] array, dense or sparse, of any numeric class or logical, with every element
  // written out; a sparse one of at most kMostElements, and not more than kMostZeros for a byte of the file.
  // Error(data) as above, and for sparse indices outside of the array.
  Numbers read_matrix(const std::string& name) const;
  static constexpr std::size_t kMostElements = std::size_t{1} << 28;
  static constexpr std::size_t kMostZeros = 1024;

 private:
  struct Variable {
    std::string name;
    std::uint32_t matlab_class = 0;
    bool complex = false;
    std::vector<std::size_t> shape;
    std::size_t at = 0, bytes = 0;  // the data of its element
    bool compressed = false;
  };

  MatFile() = default;
  void check_header() const;
  // The elements from byte `at` on. `names`: of the fields of a structure, which do not name themselves.
  void list_variables(std::size_t at, const std::vector<std::string>& names);
  MatStream open(const Variable& variable) const;
  // Reads flags, sizes and name, which come first.
  static Variable describe(MatStream& stream);
  const Variable& variable(const std::string& name) const;
  Numbers dense_numbers(const Variable& variable) const;
  Numbers sparse_numbers(const Variable& variable) const;

  std::string path_;
  std::vector<std::uint8_t> bytes_;
  bool other_order_ = false;  // big-endian
  std::vector<Variable> variables_;
};

}  // namespace dpll
