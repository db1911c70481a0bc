#include "train/memory_report.h"

#include <algorithm>

namespace dpll {
namespace {

double mebibytes(std::size_t bytes) {
  return static_cast<double>(bytes) / 0x1p20;
}

// The largest blocks by name, the rest as one number.
std::string use_text(const Backend& backend) {
  constexpr std::size_t kNamed = 6;
  std::string text;
  std::size_t rest = 0;
  const std::vector<Backend::MemoryUse> uses = backend.memory_use();
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (i >= kNamed) {
      rest += uses[i].bytes;
      continue;
    }
    const std::string& what = uses[i].what;
    text += fmt::format("{}{} {:.1f}", i == 0 ? "" : ", ", what.starts_with("the ") ? what.substr(4) : what,
                        mebibytes(uses[i].bytes));
  }
  if (rest > 0) text += fmt::format(", others {:.1f}", mebibytes(rest));
  return text;
}

}  // namespace

std::string memory_line(const Backend& backend, std::size_t left) {
  return fmt::format("memory of {}, in MiB: {:.1f} of {:.1f}: {}", backend.name(),
                     mebibytes(backend.peak_bytes()), mebibytes(left), use_text(backend));
}

void require_memory(const Backend& backend, const BatchMemory& need) {
  const std::size_t left = backend.available_bytes();
  if (need.bytes <= left) return;
  // Activations grow in proportion to the batch, workspaces do not; so this estimate is checked.
  const auto largest = [&](int from, const std::function<std::size_t(int)>& bytes_of) {
    double n = from * static_cast<double>(left) / static_cast<double>(need.bytes);
    while (n >= 1 && bytes_of(static_cast<int>(n)) > left) n *= 0.85;
    return static_cast<int>(n);
  };
  const int batch = largest(need.batch, [&](int n) { return need.bytes_of(n, need.views); });
  const int views =
      need.views == 1 ? 0 : largest(need.views, [&](int n) { return need.bytes_of(need.batch, n); });
  std::string advice;
  if (batch >= 1) advice += fmt::format("{} = {}", need.key, batch);
  if (views >= 1) advice += fmt::format("{}views.strong = {}", advice.empty() ? "" : " or ", views - 1);
  fail(ExitCode::device,
       "not enough memory on {}: {} = {} with {} view{} needs {:.1f} MiB of activations, {:.1f} MiB are free "
       "(taken already, in MiB: {}); {}",
       backend.name(), need.key, need.batch, need.views, need.views == 1 ? "" : "s", mebibytes(need.bytes),
       mebibytes(left), use_text(backend),
       advice.empty() ? "not even a batch of 1 would fit" : advice + " would fit");
}

}  // namespace dpll
