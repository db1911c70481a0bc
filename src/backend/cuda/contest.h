// What a contest between ways to compute the same thing is made of: contenders, the outputs that they write,
// and by what their results are measured.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/runtime.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// There is not enough memory to try a contender: says nothing about whether it is right.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

// Device memory for a contest. OutOfMemory where there is not enough.
class ScratchMemory {
 public:
  ScratchMemory(Runtime& runtime, std::size_t bytes);
  ~ScratchMemory();
  ScratchMemory(const ScratchMemory&) = delete;
  ScratchMemory& operator=(const ScratchMemory&) = delete;
  void* data() const { return data_; }

 private:
  Runtime& runtime_;
  void* data_;
};

struct Contender {
  std::string name;
  // What computes the contest's outputs once, or nothing where it cannot after all. It owns its workspace.
  std::function<std::function<void()>()> prepare;
};

struct ContestOutput {
  std::string name;
  void* data = nullptr;
  DType type = DType::f32;
  std::int64_t elements = 0;
  double relative = 0, absolute = 0;  // how far two right results may be apart
};

// A second run of every contender, on other inputs, whose result is known from elsewhere.
struct Examination {
  std::function<void()> enter;    // changes the inputs; null: there is no examination
  std::function<void()> measure;  // after the run: computes `expected`
  std::function<void()> leave;    // changes them back
  ContestOutput output;
  const void* expected = nullptr;  // as output.data
};

// Outputs and inputs stay allocated as long as `memory`.
struct Contest {
  std::vector<Contender> contenders;  // by the names given to choose(), in their order
  std::vector<ContestOutput> outputs;
  // What the host knows of the outputs, from the inputs: each says, after a run, what is wrong with them, or
  // nothing.
  std::vector<std::function<std::string()>> measures;
  Examination examination;
  double operations = 0;
  std::vector<std::shared_ptr<ScratchMemory>> memory;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
