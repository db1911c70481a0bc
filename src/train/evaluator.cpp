#include "train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>

#include "backend/host_copy.h"
#include "data/split.h"
#include "dpll/core/trace.h"
#include "train/nonfinite.h"
#include "train/program_specs.h"
#include "train/signals.h"

namespace dpll {
namespace {

// The samples of this rank; at least one, so that it has a program.
class OwnShare {
 public:
  OwnShare(const ImageSet& all, const Ranks* ranks) : all_(all) {
    if (ranks == nullptr) return;
    const std::int64_t begin = share_begin(all.count, ranks->rank(), ranks->size()),
                       end = share_begin(all.count, ranks->rank() + 1, ranks->size());
    std::vector<std::int64_t> indices(static_cast<std::size_t>(std::max<std::int64_t>(end - begin, 1)));
    std::iota(indices.begin(), indices.end(), std::min(begin, all.count - 1));
    share_ = select(all, indices);
  }
  const ImageSet& images() const { return share_ ? *share_ : all_; }

 private:
  const ImageSet& all_;
  std::optional<ImageSet> share_;
};

// Those of all ranks, in rank order.
template <typename T>
void gather_values(Ranks& ranks, std::vector<T>& values) {
  const auto* const own = reinterpret_cast<const std::uint8_t*>(values.data());
  const auto all = ranks.all_gather(std::vector<std::uint8_t>(own, own + values.size() * sizeof(T)));
  values.clear();
  for (const std::vector<std::uint8_t>& bytes : all) {
    const std::size_t before = values.size();
    values.resize(before + bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(values.data() + before, bytes.data(), bytes.size());
  }
}

}  // namespace

Evaluator::Evaluator(Backend& backend, Network& network, const ViewSetup& views, const ImageSet& all,
                     int batch, Mode mode, Ranks* ranks)
    : Evaluator(backend, network, views, OwnShare(all, ranks).images(), all, batch, mode, ranks) {}

Evaluator::Evaluator(Backend& backend, Network& network, const ViewSetup& views, const ImageSet& images,
                     const ImageSet& all, int batch, Mode mode, Ranks* ranks)
    : backend_(backend),
      network_(network),
      mode_(mode),
      ranks_(ranks),
      count_(images.count),
      all_(all.count),
      truths_(all.truths),
      store_(backend, images, "the evaluation samples") {
  DPLL_CHECK(count_ > 0, "there is nothing to evaluate");
  DPLL_CHECK(ranks == nullptr || mode == Mode::eval, "statistics of a pass, on several ranks");
  if (ranks != nullptr) {
    counted_ =
        share_begin(all_, ranks->rank() + 1, ranks->size()) > share_begin(all_, ranks->rank(), ranks->size());
  }
  const std::size_t words = static_cast<std::size_t>(count_) * 4;
  if (images.has_labels()) {
    labels_buffer_ = backend_.allocate(words, "the evaluation labels");
    labels_ = labels_buffer_.tensor(DType::i32, {count_});
    backend_.copy_in(labels_, images.labels.data());
  }
  predictions_buffer_ = backend_.allocate(words, "the predictions");
  predictions_ = predictions_buffer_.tensor(DType::i32, {count_});
  confidences_buffer_ = backend_.allocate(words, "the confidences");
  confidences_ = confidences_buffer_.tensor(DType::f32, {count_});
  constexpr std::size_t kSlot = 256;
  scalars_buffer_ = backend_.allocate(2 * kSlot, "the evaluation's scalars");
  state_ = static_cast<StepState*>(scalars_buffer_.data());
  sums_ = reinterpret_cast<EvaluationSums*>(static_cast<std::byte*>(scalars_buffer_.data()) + kSlot);

  const std::vector<int> batches = evaluation_batches(count_, batch);
  batch_size_ = batches.front();
  make_batch(full_, batch_size_, views);
  if (batches.size() > 1) make_batch(partial_, batches.back(), views);
}

void Evaluator::make_batch(Batch& batch, int size, const ViewSetup& views) {
  batch.program = network_.make_program({mode_, 1, size});
  batch.normalise = store_.make_plain(views, *batch.program);
  arena_bytes_ = std::max(arena_bytes_, batch.program->plan().solve());
}

void Evaluator::attach(void* arena) {
  for (Batch* batch : {&full_, &partial_}) {
    if (batch->program == nullptr) continue;
    batch->program->plan().bind(arena);
    batch->recorded = backend_.record([this, batch] { run_operations(*batch); });
  }
}

void Evaluator::run_operations(Batch& batch) {
  const BatchRows rows{.step = state_, .order = {}};
  batch.normalise->run(batch.program->images(), rows);
  batch.program->forward(rows);
  backend_.cross_entropy({.sums = sums_,
                          .predictions = predictions_,
                          .confidences = confidences_,
                          .logits = batch.program->logits(),
                          .labels = labels_,
                          .rows = rows});
  backend_.advance({.step = state_, .batch = batch.program->spec().batch});
}

void Evaluator::append_logits(Batch& batch, std::vector<float>& logits) const {
  const std::vector<float> of_batch = read_floats(backend_, batch.program->logits());
  logits.insert(logits.end(), of_batch.begin(), of_batch.end());
}

std::string Evaluator::diagnose() {
  if (std::string found = nonfinite_parameter(network_.state()); !found.empty()) return found;
  if (std::string found = nonfinite_statistics(network_.state()); !found.empty()) return found;
  const std::vector<float> logits = run(Logits::keep).logits;
  const auto bad = std::find_if(logits.begin(), logits.end(), [](float x) { return !std::isfinite(x); });
  if (bad == logits.end()) return "the loss";
  const auto classes = static_cast<std::ptrdiff_t>(logits.size() / static_cast<std::size_t>(all_));
  return fmt::format("the logits of sample {} have {} for class {}", (bad - logits.begin()) / classes, *bad,
                     (bad - logits.begin()) % classes);
}

EvaluationResult Evaluator::run(Logits logits) {
  const trace::Range range("evaluation");
  const Tensor sums_bytes{sums_, DType::u8, {sizeof(EvaluationSums)}};
  const Tensor state_bytes{state_, DType::u8, {sizeof(StepState)}};
  backend_.fill_zero(sums_bytes);
  const StepState start;
  backend_.copy_in(state_bytes, &start);
  EvaluationResult result;
  // With an asynchronous backend only a few batches are enqueued at a time, so that the evaluation can be
  // stopped.
  constexpr std::int64_t kBatchesUnderWay = 16;
  std::int64_t batches = 0;
  for (std::int64_t first = 0; first < count_; first += batch_size_) {
    throw_if_stop_requested();
    Batch& batch = first + batch_size_ <= count_ ? full_ : partial_;
    batch.recorded();
    if (logits == Logits::keep || !truths_.empty()) append_logits(batch, result.logits);
    if (++batches % kBatchesUnderWay == 0 && backend_.is_asynchronous()) {
      StepState waits;
      backend_.copy_out(&waits, state_bytes);
    }
  }
  EvaluationSums sums;
  backend_.copy_out(&sums, sums_bytes);
  result.predictions.resize(static_cast<std::size_t>(count_));
  result.confidences.resize(static_cast<std::size_t>(count_));
  backend_.copy_out(result.predictions.data(), predictions_);
  backend_.copy_out(result.confidences.data(), confidences_);
  if (ranks_ != nullptr) gather(result, sums);
  result.samples = static_cast<std::int64_t>(sums.samples);
  const double none = std::numeric_limits<double>::quiet_NaN();
  result.loss = sums.samples > 0 ? sums.loss / sums.samples : none;
  result.accuracy = sums.samples > 0 ? sums.correct / sums.samples : none;
  if (!truths_.empty()) score_several_truths(result);
  if (logits == Logits::leave) result.logits.clear();
  return result;
}

void Evaluator::gather(EvaluationResult& result, EvaluationSums& sums) const {
  if (!counted_) {
    result = {};
    sums = {};
  }
  double of_all[] = {sums.samples, sums.loss, sums.correct};
  ranks_->start_sum(of_all, 3)->wait();
  sums = {.samples = of_all[0], .loss = of_all[1], .correct = of_all[2]};
  gather_values(*ranks_, result.predictions);
  gather_values(*ranks_, result.confidences);
  gather_values(*ranks_, result.logits);
}

// The backend counts samples with one true label; here a prediction is right if it is among the true ones,
// and the loss is -log of the probability that these have together, which for one label is cross entropy.
void Evaluator::score_several_truths(EvaluationResult& result) const {
  const auto count = static_cast<std::size_t>(all_);
  // The data may lack the last of the network's classes.
  const std::size_t classes = result.logits.size() / count, known = truths_.size() / count;
  std::int64_t right = 0;
  result.samples = 0;
  result.loss = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float* row = &result.logits[i * classes];
    const std::uint8_t* truths = &truths_[i * known];
    if (std::find(truths, truths + known, 1) == truths + known) continue;
    const double top = *std::max_element(row, row + classes);
    double all = 0, of_truths = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      const double share = std::exp(row[c] - top);
      all += share;
      if (c < known && truths[c] != 0) of_truths += share;
    }
    ++result.samples;
    result.loss += std::log(all) - std::log(of_truths);
    const auto guess = static_cast<std::size_t>(result.predictions[i]);
    if (guess < known && truths[guess] != 0) ++right;
  }
  const double none = std::numeric_limits<double>::quiet_NaN();
  const auto samples = static_cast<double>(result.samples);
  result.loss = result.samples > 0 ? result.loss / samples : none;
  result.accuracy = result.samples > 0 ? static_cast<double>(right) / samples : none;
}

}  // namespace dpll
