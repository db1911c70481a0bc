// MATLAB's .mat files of version 5 to 7.2, read by libmatio (https://github.com/tbeu/matio).
#pragma once

#include <matio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dpll {

// Array elements are column-major, as MATLAB stores them: the first index runs fastest.
class MatFile {
 public:
  // Takes the bytes of a file; `path` is for messages. Error(data): not a MAT file, version 4 or 7.3,
  // truncated.
  MatFile(std::vector<std::uint8_t> bytes, std::string path);
  ~MatFile();
  MatFile(const MatFile&) = delete;
  MatFile& operator=(const MatFile&) = delete;

  struct Bytes {
    std::vector<std::size_t> shape;
    std::vector<std::uint8_t> values;
  };
  struct Numbers {
    std::vector<std::size_t> shape;
    std::vector<double> values;
  };

  bool has(const std::string& name);
  // A dense array of class uint8. Error(data): no such variable, another class, sparse, complex, truncated.
  Bytes read_bytes(const std::string& name);
  // A dense, real array of any numeric class or logical. Error(data) as above.
  Numbers read_numbers(const std::string& name);
  // A real [rows, columns] array, dense or sparse, of any numeric class or logical, with every element
  // written out; at most kMostElements. Error(data) as above, and for sparse indices outside of the array.
  Numbers read_matrix(const std::string& name);
  static constexpr std::size_t kMostElements = std::size_t{1} << 28;

 private:
  using Variable = std::unique_ptr<matvar_t, void (*)(matvar_t*)>;

  void check_header(const std::vector<std::uint8_t>& bytes) const;
  void check_lengths(const std::vector<std::uint8_t>& bytes) const;
  Variable describe(const std::string& name);
  void read_elements(matvar_t& variable);
  Numbers dense_numbers(matvar_t& variable);
  Numbers sparse_numbers(matvar_t& variable);

  std::string path_;
  std::size_t file_bytes_;
  std::unique_ptr<mat_t, int (*)(mat_t*)> file_;
};

// "[32,32,3,10]", for messages.
std::string shape_text(const std::vector<std::size_t>& shape);

}  // namespace dpll
