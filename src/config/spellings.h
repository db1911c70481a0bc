// The INI spelling of every enumeration of RunConfig: one table each, used to parse, to print and to list
// what is allowed.
#pragma once

#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/core/check.h"

namespace dpll {

template <typename Enum>
struct Spelling {
  Enum value;
  const char* text;
};

template <typename Enum>
const std::vector<Spelling<Enum>>& spellings();

template <>
inline const std::vector<Spelling<DeviceChoice>>& spellings() {
  static const std::vector<Spelling<DeviceChoice>> table = {{DeviceChoice::automatic, "auto"},
                                                            {DeviceChoice::cpu, "cpu"},
                                                            {DeviceChoice::cuda, "cuda"},
                                                            {DeviceChoice::check, "check"}};
  return table;
}

template <>
inline const std::vector<Spelling<Precision>>& spellings() {
  static const std::vector<Spelling<Precision>> table = {{Precision::automatic, "auto"},
                                                         {Precision::f32, "f32"},
                                                         {Precision::tf32, "tf32"},
                                                         {Precision::f16, "f16"},
                                                         {Precision::bf16, "bf16"}};
  return table;
}

template <>
inline const std::vector<Spelling<ResumeMode>>& spellings() {
  static const std::vector<Spelling<ResumeMode>> table = {
      {ResumeMode::never, "no"}, {ResumeMode::automatic, "auto"}, {ResumeMode::require, "yes"}};
  return table;
}

template <>
inline const std::vector<Spelling<BatchNormScope>>& spellings() {
  static const std::vector<Spelling<BatchNormScope>> table = {{BatchNormScope::global, "global"},
                                                              {BatchNormScope::local, "local"}};
  return table;
}

template <>
inline const std::vector<Spelling<RowUpdate>>& spellings() {
  static const std::vector<Spelling<RowUpdate>> table = {
      {RowUpdate::same, "same"}, {RowUpdate::before, "before"}, {RowUpdate::after, "after"}};
  return table;
}

template <>
inline const std::vector<Spelling<CandidateMode>>& spellings() {
  static const std::vector<Spelling<CandidateMode>> table = {
      {CandidateMode::uniform, "uniform"},   {CandidateMode::class_dependent, "class_dependent"},
      {CandidateMode::pair, "pair"},         {CandidateMode::hierarchical, "hierarchical"},
      {CandidateMode::instance, "instance"}, {CandidateMode::file, "file"},
      {CandidateMode::dataset, "dataset"}};
  return table;
}

template <>
inline const std::vector<Spelling<MatrixKind>>& spellings() {
  static const std::vector<Spelling<MatrixKind>> table = {{MatrixKind::inclusion, "inclusion"},
                                                          {MatrixKind::distractor, "distractor"}};
  return table;
}

template <>
inline const std::vector<Spelling<ViewPolicy>>& spellings() {
  static const std::vector<Spelling<ViewPolicy>> table = {{ViewPolicy::none, "none"},
                                                          {ViewPolicy::flip_crop, "flip_crop"},
                                                          {ViewPolicy::cutout, "cutout"},
                                                          {ViewPolicy::flip_crop_cutout, "flip_crop_cutout"}};
  return table;
}

template <>
inline const std::vector<Spelling<AugmentPolicy>>& spellings() {
  static const std::vector<Spelling<AugmentPolicy>> table = {
      {AugmentPolicy::none, "none"},
      {AugmentPolicy::plcr_cifar, "plcr_cifar"},
      {AugmentPolicy::svhn, "svhn"},
      {AugmentPolicy::autoaugment_cifar, "autoaugment_cifar"},
      {AugmentPolicy::randaugment, "randaugment"}};
  return table;
}

template <>
inline const std::vector<Spelling<CropKind>>& spellings() {
  static const std::vector<Spelling<CropKind>> table = {{CropKind::shifted, "shifted"},
                                                        {CropKind::resized, "resized"}};
  return table;
}

template <>
inline const std::vector<Spelling<CropPadding>>& spellings() {
  static const std::vector<Spelling<CropPadding>> table = {{CropPadding::reflect, "reflect"},
                                                           {CropPadding::zero, "zero"}};
  return table;
}

template <>
inline const std::vector<Spelling<Architecture>>& spellings() {
  static const std::vector<Spelling<Architecture>> table = {
      {Architecture::wide_resnet, "wide_resnet"},
      {Architecture::resnet, "resnet"},
      {Architecture::resnet18, "resnet18"},
      {Architecture::preact_resnet18, "preact_resnet18"},
      {Architecture::lenet, "lenet"},
      {Architecture::mlp, "mlp"}};
  return table;
}

template <>
inline const std::vector<Spelling<ShortcutKind>>& spellings() {
  static const std::vector<Spelling<ShortcutKind>> table = {{ShortcutKind::projection, "projection"},
                                                            {ShortcutKind::identity, "identity"}};
  return table;
}

template <>
inline const std::vector<Spelling<InitMatch>>& spellings() {
  static const std::vector<Spelling<InitMatch>> table = {{InitMatch::strict, "strict"},
                                                         {InitMatch::names, "names"}};
  return table;
}

template <>
inline const std::vector<Spelling<ObjectiveVariant>>& spellings() {
  static const std::vector<Spelling<ObjectiveVariant>> table = {{ObjectiveVariant::article, "article"},
                                                                {ObjectiveVariant::published, "published"}};
  return table;
}

template <>
inline const std::vector<Spelling<RampUnit>>& spellings() {
  static const std::vector<Spelling<RampUnit>> table = {{RampUnit::epoch, "epoch"}, {RampUnit::step, "step"}};
  return table;
}

template <>
inline const std::vector<Spelling<ScheduleKind>>& spellings() {
  static const std::vector<Spelling<ScheduleKind>> table = {
      {ScheduleKind::step, "step"}, {ScheduleKind::cosine, "cosine"}, {ScheduleKind::constant, "constant"}};
  return table;
}

template <>
inline const std::vector<Spelling<OptimiserKind>>& spellings() {
  static const std::vector<Spelling<OptimiserKind>> table = {
      {OptimiserKind::sgd, "sgd"}, {OptimiserKind::adam, "adam"}, {OptimiserKind::adamw, "adamw"}};
  return table;
}

template <>
inline const std::vector<Spelling<LrDecay>>& spellings() {
  static const std::vector<Spelling<LrDecay>> table = {
      {LrDecay::before, "before"}, {LrDecay::after, "after"}, {LrDecay::preset, "preset"}};
  return table;
}

template <>
inline const std::vector<Spelling<OnNonfinite>>& spellings() {
  static const std::vector<Spelling<OnNonfinite>> table = {{OnNonfinite::stop, "stop"},
                                                           {OnNonfinite::rollback, "rollback"}};
  return table;
}

template <>
inline const std::vector<Spelling<SelectionRule>>& spellings() {
  static const std::vector<Spelling<SelectionRule>> table = {
      {SelectionRule::covering_rate, "covering_rate"},
      {SelectionRule::approximated_accuracy, "approximated_accuracy"}};
  return table;
}

template <typename Enum>
std::string spell(Enum value) {
  for (const Spelling<Enum>& spelling : spellings<Enum>()) {
    if (spelling.value == value) return spelling.text;
  }
  fail(ExitCode::internal, "an enumeration holds the value {} that has no spelling", static_cast<int>(value));
}

}  // namespace dpll
