// When the operations of a program run, as ticks for the memory planner. Operation i of n runs forward at
// tick 1 + i and backward at tick 2n + 1 - i; the objective stands between them at tick n + 1, the images are
// written at tick 0.
#pragma once

#include "dpll/core/memory_planner.h"
#include "dpll/ops/common.h"

namespace dpll {

struct TickSchedule {
  int operations = 0;
  Mode mode = Mode::train;

  int forward(int operation) const { return 1 + operation; }
  int objective() const { return operations + 1; }
  int backward(int operation) const { return 2 * operations + 1 - operation; }
  int end() const { return 2 * operations + 1; }

  // Written by operation `writer` (-1: the images), read forward by `last_reader` at the latest, and in
  // training kept until operation `kept_for_backward_of` has run backward.
  Lifetime activation(int writer, int last_reader, int kept_for_backward_of) const {
    if (mode == Mode::eval) return {forward(writer), forward(last_reader)};
    return {forward(writer), backward(kept_for_backward_of)};
  }
};

}  // namespace dpll
