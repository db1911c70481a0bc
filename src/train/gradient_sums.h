// The sums of the gradients of all ranks, which begin while the backward pass goes on.
#pragma once

#include <memory>
#include <vector>

#include "dpll/backend.h"
#include "dpll/model/network.h"

namespace dpll {

// For each step: layer_done() for every layer, from the last to the first, then finish(). Gradients lie in
// two flat arrays, those of weights and the others, in the order of the layers, so what is written grows from
// their ends: as soon as there is enough of it, its sum begins.
class GradientSums {
 public:
  GradientSums(Backend& backend, Ranks& ranks, ModelState& state, const Program& program);

  void layer_done(int layer);
  void finish();  // what comes later finds the gradients of all ranks

 private:
  struct Array {
    std::vector<int> parameters;  // in order
    std::size_t left = 0;         // of them, the first ones are not written yet
    std::byte* begun = nullptr;   // from here to the end sums have begun
    std::byte* end = nullptr;
  };
  void start(Array& array, bool all);

  Backend& backend_;
  Ranks& ranks_;
  ModelState& state_;
  DType types_[2] = {};
  Array arrays_[2];
  std::vector<std::vector<ParameterId>> of_layers_;
  std::vector<bool> written_;
  std::vector<std::unique_ptr<Ranks::Sum>> sums_;
};

}  // namespace dpll
