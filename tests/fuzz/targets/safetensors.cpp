#include "dpll/safetensors.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(safetensors, ExitCode::data) {
  const SafetensorsFile file = SafetensorsFile::parse(fuzz::copy_of(bytes), "f");
  std::size_t total = 0;
  for (const auto& [name, entry] : file.entries()) {
    for (std::size_t i = 0; i < entry.bytes; ++i) total += file.data(name)[i] != 0 ? 1 : 1;
    if (entry.dtype == DType::f32) fuzz::require(file.get<float>(name).size() == entry.bytes / 4, "sizes");
    if (entry.dtype == DType::f16) fuzz::require(file.get_as_double(name).size() == entry.bytes / 2, "sizes");
  }
  fuzz::require(total <= bytes.size(), "more data than bytes");
  fuzz::require(file.digest().size() == 64, "a digest");
}
