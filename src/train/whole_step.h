// The distance of a whole training step on one backend from the same step on another: for each kind of tensor
// the largest relative distance in the Euclidean norm.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/training_step.h"

namespace dpll {

// One of the two sides.
struct StepSide {
  Backend& backend;
  const Network& network;
  const TrainingStep& step;
};

class WholeStep {
 public:
  WholeStep(const StepSide& ours, const StepSide& theirs) : ours_(ours), theirs_(theirs) {}

  void begin_step(int step) { step_ = step; }
  // Call each when the phase with this name has run on both sides.
  void compare_views();       // augment
  void compare_forward();     // forward
  void compare_objective();   // objective
  void compare_parameters();  // update; the gradients are those that it used
  // One line for each kind of tensor.
  void print(const std::function<void(const std::string&)>& print) const;

 private:
  struct Kind {
    std::string name, worst;
    double distance = 0;
    int step = 0;
  };
  void add(const std::string& kind, const std::string& tensor, const std::vector<float>& got,
           const std::vector<float>& want);

  StepSide ours_, theirs_;
  int step_ = 0;
  float loss_scale_ = 1;  // of the gradients of theirs
  std::vector<Kind> kinds_;
};

}  // namespace dpll
