// One training step, from sample indices to updated weights, and its data. run_operations() in
// training_step.cpp shows the way of a batch. The constructor allocates everything and attach() records it; a
// step is then one replay, without copies, allocations or waiting.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/data.h"
#include "dpll/model/network.h"
#include "dpll/views.h"
#include "train/gradient_sums.h"
#include "train/sample_store.h"

namespace dpll {

class TrainingStep {
 public:
  // Copies samples, labels and candidates to the backend and starts the targets at the candidates' weights or
  // at S / |S|, the rows that the method keeps besides as it says. With ranks, each step is one of all ranks
  // together: of each batch this one takes its share. Functions that say so are then collective.
  TrainingStep(Backend& backend, Network& network, const RunConfig& config, const ViewSetup& views,
               const DataSet& data, const CandidateSets& candidates, Ranks* ranks = nullptr);

  std::int64_t samples() const { return samples_; }
  int ranks() const { return ranks_ != nullptr ? ranks_->size() : 1; }
  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  // The bytes of the arena for attach(); the arena may be shared with programs that run between steps.
  std::size_t arena_bytes() const { return arena_bytes_; }
  void attach(void* arena);

  // Sets the order of the samples for the following steps, one entry per sample.
  void set_order(const std::vector<std::int32_t>& order);
  // The following steps are those of `epoch` (0-based) from `first_step` on. plans: for all steps of the
  // epoch.
  void begin_epoch(int epoch, std::int64_t first_step, const std::vector<StepPlan>& plans);
  // Enqueues the next step. The update is skipped when a gradient is not finite; see ops/sgd.h.
  void enqueue();
  // begin_epoch() and enqueue() for a single step.
  void run(int epoch, std::int64_t step_in_epoch, const StepPlan& plan);

  // The records of steps. request_records() starts to copy the records of the steps enqueued since the last
  // request to the host; at most two requests may be open. collect_records() waits for the oldest.
  void request_records();
  int requests() const { return static_cast<int>(requests_.size()); }
  std::vector<StepRecord> collect_records();  // collective; of all ranks

  // All of these functions wait for the enqueued steps.
  ObjectiveMetrics last_metrics() const;   // of the last step; collective
  ObjectiveMetrics total_metrics() const;  // since set_total_metrics(); with ranks, as gather() has found it
  void set_total_metrics(const ObjectiveMetrics& metrics);
  UpdateHealth health() const;
  float loss_scale() const;
  void restore_loss_scale(float loss_scale, std::uint32_t good_steps);
  void restore_updates(std::uint64_t updates);  // UpdateHealth::updates

  // Collective: brings what other ranks have made since the last call, or since the epoch began, to this one:
  // rows, sums of metrics and, where batch norm is each rank's own, rank 0's running statistics. `steps`: of
  // the epoch, that are done. Nothing where nothing has been done since.
  void gather(std::int64_t steps);
  // The target table [samples, classes], float32; of other ranks' samples as gather() has left it.
  std::vector<float> targets() const;
  void set_targets(const std::vector<float>& targets);
  // The rows that the method keeps besides [samples, kept_rows, classes], float32; empty: it keeps none.
  std::vector<float> kept() const;
  void set_kept(const std::vector<float>& kept);
  int kept_rows() const { return kept_rows_; }
  // Targets, kept rows, candidate sets, sums, health and loss scale as they were before the first step.
  void restart();
  // As the method has changed them.
  CandidateSets candidates() const;
  void set_candidates(const CandidateSets& candidates);
  // Null: the method has none.
  EpochHook* hook() { return hook_.get(); }
  const EpochHook* hook() const { return hook_.get(); }
  // What the method does with the whole table when epoch `epoch` (0-based) has ended.
  void end_epoch(int epoch);
  // Of a sum over the epoch's samples and of the hook: what the method measures besides, by name.
  std::vector<std::pair<std::string, double>> method_figures(const ObjectiveMetrics& sums) const;

  // The phases of a full batch's step in order (augment, forward, objective, backward, update), for
  // benchmarks: run() is their sequence.
  std::vector<std::pair<std::string, std::function<void()>>> phases();

  // The program of a full batch; after each phase its tensors have the documented contents.
  const Program& full_program() const { return *full_.program; }

