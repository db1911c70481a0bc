#include "backend/cuda/referee.h"

#include <algorithm>
#include <array>

#include "comparison.h"
#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

std::string words_of(const Difference& difference, const ContestOutput& output) {
  return fmt::format("{} differs in {} of {} values, first at {}: {:g}, not {:g}", output.name,
                     difference.beyond, output.elements, difference.index, difference.got, difference.want);
}

std::size_t bytes_of(const ContestOutput& output) {
  return static_cast<std::size_t>(output.elements) * size_of(output.type);
}

}  // namespace

ScratchMemory::ScratchMemory(Runtime& runtime, std::size_t bytes)
    : runtime_(runtime), data_(runtime.allocate(std::max<std::size_t>(bytes, 1))) {
  if (data_ != nullptr) return;
  throw OutOfMemory(ExitCode::device, fmt::format("not enough GPU memory to tune: {} bytes", bytes));
}

ScratchMemory::~ScratchMemory() {
  runtime_.release(data_);
}

Referee::Referee(Runtime& runtime, const Contest& contest, bool deterministic)
    : runtime_(runtime),
      contest_(contest),
      deterministic_(deterministic),
      parts_(runtime, kMostDifferences * sizeof(Difference)) {
  for (const ContestOutput& output : contest.outputs) {
    expected_.push_back(std::make_unique<ScratchMemory>(runtime, bytes_of(output)));
    if (deterministic) repeated_.push_back(std::make_unique<ScratchMemory>(runtime, bytes_of(output)));
  }
}

std::string Referee::complaint(const std::function<void()>& run) {
  std::string wrong = first_wrong(run);
  has_expected_ = has_expected_ || wrong.empty();
  return wrong;
}

std::string Referee::first_wrong(const std::function<void()>& run) {
  compute(run);
  for (const auto& measure : contest_.measures) {
    std::string wrong = measure();
    if (!wrong.empty()) return wrong;
  }
  if (!has_expected_) copy_outputs(expected_);
  // A value that is no number differs from itself.
  std::string wrong = first_difference(expected_, !has_expected_);
  if (!wrong.empty()) return wrong;
  if (deterministic_) {
    copy_outputs(repeated_);
    compute(run);
    const std::string changed = first_difference(repeated_, true);
    if (!changed.empty()) return "not the same bits in a second run: " + changed;
  }
  return contest_.examination.enter ? examine(run) : "";
}

// Every output is NaN beforehand: what adds to it, where it should write, or leaves a value out, shows.
void Referee::compute(const std::function<void()>& run) {
  for (const ContestOutput& output : contest_.outputs) runtime_.fill_ones(output.data, bytes_of(output));
  run();
}

void Referee::copy_outputs(const Copies& to) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    runtime_.copy(to[i]->data(), contest_.outputs[i].data, bytes_of(contest_.outputs[i]));
  }
}

std::string Referee::examine(const std::function<void()>& run) {
  const Examination& examination = contest_.examination;
  examination.enter();
  try {
    compute(run);
  } catch (...) {
    examination.leave();
    throw;
  }
  examination.measure();
  std::string wrong = difference_of(examination.output, examination.expected, false);
  examination.leave();
  return wrong;
}

std::string Referee::first_difference(const Copies& want, bool exact) {
  for (std::size_t i = 0; i < want.size(); ++i) {
    std::string found = difference_of(contest_.outputs[i], want[i]->data(), exact);
    if (!found.empty()) return found;
  }
  return "";
}

std::string Referee::difference_of(const ContestOutput& output, const void* want, bool exact) {
  const int count = compare(static_cast<Difference*>(parts_.data()), output.data, want, output.type,
                            output.elements, exact ? 0 : static_cast<float>(output.relative),
                            exact ? 0 : static_cast<float>(output.absolute), runtime_.stream());
  std::array<Difference, kMostDifferences> parts;
  runtime_.copy_out(parts.data(), parts_.data(), sizeof parts);
  const Difference difference = merge_differences(parts.data(), count);
  return difference.beyond > 0 ? words_of(difference, output) : "";
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
