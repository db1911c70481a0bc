#include "train/whole_step.h"

#include <algorithm>
#include <cmath>

#include "backend/host_copy.h"

namespace dpll {
namespace {

std::vector<float> divided(std::vector<float> values, float divisor) {
  for (float& value : values) value /= divisor;
  return values;
}

}  // namespace

void WholeStep::compare_views() {
  const Tensor &ours = ours_.step.full_program().images(), &theirs = theirs_.step.full_program().images();
  const int channels = ours_.network.input().channels;
  add("views", "images", read_channels(theirs_.backend, theirs, channels),
      read_channels(ours_.backend, ours, channels));
}

void WholeStep::compare_forward() {
  const Program &ours = ours_.step.full_program(), &theirs = theirs_.step.full_program();
  for (std::size_t i = 0; i < ours.activations().size(); ++i) {
    const Program::NamedTensor &mine = ours.activations()[i], &other = theirs.activations()[i];
    add("activations", mine.name, read_channels(theirs_.backend, *other.tensor, mine.channels),
        read_channels(ours_.backend, *mine.tensor, mine.channels));
  }
}

void WholeStep::compare_objective() {
  loss_scale_ = theirs_.step.loss_scale();
  const auto losses = [](const ObjectiveMetrics& m) {
    return std::vector<float>{static_cast<float>(m.total), static_cast<float>(m.supervised),
                              static_cast<float>(m.consistency)};
  };
  add("losses", "total, supervised, consistency", losses(theirs_.step.last_metrics()),
      losses(ours_.step.last_metrics()));
  add("targets", "of all samples", theirs_.step.targets(), ours_.step.targets());
  add("gradient of the logits", "of all views",
      divided(read_floats(theirs_.backend, theirs_.step.full_program().d_logits()), loss_scale_),
      read_floats(ours_.backend, ours_.step.full_program().d_logits()));
}

void WholeStep::compare_parameters() {
  const ModelState &ours = ours_.network.state(), &theirs = theirs_.network.state();
  for (int i = 0; i < ours.parameters(); ++i) {
    const std::string& name = ours.spec(i).name;
    add("gradients", name, divided(theirs.read(ModelState::Array::gradient, i), loss_scale_),
        ours.read(ModelState::Array::gradient, i));
    add("updated parameters", name, theirs.read(ModelState::Array::value, i),
        ours.read(ModelState::Array::value, i));
  }
}

void WholeStep::add(const std::string& kind, const std::string& tensor, const std::vector<float>& got,
                    const std::vector<float>& want) {
  DPLL_CHECK(got.size() == want.size(), "{} has {} values and {}", tensor, got.size(), want.size());
  double length = 0, difference = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double apart = static_cast<double>(got[i]) - static_cast<double>(want[i]);
    length += static_cast<double>(want[i]) * static_cast<double>(want[i]);
    difference += apart * apart;
  }
  const double relative = difference == 0 ? 0 : std::sqrt(difference / length);
  const double distance = std::isfinite(relative) ? relative : HUGE_VAL;  // NaN is the largest
  const auto known =
      std::find_if(kinds_.begin(), kinds_.end(), [&](const Kind& k) { return k.name == kind; });
  if (known == kinds_.end()) {
    kinds_.push_back({kind, tensor, distance, step_});
  } else if (distance > known->distance) {
    *known = {kind, tensor, distance, step_};
  }
}

void WholeStep::print(const std::function<void(const std::string&)>& print) const {
  print(
      "distances of whole steps from the CPU's, which say how rounding grows on its way, not what is wrong:");
  for (const Kind& kind : kinds_) {
    print(fmt::format("  {:9.2e}  {}, at most: {}, step {}", kind.distance, kind.name, kind.worst,
                      kind.step + 1));
  }
}

}  // namespace dpll
