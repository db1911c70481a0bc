#include "check/operation_check.h"

#include <algorithm>
#include <type_traits>

#include "backend/host_copy.h"

namespace dpll::check {
namespace {

template <typename Call>
concept HasRows = requires(Call call) {
  call.rows.step;
};
template <typename Call>
concept HasWeight = requires(Call call) {
  call.weight;
  call.x;
};
template <typename Call>
concept HasProjection = requires(Call call) {
  call.projection_weight;
};

}  // namespace

void LayerNames::begin(const char* name) {
  open_.emplace_back(name);
  if (before_ != nullptr) before_->begin(name);
}

void LayerNames::end() {
  open_.pop_back();
  if (before_ != nullptr) before_->end();
}

std::string LayerNames::current() const {
  std::string names;
  for (const std::string& name : open_) names += (names.empty() ? "" : " ") + name;
  return names;
}

OperationCheck::OperationCheck(Backend& device, Backend& cpu, Precision precision, const SgdCall& parameters,
                               const LayerNames& layers)
    : device_(device),
      cpu_(cpu),
      arithmetic_(arithmetic_of(device, precision)),
      parameters_(parameters),
      layers_(layers) {}

void OperationCheck::observe(const AnyCall& call) {
  std::visit([this](const auto& known) { check(known); }, call);
}

template <typename Spec, typename Call>
void OperationCheck::check(const OperationCall<Spec, Call>& call) {
  if constexpr (std::is_same_v<Call, CrossEntropyCall>) {
    call.run(call.call);  // only in evaluations, not in steps
  } else {
    Recording before = recorded(device_, call.call, [](Access access) { return access != Access::write; });
    CheckContext context{cpu_, arithmetic_, device_.conv_weight_layout(), {}, {}};
    if constexpr (HasRows<Call>) {
      if (call.call.rows.step != nullptr) context.rows = read_rows(device_, call.call.rows);
    }
    context.report = [&](const std::string& tensor, const Shape& shape, const Outcome& outcome) {
      const std::string place = layers_.current();
      add(fmt::format("{}{}{} {}", place, place.empty() ? "" : ": ", call.op, tensor), shape, outcome);
    };
    if constexpr (HasWeight<Call>) check_copies(context, before, "weight", call.call.weight);
    if constexpr (HasProjection<Call>) {
      check_copies(context, before, "projection_weight", call.call.projection_weight);
    }
    call.run(call.call);
    device_.synchronize();
    Recording after = recorded(device_, call.call, [](Access access) {
      return access == Access::write || access == Access::update;
    });
    if constexpr (std::is_same_v<Call, PllObjectiveCall>) {
      after.read(device_, "targets", call.call.targets);  // whose rows it changes
      if (call.call.kept.defined()) after.read(device_, "kept", call.call.kept);
    }
    check_call(context, RecordedCall<Spec, Call>{call.spec, before, after});
  }
}

void OperationCheck::check_copies(const CheckContext& context, const Recording& before,
                                  const std::string& name, const Tensor& weight) {
  const Tensor& copies = parameters_.weight;
  if (!copies.defined() || !weight.defined()) return;
  const auto* const first = static_cast<const std::byte*>(copies.data);
  const auto* const own = static_cast<const std::byte*>(weight.data);
  DPLL_CHECK(own >= first && own + weight.bytes() <= first + copies.bytes(), "{} is no copy of a parameter",
             name);
  const std::size_t offset = static_cast<std::size_t>(own - first) / size_of(copies.dtype);
  const Tensor master{
      static_cast<std::byte*>(parameters_.value.data) + offset * size_of(parameters_.value.dtype),
      parameters_.value.dtype, weight.shape};
  check_weight_copy(context, name + " that is read", weight.shape, before[name],
                    read_floats(device_, master));
}

void OperationCheck::add(const std::string& name, const Shape& shape, const Outcome& outcome) {
  const auto known =
      std::find_if(findings_.begin(), findings_.end(), [&](const Finding& f) { return f.name == name; });
  if (known == findings_.end()) {
    findings_.push_back({name, shape, step_, outcome});
  } else if (known->outcome.worst <= 1 && outcome.worst > known->outcome.worst) {
    // The first error beyond its bound is kept, because it may be the cause of all later ones.
    *known = {name, shape, step_, outcome};
  }
}

}  // namespace dpll::check
