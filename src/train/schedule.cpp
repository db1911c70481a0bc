#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "dpll/core/check.h"
#include "dpll/core/philox.h"

namespace dpll {
namespace {

bool decays_after(const RunConfig& config) {
  if (config.optimiser.lr_decay != LrDecay::preset) return config.optimiser.lr_decay == LrDecay::after;
  const Method method = method_of(config);
  const Plcr* plcr = std::get_if<Plcr>(&method);
  return plcr != nullptr && plcr->variant == ObjectiveVariant::article;
}

}  // namespace

double learning_rate(const RunConfig& config, int epoch, std::int64_t step, std::int64_t steps_per_epoch) {
  const RunConfig::Optimiser& o = config.optimiser;
  const std::int64_t warmup = o.warmup_epochs * steps_per_epoch;
  if (step < warmup) return o.lr * static_cast<double>(step + 1) / static_cast<double>(warmup);
  switch (o.schedule) {
    case ScheduleKind::constant:
      return o.lr;
    case ScheduleKind::step: {
      const bool after = decays_after(config);
      const auto passed = std::count_if(o.lr_decay_epochs.begin(), o.lr_decay_epochs.end(),
                                        [&](int decay) { return after ? epoch > decay : epoch >= decay; });
      return o.lr * std::pow(o.lr_decay_factor, static_cast<double>(passed));
    }
    case ScheduleKind::cosine: {
      const std::int64_t total = config.run.epochs * steps_per_epoch - warmup;
      const double t =
          static_cast<double>(step - warmup) / static_cast<double>(std::max<std::int64_t>(total, 1));
      return o.lr_min + 0.5 * (o.lr - o.lr_min) * (1 + std::cos(std::numbers::pi * t));
    }
  }
  fail(ExitCode::internal, "unknown schedule");
}

std::vector<StepPlan> plans_of_epoch(const RunConfig& config, int epoch, std::int64_t steps,
                                     double rate_factor) {
  const Method method = method_of(config);
  std::vector<StepPlan> plans(static_cast<std::size_t>(steps));
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t step = epoch * steps + i;
    StepPlan& plan = plans[static_cast<std::size_t>(i)];
    plan.learning_rate = static_cast<float>(rate_factor * learning_rate(config, epoch, step, steps));
    const auto scalars = scalars_of(method, {epoch, step, steps});
    std::transform(scalars.begin(), scalars.end(), plan.scalars,
                   [](double x) { return static_cast<float>(x); });
  }
  return plans;
}

double method_scalar(const RunConfig& config, const std::string& name, const Moment& moment) {
  const Method method = method_of(config);
  const MethodFacts facts = facts_of(method);
  for (std::size_t i = 0; i < facts.scalar_names.size(); ++i) {
    if (facts.scalar_names[i] != nullptr && name == facts.scalar_names[i])
      return scalars_of(method, moment)[i];
  }
  return std::nan("");
}

std::vector<std::int32_t> sample_order(std::int64_t count, bool shuffle, std::uint64_t seed, int epoch) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  if (!shuffle) return order;
  for (std::size_t i = order.size(); i-- > 1;) {
    PhiloxStream draw(seed, Purpose::shuffle, static_cast<std::uint32_t>(epoch),
                      static_cast<std::uint32_t>(i), 0);
    std::swap(order[i], order[draw.next_below(static_cast<std::uint32_t>(i + 1))]);
  }
  return order;
}

}  // namespace dpll
