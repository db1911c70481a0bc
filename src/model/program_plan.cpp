#include "model/program_plan.h"

#include <algorithm>

namespace dpll {

ProgramPlan::ProgramPlan(Backend& backend_, ModelState& state_, const LayerList& layers_,
                         const ProgramSpec& spec_)
    : backend(backend_),
      state(state_),
      layers(layers_),
      spec(spec_),
      places_(static_cast<std::size_t>(layers_.activations())) {
  write(LayerList::images());
}

Shape ProgramPlan::shape_of(Activation a) const {
  const ActivationSpec& s = layers[a];
  if (s.flat) return {rows(), s.stored};
  return {rows(), s.height, s.width, s.stored};
}

int ProgramPlan::new_storage(const std::string& name, DType dtype, Tensor* tensor, const Shape& shape) {
  *tensor = Tensor{nullptr, dtype, shape};
  storages_.push_back({.name = name, .dtype = dtype, .tensors = {tensor}});
  return static_cast<int>(storages_.size()) - 1;
}

void ProgramPlan::touch(int storage, int tick) {
  DPLL_CHECK(storage >= 0, "a layer reads what none before it has written");
  Storage& s = storages_[static_cast<std::size_t>(storage)];
  s.first = std::min(s.first, tick);
  s.last = std::max(s.last, tick);
}

const Tensor& ProgramPlan::read(Activation a, Keep keep) {
  touch(place(a).value_storage, forward_tick(layer_));
  if (train() && keep != Keep::no) touch(place(a).value_storage, last_tick(layer_, keep));
  return place(a).value;
}

const Tensor& ProgramPlan::read_statistics(Activation a) {
  if (train()) {
    touch(place(a).statistics_storage, forward_tick(layer_));
    touch(place(a).statistics_storage, backward_tick(layer_));
  }
  return place(a).statistics;
}

const Tensor& ProgramPlan::write(Activation a) {
  Place& p = place(a);
  const Activation over = layers[a].over;
  if (over.defined()) {
    p.value_storage = place(over).value_storage;
    p.value = Tensor{nullptr, backend.compute_dtype(), shape_of(a)};
    storages_[static_cast<std::size_t>(p.value_storage)].tensors.push_back(&p.value);
  } else {
    p.value_storage = new_storage(layers[a].name, backend.compute_dtype(), &p.value, shape_of(a));
  }
  touch(p.value_storage, forward_tick(layer_));
  return p.value;
}

const Tensor& ProgramPlan::write_statistics(Activation a) {
  Place& p = place(a);
  if (wants_statistics(a)) {
    p.statistics_storage = new_storage(layers[a].name + " statistics", backend.master_dtype(), &p.statistics,
                                       view_stats_shape(spec.views, layers[a].stored));
    touch(p.statistics_storage, forward_tick(layer_));
  }
  return p.statistics;
}

void* const& ProgramPlan::save(std::size_t bytes, Keep keep) {
  saved_.push_back({layers.layer(layer_).name() + " saved", layer_, bytes, keep});
  return saved_.back().pointer;
}

void* const& ProgramPlan::need_workspace(std::size_t bytes) {
  workspace_bytes_ = std::max(workspace_bytes_, bytes);
  return workspace_;
}

void* const& ProgramPlan::need_side_workspace(std::size_t bytes) {
  if (backend.side_layers() > 0) side_workspace_bytes_ = std::max(side_workspace_bytes_, bytes);
  return side_workspace_;
}

const Tensor& ProgramPlan::read_gradient(Activation written, Keep keep) {
  if (train()) {
    backward_.push_back(
        {.kind = BackwardUse::Kind::read, .layer = layer_, .a = written, .over = {}, .keep = keep});
  }
  return place(written).gradient;
}

const Gradient& ProgramPlan::give_gradient(Activation a, Adds adds) {
  gradients_.push_back({.tensor = &place(a).gradient});
  if (wants_gradient(a)) {
    backward_.push_back({.kind = BackwardUse::Kind::give,
                         .layer = layer_,
                         .a = a,
                         .over = {},
                         .adds = adds,
                         .gradient = &gradients_.back()});
  }
  return gradients_.back();
}

const Gradient& ProgramPlan::give_gradient_over(Activation a, Activation written) {
  gradients_.push_back({.tensor = &place(a).gradient});
  if (wants_gradient(a)) {
    backward_.push_back({.kind = BackwardUse::Kind::give_over,
                         .layer = layer_,
                         .a = a,
                         .over = written,
                         .gradient = &gradients_.back()});
  }
  return gradients_.back();
}

// In the order of the backward pass, which is that of the layers reversed.
void ProgramPlan::plan_backward(Activation logits) {
  const auto new_gradient = [&](Activation a) {
    Place& p = place(a);
    p.gradient_storage =
        new_storage("d_" + layers[a].name, backend.compute_dtype(), &p.gradient, shape_of(a));
  };
  new_gradient(logits);
  touch(place(logits).gradient_storage, objective_tick());
  std::stable_sort(backward_.begin(), backward_.end(),
                   [](const BackwardUse& a, const BackwardUse& b) { return a.layer > b.layer; });
  for (const BackwardUse& use : backward_) {
    Place& p = place(use.a);
    const std::string& name = layers[use.a].name;
    if (use.kind == BackwardUse::Kind::read) {
      DPLL_CHECK(p.gradient_storage >= 0, "no layer reads {}", name);
    } else if (p.gradient_storage >= 0) {
      DPLL_CHECK(use.adds == Adds::possibly, "{} cannot add to the gradient of {}",
                 layers.layer(use.layer).name(), name);
      use.gradient->accumulate = Accumulate::yes;
    } else if (use.kind == BackwardUse::Kind::give) {
      new_gradient(use.a);
    } else {
      p.gradient_storage = place(use.over).gradient_storage;
      DPLL_CHECK(p.gradient_storage >= 0, "no layer reads {}", layers[use.over].name);
      p.gradient = Tensor{nullptr, backend.compute_dtype(), shape_of(use.a)};
      storages_[static_cast<std::size_t>(p.gradient_storage)].tensors.push_back(&p.gradient);
    }
    touch(p.gradient_storage, last_tick(use.layer, use.keep));
    if (use.keep == Keep::for_side) side_reads_.push_back({p.gradient_storage, use.layer});
  }
}

int ProgramPlan::done_before(int layer) const {
  const int other = layer + backend.side_layers() + 1;
  return train() && other < layers.count() ? other : -1;
}

int ProgramPlan::done_before_gradients(int layer) const {
  int last = -1;
  for (const BackwardUse& use : backward_) {
    if (use.layer != layer || use.kind == BackwardUse::Kind::read) continue;
    for (const SideRead& read : side_reads_) {
      if (read.storage == place(use.a).gradient_storage && read.layer > layer &&
          (last < 0 || read.layer < last)) {
        last = read.layer;
      }
    }
  }
  return last;
}

void ProgramPlan::finish(MemoryPlanner& planner, Activation logits) {
  touch(place(logits).value_storage, objective_tick());
  if (train()) plan_backward(logits);
  for (const Storage& s : storages_) {
    Tensor* const first = s.tensors.front();
    planner.add(first, s.dtype, first->shape, {s.first, s.last}, s.name);
    for (std::size_t i = 1; i < s.tensors.size(); ++i) {
      planner.share(s.tensors[i], s.dtype, s.tensors[i]->shape, first);
    }
  }
  for (Saved& s : saved_) {
    const int last = train() ? last_tick(s.layer, s.keep) : forward_tick(s.layer);
    planner.add(&s.pointer, s.bytes, {forward_tick(s.layer), last}, s.name);
  }
  planner.add(&workspace_, workspace_bytes_, {0, backward_tick(0)}, "workspace");
  planner.add(&side_workspace_, side_workspace_bytes_, {0, last_tick(0, Keep::for_side)}, "side workspace");
}

}  // namespace dpll
