// Where the tensors of a Program lie. Each layer in turn says what it reads, writes and keeps; from that
// order follow the lifetimes. Layer i of n runs forward at tick 1 + i and backward at tick 2n + 1 - i, the
// objective at tick n + 1 between them; the images are written at tick 0.
//
// All references that are returned stay valid. The tensors have their types and shapes when finish() returns
// and their memory when the planner has bound them.
#pragma once

#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "dpll/model/network.h"
#include "model/layers.h"

namespace dpll {

// The gradient of an activation that several layers read is the sum of what they give: the one whose backward
// pass runs first writes it, the others add to it.
struct Gradient {
  Tensor* tensor = nullptr;
  Accumulate accumulate = Accumulate::no;
  const Tensor& operator*() const { return *tensor; }
};

class ProgramPlan {
 public:
  ProgramPlan(Backend& backend, ModelState& state, const LayerList& layers, const ProgramSpec& spec);

  Backend& backend;
  ModelState& state;
  const LayerList& layers;
  const ProgramSpec spec;
  bool train() const { return spec.mode == Mode::train; }
  int rows() const { return spec.views * spec.batch; }

  void begin_layer(int index) { layer_ = index; }

  // ---- of the layer that is being made: forward
  // for_side: backward reads it in the second queue (SideQueue), until so many layers later as that may lag.
  enum class Keep { no, for_backward, for_side };
  const Tensor& read(Activation a, Keep keep);
  const Tensor& read_statistics(Activation a);   // in training, kept for backward; else undefined
  const Tensor& write(Activation a);             // where the layer list says so: over what it has read
  const Tensor& write_statistics(Activation a);  // undefined where no layer asks for them, and in evaluation
  bool wants_statistics(Activation a) const { return train() && layers[a].normalised; }
  void* const& save(std::size_t bytes, Keep keep);  // from its forward to its backward pass
  void* const& need_workspace(std::size_t bytes);
  void* const& need_side_workspace(std::size_t bytes);  // null where the backend has no second queue

  // ---- backward; undefined in evaluation
  bool wants_gradient(Activation a) const { return train() && a.index != LayerList::kImages; }
  const Tensor& read_gradient(Activation written, Keep keep = Keep::for_backward);
  enum class Adds { never, possibly };  // whether the layer can add to a gradient that is there already
  const Gradient& give_gradient(Activation a, Adds adds);
  // In the memory of the gradient of `written`: the layer overwrites that, or leaves it as it is.
  const Gradient& give_gradient_over(Activation a, Activation written);

  // The layer whose work in the second queue must be done before the backward pass of `layer` begins, because
  // memory that it reads may be used again from here on, and the one that must be done before `layer` writes
  // the gradients of its input, because it reads what lies there; -1: none.
  int done_before(int layer) const;
  int done_before_gradients(int layer) const;

  // Registers everything with the planner. The objective reads `logits` and writes their gradient.
  void finish(MemoryPlanner& planner, Activation logits);

  void set_images(void* data) { set_value(LayerList::images(), data); }
  void set_value(Activation a, void* data) { place(a).value.data = data; }
  const Tensor& value(Activation a) const { return place(a).value; }
  const Tensor& gradient(Activation a) const { return place(a).gradient; }

 private:
  struct Storage {  // memory that one or more tensors share
    std::string name;
    DType dtype = DType::f32;
    int first = std::numeric_limits<int>::max(), last = std::numeric_limits<int>::min();  // ticks
    std::vector<Tensor*> tensors;                                                         // with their shapes
  };
  struct Place {
    Tensor value, statistics, gradient;
    int value_storage = -1, statistics_storage = -1, gradient_storage = -1;
  };
  struct BackwardUse {
    enum class Kind { read, give, give_over };
    Kind kind;
    int layer;
    Activation a, over;
    Adds adds = Adds::never;
    Keep keep = Keep::for_backward;
    Gradient* gradient = nullptr;
  };
  struct Saved {
    std::string name;
    int layer;
    std::size_t bytes;
    Keep keep;
    void* pointer = nullptr;
  };

  Place& place(Activation a) { return places_[static_cast<std::size_t>(a.index)]; }
  const Place& place(Activation a) const { return places_[static_cast<std::size_t>(a.index)]; }
  Shape shape_of(Activation a) const;
  int new_storage(const std::string& name, DType dtype, Tensor* tensor, const Shape& shape);
  void touch(int storage, int tick);
  int forward_tick(int layer) const { return 1 + layer; }
  int objective_tick() const { return layers.count() + 1; }
  int backward_tick(int layer) const { return 2 * layers.count() + 1 - layer; }
  // The last tick at which backward reads what it keeps.
  int last_tick(int layer, Keep keep) const {
    return backward_tick(layer) + (keep == Keep::for_side ? backend.side_layers() : 0);
  }
  void plan_backward(Activation logits);

  int layer_ = -1;
  std::vector<Place> places_;
  std::vector<Storage> storages_;
  std::vector<BackwardUse> backward_;
  std::deque<Gradient> gradients_;
  std::deque<Saved> saved_;
  std::size_t workspace_bytes_ = 0, side_workspace_bytes_ = 0;
  void *workspace_ = nullptr, *side_workspace_ = nullptr;
  struct SideRead {
    int storage, layer;
  };
  std::vector<SideRead> side_reads_;
};

}  // namespace dpll
