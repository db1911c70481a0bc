#include "train/gradient_sums.h"

#include <algorithm>

namespace dpll {
namespace {

std::byte* begin_of(const Tensor& tensor) {
  return static_cast<std::byte*>(tensor.data);
}

}  // namespace

GradientSums::GradientSums(Backend& backend, Ranks& ranks, ModelState& state, const Program& program)
    : backend_(backend),
      ranks_(ranks),
      state_(state),
      written_(static_cast<std::size_t>(state.parameters())) {
  const SgdCall update = state.update_call();
  const Tensor flat[2] = {update.d_weight, update.d_value};
  for (int a = 0; a < 2; ++a) {
    types_[a] = flat[a].dtype;
    arrays_[a].end = begin_of(flat[a]) + flat[a].bytes();
  }
  for (int i = 0; i < state.parameters(); ++i) {
    arrays_[state.spec(i).dims.size() >= 2 ? 0 : 1].parameters.push_back(i);
  }
  for (int layer = 0; layer < program.layers(); ++layer) of_layers_.push_back(program.parameters_of(layer));
  for (Array& array : arrays_) {
    array.left = array.parameters.size();
    array.begun = array.end;
  }
}

void GradientSums::layer_done(int layer) {
  for (const ParameterId id : of_layers_[static_cast<std::size_t>(layer)]) {
    written_[static_cast<std::size_t>(id.index)] = true;
  }
  for (Array& array : arrays_) start(array, false);
  for (const auto& sum : sums_) sum->progress();
}

void GradientSums::start(Array& array, bool all) {
  while (array.left > 0 && (all || written_[static_cast<std::size_t>(array.parameters[array.left - 1])])) {
    --array.left;
  }
  if (array.left == array.parameters.size()) return;
  std::byte* const from = begin_of(state_.gradient(array.parameters[array.left]));
  const std::ptrdiff_t bytes = array.begun - from;
  if (bytes == 0 || (!all && bytes < static_cast<std::ptrdiff_t>(backend_.least_sum_bytes())) ||
      (!all && sums_.size() + 2 >= Ranks::kMostSums))
    return;
  const DType type = types_[&array - arrays_];
  sums_.push_back(
      backend_.start_sum(ranks_, {from, type, {bytes / static_cast<std::ptrdiff_t>(size_of(type))}}));
  array.begun = from;
}

void GradientSums::finish() {
  for (Array& array : arrays_) start(array, true);
  for (const auto& sum : sums_) sum->wait();
  sums_.clear();
  for (Array& array : arrays_) {
    array.left = array.parameters.size();
    array.begun = array.end;
  }
  std::fill(written_.begin(), written_.end(), false);
}

}  // namespace dpll
