// Evaluation of a network on a split: loss, accuracy and, on request, the prediction for every sample.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "dpll/data.h"
#include "dpll/model/network.h"
#include "dpll/views.h"
#include "train/sample_store.h"

namespace dpll {

struct EvaluationResult {
  std::int64_t samples = 0;  // with a known label
  double loss = 0;           // mean cross entropy over them; NaN when there are none
  double accuracy = 0;       // share of them whose argmax is a true label; NaN when there are none
  std::vector<std::int32_t> predictions;  // every sample's argmax
  std::vector<float> confidences;         // and its probability
  std::vector<float> logits;              // [samples of the split, classes], on request
};

class Evaluator {
 public:
  // Copies the samples to the backend. A pass has `batch` images; the last one may have fewer. Mode::eval
  // uses the running statistics of the network; Mode::train uses those of each pass and updates the running
  // ones. With ranks, only Mode::eval: each takes its share of the samples, and run() and diagnose() are
  // collective.
  Evaluator(Backend& backend, Network& network, const ViewSetup& views, const ImageSet& images, int batch,
            Mode mode = Mode::eval, Ranks* ranks = nullptr);

  std::size_t arena_bytes() const { return arena_bytes_; }
  void attach(void* arena);  // may be shared with programs that do not run at the same time
  enum class Logits { leave, keep };
  // Throws Stopped between two passes if a stop is requested (train/signals.h).
  EvaluationResult run(Logits logits = Logits::leave);
  // After a run whose loss was not finite: repeats the computation and names the first tensor that is not
  // finite among parameters, running statistics and logits (with the sample).
  std::string diagnose();

 private:
  // images: of this rank.
  Evaluator(Backend& backend, Network& network, const ViewSetup& views, const ImageSet& images,
            const ImageSet& all, int batch, Mode mode, Ranks* ranks);
  struct Batch {
    std::unique_ptr<Program> program;
    std::unique_ptr<ViewMaker> normalise;
    std::function<void()> recorded;
  };
  void make_batch(Batch& batch, int size, const ViewSetup& views);
  void run_operations(Batch& batch);
  void score_several_truths(EvaluationResult& result) const;
  void append_logits(Batch& batch, std::vector<float>& logits) const;
  // This rank's result becomes that of all.
  void gather(EvaluationResult& result, EvaluationSums& sums) const;

  Backend& backend_;
  Network& network_;
  Mode mode_;
  Ranks* ranks_;
  std::int64_t count_ = 0;  // of this rank
  std::int64_t all_ = 0;    // of the split
  bool counted_ = true;     // false: there are fewer samples than ranks, and another rank counts this one's
  std::vector<std::uint8_t> truths_;  // of ImageSet
  int batch_size_ = 0;
  std::size_t arena_bytes_ = 0;
  SampleStore store_;
  Buffer labels_buffer_, predictions_buffer_, confidences_buffer_, scalars_buffer_;
  Tensor labels_, predictions_, confidences_;
  StepState* state_ = nullptr;
  EvaluationSums* sums_ = nullptr;
  Batch full_, partial_;
};

}  // namespace dpll
