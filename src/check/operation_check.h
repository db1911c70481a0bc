// Checks every operation of a backend during its use: reads the inputs of each call, runs it, reads the
// outputs, and compares them with the results that these inputs should give. So an error belongs to one
// operation, and its bound follows from the arithmetic of that operation (arithmetic.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/observed_backend.h"
#include "check/operation_checks.h"
#include "dpll/core/trace.h"

namespace dpll::check {

// A tensor that an operation computes: its largest error so far, or the first error beyond its bound.
struct Finding {
  std::string name;  // "forward block1.layer.0.conv1: preact_conv y"
  Shape shape;
  int step = 0;
  Outcome outcome;
};

// Collects the names of the running layers during its lifetime; an earlier sink still receives them.
class LayerNames final : public trace::Sink {
 public:
  LayerNames() : before_(trace::sink) { trace::sink = this; }
  ~LayerNames() override { trace::sink = before_; }
  LayerNames(const LayerNames&) = delete;
  LayerNames& operator=(const LayerNames&) = delete;

  void begin(const char* name) override;
  void end() override;
  // "forward conv1"; empty outside of all ranges.
  std::string current() const;

 private:
  trace::Sink* before_;
  std::vector<std::string> open_;
};

class OperationCheck {
 public:
  // `device`: the backend below the ObservedBackend. `parameters`: the device's ModelState::update_call().
  // All must outlive the check.
  OperationCheck(Backend& device, Backend& cpu, Precision precision, const SgdCall& parameters,
                 const LayerNames& layers);

  // Called by the ObservedBackend: runs the call and stores the errors.
  void observe(const AnyCall& call);
  void begin_step(int step) { step_ = step; }

  // The errors, in the order in which the tensors first occurred.
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  template <typename Spec, typename Call>
  void check(const OperationCall<Spec, Call>& call);
  // Compares the weights that a call reads with their masters, if they are copies.
  void check_copies(const CheckContext& context, const Recording& before, const std::string& name,
                    const Tensor& weight);
  void add(const std::string& name, const Shape& shape, const Outcome& outcome);

  Backend &device_, &cpu_;
  Arithmetic arithmetic_;
  SgdCall parameters_;
  const LayerNames& layers_;
  int step_ = 0;
  std::vector<Finding> findings_;
};

}  // namespace dpll::check