  // The first rank that had a sample, an activation or a gradient which was not finite, the last two as
  // diagnose() has found; -1: none, all, or this process is alone.
  int failing_rank() const { return failing_rank_; }
  // Data-set rows of a step's batch.
  std::vector<std::int64_t> batch_samples(std::int64_t step_in_epoch) const;
  // After a step whose health or metrics were not finite: runs its passes again and names the first tensor
  // that is not finite, and where. Collective.
  std::string diagnose(std::int64_t step_in_epoch);
  // After such a step, before a checkpoint is restored: waits for the steps enqueued after it, and allows
  // steps to change parameters again.
  void forget_failure();

 private:
  // The step for one batch size: a full batch, or the partial one at the end of an epoch.
  struct Batch {
    int total = 0;  // samples on all ranks
    int begin = 0;  // of them, where this rank's begin
    std::unique_ptr<Program> program, teacher;
    std::unique_ptr<GradientSums> sums;  // with ranks
    std::unique_ptr<ViewMaker> augment;
    std::unique_ptr<PllObjective> objective;
    void* objective_workspace = nullptr;
    // Of each buffer of images, and of what the step makes the views of besides its own.
    std::map<std::pair<int, const Batch*>, std::function<void()>> recorded;
  };
  void make_batch(Batch& batch, int size, const ViewSetup& views);
  void augment(Batch& batch, int ahead = 0, bool beside = false);
  void objective(Batch& batch, ObjectivePart part = ObjectivePart::all, bool adds = false);
  // The teacher's forward pass, if there is one, and that of the network.
  void forward(Batch& batch);
  void backward(Batch& batch);
  // Rows, loss and gradient; and what comes after the update of the weights.
  void rows_and_loss(Batch& batch);
  void rows_after(Batch& batch);
  void update();
  bool name_failing_rank(bool own);
  // `next`: the batch that the views are made of beside this one, or null.
  void run_operations(Batch& batch, Batch* next);
  void record(Batch& batch, Batch* next);
  // Where the views of this step lie, or of the next one.
  void use_images(Batch& batch, int buffer);
  Batch& batch_of(std::int64_t step_in_epoch);
  BatchRows rows(const Batch& batch) const;
  ObjectiveMetrics of_all_ranks(const ObjectiveMetrics& own) const;
  StepState state() const;
  void set_state(const StepState& state);

  Backend& backend_;
  Network& network_;
  Ranks* ranks_;
  bool global_norm_;
  std::int64_t gathered_ = 0;  // steps of the epoch that gather() has seen
  ObjectiveMetrics gathered_total_;
  int failing_rank_ = -1;
  std::int64_t samples_ = 0, steps_per_epoch_ = 0;
  int batch_size_ = 0, last_batch_size_ = 0, views_ = 0, classes_ = 0;
  std::uint64_t seed_ = 0;
  std::size_t arena_bytes_ = 0;
  std::vector<std::int32_t> order_on_host_;

  SampleStore store_;
  Method method_;
  int kept_rows_ = 0;
  CandidateSets first_candidates_;  // of the run
  std::unique_ptr<EpochHook> hook_;

  Buffer labels_buffer_, candidates_buffer_, targets_buffer_, kept_buffer_, class_values_buffer_,
      order_buffer_, scalars_buffer_;
  Tensor labels_, candidates_, targets_, kept_, class_values_, order_;
  // The scalars of a step, together in one buffer.
  StepState* state_ = nullptr;
  ObjectiveMetrics* last_ = nullptr;
  ObjectiveMetrics* total_ = nullptr;
  UpdateHealth* health_ = nullptr;
  // Tables over the steps of an epoch.
  Buffer records_buffer_, plans_buffer_;
  StepRecord* records_ = nullptr;
  StepPlan* plans_ = nullptr;

  std::int64_t position_ = 0;   // of the next step to enqueue
  std::int64_t requested_ = 0;  // records of the steps before it have been requested
  struct Request {
    std::int64_t count;
    std::size_t slot;
  };
  std::deque<Request> requests_;
  std::array<std::unique_ptr<Readback>, 2> readbacks_;
  std::size_t next_slot_ = 0;

  RowUpdate row_update_;
  Buffer teacher_logits_;  // of the larger batch
  Batch full_, partial_;
  // Where the backend has a second queue, a step makes the views of the next one beside its own work, and the
  // images of the two take turns in two buffers. The first step of an epoch makes its own before it begins.
  // Else there is a buffer where two forward passes read the images, and none where they lie in the arena.
  Buffer image_buffers_[2];
  bool looks_ahead() const { return image_buffers_[1].data() != nullptr; }
  int image_buffer_ = 0;    // of the next step
  bool has_views_ = false;  // the next step's are made
  std::unique_ptr<Sgd> sgd_;
};

}  // namespace dpll
