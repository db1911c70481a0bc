// Checks every operation of a backend where it is used: reads what each call is given, lets it run, reads
// what it leaves, and compares that with what the call's own inputs should give. So an operation's error is
// its own, and its bound follows from its arithmetic (arithmetic.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/observed_backend.h"
#include "check/operation_checks.h"
#include "dpll/core/trace.h"

namespace dpll::check {

// A tensor that an operation computes: its worst so far, or the first that was beyond its bound.
struct Finding {
  std::string name;  // "forward block1.layer.0.conv1: preact_conv y"
  Shape shape;
  int step = 0;
  Outcome outcome;
};

// The names of the layers that are running, while it lives; whoever listened before still hears of them.
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

  // To be observed with: runs the call and keeps what is found.
  void observe(const AnyCall& call);
  void begin_step(int step) { step_ = step; }

  // In the order in which they were first seen.
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  template <typename Spec, typename Call>
  void check(const OperationCall<Spec, Call>& call);
  // The weights that a call reads beside their masters, where they are copies.
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
