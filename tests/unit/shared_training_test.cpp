// Several ranks train what one does.
#include "support/shared_training.h"
#include "train/evaluator.h"

using namespace dpll;
using namespace dpll::test;
using namespace dpll::test::shared_training;

TEST_CASE("ranks: with global batch norm several train what one does, in float64") {
  for (const Setting& setting : kSettings) {
    const RunConfig config = config_of(setting, BatchNormScope::global);
    const Trained alone = train(*make_reference_backend(), config, nullptr);
    for (const int count : {2, 3}) {
      CAPTURE(setting.name);
      CAPTURE(count);
      const std::vector<Trained> shared =
          train_shared([] { return make_reference_backend(); }, config, count);
      for (const Trained& rank : shared) {
        CHECK(largest_difference(rank.losses, alone.losses) < 1e-12);
        // Handed out in float32.
        CHECK(largest_difference(rank.parameters, alone.parameters) < 0x1p-22);
        CHECK(largest_difference(rank.buffers, alone.buffers) < 0x1p-20);
        CHECK(largest_difference(rank.targets, alone.targets) < 0x1p-22);
        CHECK(rank.samples == alone.samples);
        CHECK(rank.losses == shared[0].losses);
        CHECK(rank.parameters == shared[0].parameters);
      }
    }
  }
}

TEST_CASE("ranks: the CPU's losses on several ranks are those of one within float32's rounding") {
  for (const Setting& setting : {kSettings[0], kSettings[3], kSettings[4]}) {
    CAPTURE(setting.name);
    const RunConfig config = config_of(setting, BatchNormScope::global);
    const Trained alone = train(*make_cpu_backend({.threads = 1}), config, nullptr);
    const std::vector<Trained> shared =
        train_shared([] { return make_cpu_backend({.threads = 1}); }, config, 2);
    CHECK(shared[0].parameters == shared[1].parameters);
    CHECK(shared[0].targets == shared[1].targets);
    CHECK(largest_difference(shared[0].losses, alone.losses) < 1e-3);
    CHECK(std::abs(shared[0].losses[0] - alone.losses[0]) < 1e-6);
  }
}

TEST_CASE(
    "ranks: local batch norm trains something else, and all ranks end with rank 0's running statistics") {
  const RunConfig local = config_of(kSettings[0], BatchNormScope::local);
  const Trained alone = train(*make_reference_backend(), local, nullptr);
  const std::vector<Trained> shared = train_shared([] { return make_reference_backend(); }, local, 2);
  CHECK(shared[0].parameters == shared[1].parameters);
  CHECK(shared[0].buffers == shared[1].buffers);
  CHECK(largest_difference(shared[0].losses, alone.losses) > 1e-3);
}

TEST_CASE(
    "ranks: each evaluates its share, and all have the whole result, also of fewer samples than ranks") {
  const RunConfig config = config_of(kSettings[5], BatchNormScope::global);
  const auto evaluate = [&](std::int64_t samples, Ranks* ranks) {
    ImageSet images = drawn_data(3).train;
    images.count = samples;
    images.pixels.resize(static_cast<std::size_t>(samples * images.image_bytes()));
    images.labels.resize(static_cast<std::size_t>(samples));
    const auto backend = make_reference_backend();
    const auto network = make_network(*backend, config, {kSide, kSide, 3, kClasses});
    network->state().initialise(1);
    Evaluator evaluator(*backend, *network, resolve_views(config, kSide, kSide, 3), images, 4, Mode::eval,
                        ranks);
    const Buffer arena = backend->allocate(evaluator.arena_bytes(), "the activations");
    evaluator.attach(arena.data());
    return evaluator.run(Evaluator::Logits::keep);
  };
  for (const std::int64_t samples : {1, 2, 7, 22}) {
    CAPTURE(samples);
    const EvaluationResult alone = evaluate(samples, nullptr);
    std::vector<EvaluationResult> shared(3);
    run_ranks(
        3, [&](Ranks& ranks) { shared[static_cast<std::size_t>(ranks.rank())] = evaluate(samples, &ranks); });
    for (const EvaluationResult& of_rank : shared) {
      CHECK(of_rank.samples == samples);
      CHECK(of_rank.accuracy == alone.accuracy);
      CHECK(std::abs(of_rank.loss - alone.loss) < 1e-12);
      CHECK(of_rank.predictions == alone.predictions);
      CHECK(of_rank.confidences == alone.confidences);
      CHECK(of_rank.logits == alone.logits);
    }
  }
}

TEST_CASE("ranks: whose sample is not finite is known to all") {
  const RunConfig config =
      config_of({"mlp", "architecture = mlp\nhidden = 12\n", "proden", 0}, BatchNormScope::global);
  std::vector<int> blamed(3, -2);
  run_ranks(3, [&](Ranks& ranks) {
    const DataSet data = drawn_data(3);
    CandidateSets candidates(kSamples, kClasses);
    for (int i = 0; i < kSamples; ++i) {
      candidates.insert(i, i % kClasses);
      candidates.insert(i, (i + 1) % kClasses);
    }
    const auto backend = make_reference_backend();
    const auto network = make_network(*backend, config, {kSide, kSide, 3, kClasses});
    TrainingStep step(*backend, *network, config, resolve_views(config, kSide, kSide, 3), data, candidates,
                      &ranks);
    const Buffer arena = backend->allocate(step.arena_bytes(), "the activations");
    step.attach(arena.data());
    network->state().initialise(1);
    // The loss of sample 3 becomes NaN. Of a batch of 8 rank 1 has the samples 2 to 4.
    std::vector<float> targets = step.targets();
    targets[static_cast<std::size_t>(3 * kClasses)] = std::nanf("");
    step.set_targets(targets);
    step.begin_epoch(0, 0,
                     std::vector<StepPlan>(static_cast<std::size_t>(step.steps_per_epoch()),
                                           StepPlan{.learning_rate = 0.05F}));
    step.enqueue();
    step.request_records();
    step.collect_records();
    blamed[static_cast<std::size_t>(ranks.rank())] = step.failing_rank();
  });
  CHECK(blamed == std::vector<int>(3, 1));
}
