#include "dpll/candidates.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(matrix_csv, ExitCode::data) {
  const fuzz::MemoryFile file(bytes);
  const LabelMatrix matrix = read_label_matrix(file.path(), 3, MatrixKind::inclusion);
  fuzz::require(matrix.values.size() == 9, "sizes");
}
